import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Outcome, Problem } from '../contract/problem.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import { addressKind, hostKind, machineKind } from '../objects.ts'
import { createTestRack, type TestRack } from '../test-rack.ts'
import { macAddressOf } from './mac-address.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let rack: TestRack
let networkId: string

function get<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`)
  return outcome.value
}
const problemOf = (outcome: Outcome<unknown>): Problem => {
  if (outcome.ok) throw new Error('it was not refused')
  return outcome.problem
}
const create = (name: string, parts: object = {}) =>
  rack.services.machines.create(
    { name, projectId: rack.projectId, networkId, driver: 'netns', workloads: [], ...parts },
    rack.context.request(),
  )
const show = async (id: string) => get(await rack.services.machines.show(id, rack.context.request()))

beforeEach(async () => {
  rack = await createTestRack()
  const { services, context, projectId } = rack
  const pool = get(await services.pools.create({ name: 'pool', projectId, cidr: '10.0.0.0/16' }, context.request()))
  networkId = get(await services.networks.create({ name: 'net', projectId, mtu: 1400 }, context.request())).id
  get(await services.shards.create({ poolId: pool.id, networkId, sizeAddresses: 16 }, context.request()))
})

test('a MAC address follows from the id, is unicast and locally administered', () => {
  expect(macAddressOf('mch_1')).toBe(macAddressOf('mch_1'))
  expect(macAddressOf('mch_1')).not.toBe(macAddressOf('mch_1', 'uplink'))
  expect(macAddressOf('mch_1')).toMatch(/^06(:[0-9a-f]{2}){5}$/)
})

describe('a machine', () => {
  test('gets an address, a MAC and a host, and is active once its host says so', async () => {
    const made = get(await create('web-1'))
    expect(made).toMatchObject({
      status: 'provisioning',
      addresses: ['10.0.0.2'],
      mac: macAddressOf(made.id),
      host: 'a',
    })
    await rack.settle()
    expect((await show(made.id)).status).toBe('active')
    expect(rack.events.filter(({ type }) => type === 'machine.activated').length).toBe(1)
    expect(rack.planAnew()).toEqual([])
  })

  test('and the next goes elsewhere, also when they are made at once', async () => {
    const all = await Promise.all(['web-1', 'web-2', 'web-3'].map((name) => create(name)))
    expect(all.map((outcome) => get(outcome).host).toSorted()).toEqual(['a', 'b', 'c'])
  })

  test('goes where it is told', async () => {
    expect(get(await create('web-1', { hostId: rack.hostIds.get('c') })).host).toBe('c')
  })

  test('is told of to every host of its network', async () => {
    get(await create('web-1', { hostId: rack.hostIds.get('a') }))
    get(await create('web-2', { hostId: rack.hostIds.get('b') }))
    await rack.settle()
    const [a, b, c] = ['a', 'b', 'c'].map((host) => rack.published.get(host)?.statement)
    expect(a?.networks[0]?.peers).toEqual([{ host: 'b', underlayAddress: '198.18.0.2' }])
    expect(a?.networks[0]?.neighbours.map(({ name, host }) => [name, host])).toEqual([
      ['web-1', 'a'],
      ['web-2', 'b'],
    ])
    expect(b?.networks[0]?.neighbours).toEqual(a?.networks[0]?.neighbours ?? [])
    expect(c?.networks ?? []).toEqual([])
  })

  const refused: readonly (readonly [string, () => object, Problem['code'], string])[] = [
    ['on a network of nobody', () => ({ networkId: createNamedId('net', 'x', 'y') }), 'invalid', 'networkId'],
    ['on a host of nobody', () => ({ hostId: createNamedId('hst', 'x', 'y') }), 'invalid', 'hostId'],
    ['with an address of no shard', () => ({ address: '10.9.9.9' }), 'invalid', 'address'],
    ['with the address of the gateway', () => ({ address: '10.0.0.1' }), 'invalid', 'address'],
    [
      'with two workloads of one port',
      () => ({
        workloads: [
          { kind: 'web', port: 80 },
          { kind: 'echo', port: 80 },
        ],
      }),
      'invalid',
      'workloads[1].port',
    ],
  ]
  for (const [sentence, parts, code, field] of refused) {
    test(`${sentence} is refused, and nothing of it stays`, async () => {
      const problem = problemOf(await create('web-1', parts()))
      expect(problem.code).toBe(code)
      expect(problem.errors?.[0]?.field).toBe(field)
      expect(rack.store.snapshot(machineKind)).toEqual([])
      expect(rack.store.snapshot(addressKind)).toEqual([])
    })
  }

  test('with an address that another holds is refused, and its holder is named', async () => {
    get(await create('web-1'))
    const problem = problemOf(await create('web-2', { address: '10.0.0.2' }))
    expect([problem.code, problem.detail]).toEqual(['in-use', '10.0.0.2 is held by machine web-1.'])
  })

  test('is not placed on a host in maintenance', async () => {
    for (const host of rack.store.snapshot(hostKind)) {
      if (host.value.name === 'b') continue
      const value = { ...host.value, maintenance: true }
      await rack.store.transact({ writes: [{ kind: hostKind, id: host.id, expect: host.version, value }] })
    }
    expect(get(await create('web-1')).host).toBe('b')
    const problem = problemOf(await create('web-2', { hostId: rack.hostIds.get('a') }))
    expect([problem.code, problem.detail]).toEqual(['no-host', 'hostId: the host a is in maintenance'])
  })

  test('that is changed is active again once its host has done it', async () => {
    const { id } = get(await create('web-1'))
    await rack.settle()
    const workloads = [{ kind: 'web' as const, port: 80 }]
    const changed = get(await rack.services.machines.update(id, { workloads }, rack.context.request()))
    expect(changed.status).toBe('provisioning')
    await rack.settle()
    expect(await show(id)).toMatchObject({ status: 'active', workloads, version: 2 })
  })

  test('says why its host failed, once by an event', async () => {
    rack.distort('a', (report) => ({
      ...report,
      machines: report.machines.map((machine) => ({ ...machine, status: 'failed', reason: 'no such device' })),
    }))
    const { id } = get(await create('web-1'))
    await rack.settle()
    await rack.settle()
    expect(await show(id)).toMatchObject({
      status: 'failed',
      conditions: [{ reason: 'applyFailed', message: 'no such device' }],
    })
    expect(rack.events.filter(({ type }) => type === 'machine.failed').length).toBe(1)
  })

  test('on a silent host has failed, as far as anybody knows, and recovers with it', async () => {
    const { id, host } = get(await create('web-1'))
    await rack.settle()
    rack.cut(host ?? '')
    rack.context.advance(4_900)
    rack.beat()
    await rack.settle()
    expect((await show(id)).status).toBe('active')
    rack.context.advance(200)
    await rack.settle()
    expect((await show(id)).conditions[0]?.reason).toBe('hostSilent')
    rack.heal(host ?? '')
    await rack.settle()
    expect((await show(id)).status).toBe('active')
    const told = rack.events.filter(({ type }) => type.startsWith('host.')).map(({ type }) => type)
    expect(told).toEqual(['host.silenced', 'host.recovered'])
  })
})

describe('a deletion', () => {
  test('gives the name and the address back once the host has given it up', async () => {
    const made = get(await create('web-1'))
    await rack.settle()
    expect(get(await rack.services.machines.remove(made.id, rack.context.request()))).toBe(false)
    await rack.settle()
    expect(problemOf(await rack.services.machines.show(made.id, rack.context.request())).code).toBe('not-found')
    expect(get(await create('web-1')).addresses).toEqual(made.addresses)
    expect(rack.events.filter(({ type }) => type === 'machine.deleted').length).toBe(1)
  })

  test('of one that its host was never told of is finished at once', async () => {
    const { id } = get(await create('web-1'))
    get(await rack.services.machines.remove(id, rack.context.request()))
    await rack.settle()
    expect(problemOf(await rack.services.machines.show(id, rack.context.request())).code).toBe('not-found')
  })

  test('waits for a dead host, until that is removed', async () => {
    const { id, host, hostId } = get(await create('web-1'))
    await rack.settle()
    rack.cut(host ?? '')
    rack.context.advance(6_000)
    get(await rack.services.machines.remove(id, rack.context.request()))
    await rack.settle()
    expect((await show(id)).conditions[0]).toMatchObject({ type: 'given-up', reason: 'waitingForSilentHost' })
    const stored = await rack.store.get(hostKind, hostId ?? '')
    if (stored === null) throw new Error('there is no host')
    await rack.store.transact({ writes: [{ kind: hostKind, id: stored.id, expect: stored.version, value: null }] })
    await rack.settle()
    expect(problemOf(await rack.services.machines.show(id, rack.context.request())).code).toBe('not-found')
    expect(rack.store.snapshot(addressKind)).toEqual([])
  })
})
