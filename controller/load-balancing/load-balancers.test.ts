import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { loadBalancerCreateSchema } from '../contract/load-balancer.ts'
import type { Outcome, Problem } from '../contract/problem.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import { addressKind, instanceKind, loadBalancerKind, reservationKind } from '../objects.ts'
import { createTestRack, type TestRack } from '../test-rack.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let rack: TestRack
let networkId: string
let otherNetworkId: string
let machineIds: readonly string[]
let otherMachineId: string

function get<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`)
  return outcome.value
}
const problemOf = (outcome: Outcome<unknown>): Problem => {
  if (outcome.ok) throw new Error('it was not refused')
  return outcome.problem
}

async function createNetwork(name: string): Promise<string> {
  const { services, context, projectId } = rack
  const [pool] = get(await services.pools.list({}, context.request())).items
  const poolId =
    pool?.id ?? get(await services.pools.create({ name: 'pool', projectId, cidr: '10.0.0.0/16' }, context.request())).id
  const network = get(await services.networks.create({ name, projectId, mtu: 1400 }, context.request()))
  get(await services.shards.create({ poolId, networkId: network.id, sizeAddresses: 32 }, context.request()))
  return network.id
}

const createMachine = async (name: string, network: string) =>
  get(
    await rack.services.machines.create(
      { name, projectId: rack.projectId, networkId: network, driver: 'netns', workloads: [] },
      rack.context.request(),
    ),
  ).id

const describeInput = (parts: object = {}) =>
  v.parse(loadBalancerCreateSchema, {
    name: 'shop',
    projectId: rack.projectId,
    networkId,
    trafficType: 'http',
    listeners: [{ port: 80 }],
    members: machineIds.map((machineId) => ({ machineId })),
    ...parts,
  })
const create = (parts: object = {}) => rack.services.loadBalancers.create(describeInput(parts), rack.context.request())
const show = async (id: string) => get(await rack.services.loadBalancers.show(id, rack.context.request()))

beforeEach(async () => {
  rack = await createTestRack()
  networkId = await createNetwork('net')
  otherNetworkId = await createNetwork('other')
  machineIds = [await createMachine('web-1', networkId), await createMachine('web-2', networkId)]
  otherMachineId = await createMachine('stranger', otherNetworkId)
  await rack.settle()
})

describe('a balancer', () => {
  test('is created with two instances on two hosts, a VIP each, and serves once they do', async () => {
    const made = get(await create())
    expect(made).toMatchObject({
      status: 'provisioning',
      url: 'http://198.18.32.10',
      vips: ['198.18.32.10', '198.18.32.11'],
    })
    expect(new Set(made.instances.map(({ host }) => host)).size).toBe(2)
    expect(made.healthCheck).toMatchObject({ protocol: 'http', path: '/', intervalSeconds: 5, timeoutSeconds: 5 })
    await rack.settle()
    const shown = await show(made.id)
    expect(shown.status).toBe('active')
    expect(shown.instances.map(({ status, heldVips }) => [status, heldVips])).toEqual([
      ['active', ['198.18.32.10']],
      ['active', ['198.18.32.11']],
    ])
    expect(shown.members.map(({ address, port, status }) => [address, port, status])).toEqual([
      ['10.0.0.2', 80, 'healthy'],
      ['10.0.0.3', 80, 'healthy'],
    ])
    expect(rack.planAnew()).toEqual([])
  })

  const urls: readonly (readonly [object, string])[] = [
    [{}, 'http://198.18.32.10'],
    [{ listeners: [{ port: 8080 }] }, 'http://198.18.32.10:8080'],
    [{ trafficType: 'tcp', listeners: [{ port: 5432 }] }, 'tcp://198.18.32.10:5432'],
  ]
  for (const [parts, url] of urls) {
    test(`is reached at ${url}`, async () => expect(get(await create(parts)).url).toBe(url))
  }

  test('of tcp adds no header, and one of http does', async () => {
    expect(get(await create({ trafficType: 'tcp' })).forwardedFor).toBe(false)
    expect(get(await create({ name: 'other' })).forwardedFor).toBe(true)
  })

  test('that is refused leaves nothing behind', async () => {
    get(await create())
    const held = () => rack.store.snapshot(reservationKind).map(({ id }) => id)
    const before = { held: held(), addresses: rack.store.snapshot(addressKind) }
    expect(problemOf(await create()).code).toBe('name-taken')
    expect({ held: held(), addresses: rack.store.snapshot(addressKind) }).toEqual(before)
  })

  test('for which its network has no addresses is refused, and nothing of it stays', async () => {
    for (let i = 0; i < 26; i++) await createMachine(`filler-${i}`, networkId)
    const before = rack.store.snapshot(addressKind).length
    const problem = problemOf(await create())
    expect(problem.code).toBe('no-space')
    expect(rack.store.snapshot(addressKind).length).toBe(before)
    expect(rack.store.snapshot(loadBalancerKind)).toEqual([])
  })

  test('needs a host', async () => {
    for (const host of ['a', 'b', 'c']) rack.cut(host)
    rack.context.advance(6_000)
    await rack.settle()
    expect(problemOf(await create()).code).toBe('no-host')
  })

  const refused: readonly (readonly [string, () => object, string, string])[] = [
    ['a network of nobody', () => ({ networkId: createNamedId('net', 'x', 'y') }), 'networkId', 'there is no network'],
    [
      'two listeners of one port',
      () => ({ listeners: [{ port: 80 }, { port: 80 }] }),
      'listeners[1].port',
      'of another listener',
    ],
    [
      'a member twice',
      () => ({ members: [{ address: '10.0.0.9' }, { address: '10.0.0.9' }] }),
      'members[1]',
      'is the same as members[0]',
    ],
    ['a URL with a name', () => ({ members: [{ url: 'http://web:80' }] }), 'members[0].url', 'names web'],
    [
      'a machine of another network',
      () => ({ members: [{ machineId: otherMachineId }] }),
      'members[0].machineId',
      "the machine 'stranger' is on another network",
    ],
    [
      'a machine of nobody',
      () => ({ members: [{ machineId: createNamedId('mch', 'x', 'y') }] }),
      'members[0].machineId',
      'there is no machine',
    ],
  ]
  for (const [sentence, parts, field, words] of refused) {
    test(`with ${sentence} is refused`, async () => {
      const problem = problemOf(await create(parts()))
      expect(problem.errors?.map((error) => error.field)).toContain(field)
      expect(problem.detail).toContain(words)
    })
  }
})

describe('an update', () => {
  test('is served once every instance serves it', async () => {
    const { id } = get(await create())
    await rack.settle()
    const updated = get(
      await rack.services.loadBalancers.update(id, { algorithm: 'least-connections' }, rack.context.request()),
    )
    expect(updated).toMatchObject({ status: 'provisioning', version: 2 })
    await rack.settle()
    expect((await show(id)).status).toBe('active')
    const told = [...rack.published.values()].flatMap(({ statement }) => statement.instances)
    expect(told.map(({ algorithm }) => algorithm)).toEqual(['least-connections', 'least-connections'])
  })

  test('of the name alone changes nothing on a host, and is settled at once', async () => {
    const { id } = get(await create())
    await rack.settle()
    const before = [...rack.published.values()].map(({ revision }) => revision)
    expect(get(await rack.services.loadBalancers.update(id, { name: 'new' }, rack.context.request())).status).toBe(
      'active',
    )
    await rack.settle()
    expect([...rack.published.values()].map(({ revision }) => revision)).toEqual(before)
  })

  test('to more instances adds slots, and to fewer takes the last away', async () => {
    const { id } = get(await create())
    await rack.settle()
    get(await rack.services.loadBalancers.update(id, { instanceCount: 3 }, rack.context.request()))
    await rack.settle()
    const three = await show(id)
    expect(three.instances.map(({ slot, status }) => [slot, status])).toEqual([
      [1, 'active'],
      [2, 'active'],
      [3, 'active'],
    ])
    get(await rack.services.loadBalancers.update(id, { instanceCount: 1 }, rack.context.request()))
    await rack.settle()
    const one = await show(id)
    expect([one.status, one.vips, one.instances.map(({ slot }) => slot)]).toEqual([
      'active',
      [three.vips[0] ?? ''],
      [1],
    ])
    rack.context.advance(60_000)
    await rack.sweep()
    const uplink = rack.store.snapshot(reservationKind).filter(({ value }) => value.words[0] === 'uplink')
    expect(uplink.length).toBe(2)
  })

  test('is checked as a whole, and changes nothing where anything is wrong', async () => {
    const { id } = get(await create({ members: [{ address: '10.0.0.9', port: 8080 }, { address: '10.0.0.9' }] }))
    const problem = problemOf(
      await rack.services.loadBalancers.update(id, { listeners: [{ port: 8080 }] }, rack.context.request()),
    )
    expect(problem.errors?.[0]?.field).toBe('members[1]')
    expect((await show(id)).listeners).toEqual([{ port: 80 }])
  })

  test('of forwardedFor is refused for tcp', async () => {
    const { id } = get(await create({ trafficType: 'tcp' }))
    const problem = problemOf(
      await rack.services.loadBalancers.update(id, { forwardedFor: true }, rack.context.request()),
    )
    expect(problem.errors?.[0]?.field).toBe('forwardedFor')
  })

  test('at a version that is no more is refused with both', async () => {
    const { id } = get(await create())
    const stale = rack.context.request('stale', { expectedVersion: 7 })
    const problem = problemOf(await rack.services.loadBalancers.update(id, { name: 'x' }, stale))
    expect(problem.code).toBe('precondition-failed')
  })
})

describe('members', () => {
  test('are added, changed and removed one by one, and keep their ids', async () => {
    const { id } = get(await create())
    const { addMember, updateMember, removeMember, listMembers } = rack.services.loadBalancers
    const before = get(await listMembers(id, rack.context.request())).items
    const added = get(await addMember(id, { address: '10.0.0.9', weight: 1 }, rack.context.request()))
    expect(added).toMatchObject({ address: '10.0.0.9', port: 80, weight: 1, status: 'unknown' })
    const changed = get(await updateMember(id, added.id, { address: '10.0.0.10', weight: 5 }, rack.context.request()))
    expect(changed).toMatchObject({ id: added.id, address: '10.0.0.10', weight: 5 })
    const again = get(await addMember(id, { address: '10.0.0.9', weight: 1 }, rack.context.request()))
    expect(again.id).not.toBe(added.id)
    get(await removeMember(id, added.id, rack.context.request()))
    const after = get(await listMembers(id, rack.context.request())).items
    expect(after.map((member) => member.id)).toEqual([...before.map((member) => member.id), again.id])
  })

  test('drain by hand, and a new list that does not speak of it leaves that alone', async () => {
    const { id } = get(await create({ members: [{ address: '10.0.0.9' }, { host: 'web.shop.internal' }] }))
    const { listMembers, update, updateMember } = rack.services.loadBalancers
    const [first, named] = get(await listMembers(id, rack.context.request())).items
    expect(named).toMatchObject({ address: null, host: 'web.shop.internal', port: 80, draining: false })
    const told = get(await updateMember(id, first?.id ?? '', { draining: true }, rack.context.request()))
    expect(told).toMatchObject({ id: first?.id, draining: true, status: 'draining' })
    const members = [{ address: '10.0.0.9', weight: 1 }]
    const updated = get(await update(id, { members }, rack.context.request()))
    expect(updated.members).toMatchObject([{ id: first?.id, draining: true }])
    const back = get(await updateMember(id, first?.id ?? '', { draining: false }, rack.context.request()))
    expect(back).toMatchObject({ draining: false, status: 'unknown' })
  })

  test('that are not there are not removed', async () => {
    const { id } = get(await create())
    const unknown = createNamedId('mbr', 'x', 'y')
    const removed = await rack.services.loadBalancers.removeMember(id, unknown, rack.context.request())
    expect(problemOf(removed).code).toBe('not-found')
  })

  test('may all be added later, and the last may be removed', async () => {
    const { id, members } = get(await create({ members: undefined }))
    expect(members).toEqual([])
    await rack.settle()
    const { addMember, removeMember, show } = rack.services.loadBalancers
    const added = get(await addMember(id, { address: '10.0.0.9', weight: 1 }, rack.context.request()))
    get(await removeMember(id, added.id, rack.context.request()))
    await rack.settle()
    expect(get(await show(id, rack.context.request()))).toMatchObject({ status: 'active', members: [] })
    // A machine elsewhere is no member of it, and may go.
    const [first = ''] = machineIds
    expect(await rack.services.machines.remove(first, rack.context.request())).toMatchObject({ ok: true })
  })

  test('change by events, each once', async () => {
    const { id } = get(await create())
    await rack.settle()
    const changesOf = (status: string) =>
      rack.events.filter(({ type, data }) => {
        return type === 'load-balancer.member.changed' && (data as { readonly status: string }).status === status
      }).length
    expect(changesOf('healthy')).toBe(2)
    for (const host of ['a', 'b', 'c']) {
      rack.distort(host, (report) => ({
        ...report,
        instances: report.instances.map((instance) => ({
          ...instance,
          members: Object.fromEntries(Object.keys(instance.members).map((key) => [key, 'unhealthy'] as const)),
        })),
      }))
    }
    await rack.settle()
    await rack.settle()
    expect(changesOf('unhealthy')).toBe(2)
    const shown = await show(id)
    expect(shown.conditions.find(({ type }) => type === 'members-healthy')?.message).toContain(
      '0 of 2 members are healthy',
    )
  })
})

describe('a deletion', () => {
  test('is finished when every host has given it up, and leaves nothing', async () => {
    const made = get(await create())
    await rack.settle()
    expect(get(await rack.services.loadBalancers.remove(made.id, rack.context.request()))).toBe(false)
    expect((await show(made.id)).status).toBe('deleting')
    await rack.settle()
    expect(problemOf(await rack.services.loadBalancers.show(made.id, rack.context.request())).code).toBe('not-found')
    expect(rack.store.snapshot(instanceKind)).toEqual([])
    expect(rack.store.snapshot(reservationKind).some(({ value }) => value.words[0] === 'uplink')).toBe(false)
    expect(rack.events.filter(({ type }) => type === 'load-balancer.deleted').length).toBe(1)
    expect(rack.events.filter(({ type }) => type === 'load-balancer.instance.deleted').length).toBe(2)
    expect(get(await create()).vips).toEqual(made.vips)
  })

  test('waits for a silent host, says so, and does not give its addresses to others', async () => {
    const made = get(await create())
    await rack.settle()
    const host = made.instances[0]?.host ?? ''
    rack.cut(host)
    rack.context.advance(6_000)
    await rack.settle()
    expect((await show(made.id)).status).toBe('degraded')
    get(await rack.services.loadBalancers.remove(made.id, rack.context.request()))
    await rack.settle()
    const waiting = await show(made.id)
    expect(waiting.status).toBe('deleting')
    expect(waiting.conditions[0]?.message).toContain(`Its host ${host} has been silent since`)
    const other = get(await create({ name: 'other' }))
    expect(other.vips.some((vip) => made.vips.includes(vip))).toBe(false)
    rack.heal(host)
    await rack.settle()
    expect(problemOf(await rack.services.loadBalancers.show(made.id, rack.context.request())).code).toBe('not-found')
  })
})
