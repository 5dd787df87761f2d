import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import type { HostReport } from '../../agent/contract/host-report.ts'
import { silentAfterSeconds } from '../../agent/contract/subjects.ts'
import { eventTypes } from '../contract/events.ts'
import { loadBalancerCreateSchema } from '../contract/load-balancer.ts'
import type { Outcome } from '../contract/problem.ts'
import { createObservedHosts } from '../observed/observed-hosts.ts'
import { createTestRack, type TestRack } from '../test-rack.ts'
import { createNamesKeeper, type NamesKeeper } from './keep-names.ts'
import { type LoadBalancerNameValue, loadBalancerNameKind } from './name-object.ts'
import type { Trouble } from './name-server.ts'
import { createTestNameServer, type TestNameServer } from './test-name-server.ts'

setDefaultTimeout(60_000)

const names = { zone: 'lb.test', ttlSeconds: 10, sweepSeconds: 30, owner: 'rack' }
const unreachable: Trouble = {
  kind: 'trouble',
  reason: 'serverUnreachable',
  message: 'The name server does not answer.',
}
const [one, two] = ['198.18.32.10', '198.18.32.11']

let rack: TestRack
let server: TestNameServer
let keeper: NamesKeeper
let networkId: string

function get<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`)
  return outcome.value
}

beforeEach(async () => {
  rack = await createTestRack(['a', 'b', 'c'], { names })
  server = createTestNameServer()
  keeper = createNamesKeeper(rack.context, server, names)
  const { services, context, projectId } = rack
  const pool = get(await services.pools.create({ name: 'pool', projectId, cidr: '10.0.0.0/16' }, context.request()))
  networkId = get(await services.networks.create({ name: 'net', projectId, mtu: 1400 }, context.request())).id
  get(await services.shards.create({ poolId: pool.id, networkId, sizeAddresses: 32 }, context.request()))
})

async function create(name: string) {
  const input = v.parse(loadBalancerCreateSchema, {
    name,
    projectId: rack.projectId,
    networkId,
    trafficType: 'http',
    listeners: [{ port: 80 }],
    members: [{ address: '10.0.0.20' }],
  })
  return get(await rack.services.loadBalancers.create(input, rack.context.request()))
}
const show = async (id: string) => get(await rack.services.loadBalancers.show(id, rack.context.request()))
const conditionOf = async (id: string) => (await show(id)).conditions.find(({ type }) => type === 'named')

async function recordOf(id: string): Promise<LoadBalancerNameValue | null> {
  return (await rack.store.get(loadBalancerNameKind, id))?.value ?? null
}

const told = () =>
  rack.events
    .filter(({ type }) => type.startsWith('load-balancer.name.'))
    .map(({ type, data }) => {
      v.parse(eventTypes[type as keyof typeof eventTypes], data)
      const { dnsName, addresses, reason } = data as { dnsName: string; addresses?: string[]; reason?: string }
      return [type.split('.').at(-1), dnsName, ...(addresses ?? []), ...(reason === undefined ? [] : [reason])].join(
        ' ',
      )
    })

async function serve(name = 'web') {
  const { id } = await create(name)
  await rack.settle()
  await keeper.turn()
  return id
}

/** From now on the instances on this host say that they have no VIPs. */
function loseVips(host: string): void {
  rack.distort(host, (report: HostReport) => ({
    ...report,
    instances: report.instances.map((instance) => ({ ...instance, heldVips: [] })),
  }))
}

test('a balancer is told its name at once, and the name lists its VIPs when they serve', async () => {
  const made = await create('Web Shop')
  expect(made).toMatchObject({ url: 'http://web-shop.shop.lb.test', dnsName: 'web-shop.shop.lb.test' })
  await keeper.turn()
  expect(server.names.size).toBe(0)
  expect(await conditionOf(made.id)).toMatchObject({ status: 'false', reason: 'nothingServes' })
  await rack.settle()
  await keeper.turn()
  expect(server.addressesOf('web-shop.shop.lb.test')).toEqual([one, two])
  expect(await conditionOf(made.id)).toMatchObject({ status: 'true', reason: 'published' })
  expect(told()).toEqual([`published web-shop.shop.lb.test ${one} ${two}`])
})

test('where all is right nothing is asked and nothing written, but now and then whether it still is', async () => {
  await serve()
  const before = { changes: server.changes, transfers: server.transfers }
  expect(await keeper.turn()).toEqual({ changes: 0, trouble: null, againInMilliseconds: 30_000 })
  expect({ changes: server.changes, transfers: server.transfers }).toEqual(before)
  rack.context.advance(30_000)
  rack.beat()
  await keeper.turn()
  rack.context.advance(30_000)
  rack.beat()
  await keeper.turn()
  // The first one reads what the controller's own change made of the serial; then the serial alone is asked for.
  expect(server.transfers).toBe(before.transfers + 1)
})

test('a VIP that nobody has goes, comes again, and the last ones stay', async () => {
  const id = await serve()
  loseVips('a')
  await rack.settle()
  await keeper.turn()
  const left = server.addressesOf('web.shop.lb.test')
  expect(left).toHaveLength(1)
  for (const host of ['b', 'c']) loseVips(host)
  await rack.settle()
  await keeper.turn()
  expect(server.addressesOf('web.shop.lb.test')).toEqual(left)
  expect(await conditionOf(id)).toMatchObject({ status: 'true', reason: 'kept' })
  for (const host of ['a', 'b', 'c']) rack.distort(host, (report) => report)
  await rack.settle()
  await keeper.turn()
  expect(server.addressesOf('web.shop.lb.test')).toEqual([one, two])
})

test("a silent host's word counts no more", async () => {
  await serve()
  rack.cut('a')
  rack.context.advance((silentAfterSeconds + 1) * 1000)
  rack.beat()
  await rack.settle()
  await keeper.turn()
  expect(server.addressesOf('web.shop.lb.test')).toHaveLength(1)
})

test('an instance that finds all its members down while another does not is out', async () => {
  await serve()
  rack.distort('a', (report) => ({
    ...report,
    instances: report.instances.map((instance) => ({
      ...instance,
      members: Object.fromEntries(Object.keys(instance.members).map((key) => [key, 'unhealthy' as const])),
    })),
  }))
  await rack.settle()
  await keeper.turn()
  expect(server.addressesOf('web.shop.lb.test')).toHaveLength(1)
})

test('a controller that has just begun keeps what is listed until it has heard the hosts', async () => {
  await serve()
  const observed = createObservedHosts({ now: rack.context.now })
  const later = createNamesKeeper({ ...rack.context, observed }, server, names)
  await later.turn()
  expect(server.addressesOf('web.shop.lb.test')).toEqual([one, two])
})

describe('while the server is away', () => {
  test('what is new is queued, told once, and done when it is back', async () => {
    server.trouble = unreachable
    const id = await serve()
    await keeper.turn()
    rack.context.advance(1000)
    rack.beat()
    expect((await keeper.turn()).trouble).toEqual(unreachable)
    expect(await conditionOf(id)).toMatchObject({ status: 'false', reason: 'serverUnreachable' })
    expect(told()).toEqual(['delayed web.shop.lb.test serverUnreachable'])
    expect((await show(id)).status).toBe('active')
    server.trouble = null
    rack.context.advance(5000)
    rack.beat()
    await keeper.turn()
    expect(server.addressesOf('web.shop.lb.test')).toEqual([one, two])
    expect(await conditionOf(id)).toMatchObject({ status: 'true' })
    expect(told().slice(1)).toEqual([`published web.shop.lb.test ${one} ${two}`])
  })

  test('what is right is not called into question, and no one asks it all the time', async () => {
    const id = await serve()
    server.trouble = unreachable
    const waits: number[] = []
    for (let turn = 0; turn < 8; turn++) {
      rack.context.advance(turn === 0 ? 30_000 : (waits.at(-1) ?? 0))
      rack.beat()
      waits.push((await keeper.turn()).againInMilliseconds)
    }
    expect(await conditionOf(id)).toMatchObject({ status: 'true', reason: 'published' })
    expect(waits.at(-1)).toBeGreaterThan(2000)
    expect(Math.max(...waits)).toBeLessThanOrEqual(5000)
  })

  test('another reason is told as well, by a controller that came after', async () => {
    server.trouble = unreachable
    await serve()
    server.trouble = { kind: 'trouble', reason: 'keyRefused', message: 'The name server does not know the key.' }
    const later = createNamesKeeper(rack.context, server, names)
    await later.turn()
    expect(told()).toEqual(['delayed web.shop.lb.test serverUnreachable', 'delayed web.shop.lb.test keyRefused'])
  })

  test('a balancer that is deleted meanwhile leaves no name behind', async () => {
    const id = await serve()
    server.trouble = unreachable
    rack.context.advance(30_000)
    rack.beat()
    get(await rack.services.loadBalancers.remove(id, rack.context.request()))
    await rack.settle()
    await keeper.turn()
    expect(await recordOf(id)).toMatchObject({ dnsName: 'web.shop.lb.test' })
    server.trouble = null
    rack.context.advance(5000)
    rack.beat()
    await keeper.turn()
    expect(server.names.size).toBe(0)
    expect(await recordOf(id)).toBeNull()
    expect(told().at(-1)).toBe('withdrawn web.shop.lb.test')
  })
})

describe('what others do', () => {
  test('a stray one of ours goes, a foreign one stays, at the steady look', async () => {
    await serve()
    server.write('mail.lb.test', ['192.0.2.1'])
    const mark = server.names.get('web.shop.lb.test')
    if (mark !== undefined) server.names.set('old.shop.lb.test', mark)
    server.write('web.shop.lb.test', null)
    rack.context.advance(30_000)
    rack.beat()
    await keeper.turn()
    expect([...server.names.keys()].toSorted()).toEqual(['mail.lb.test', 'web.shop.lb.test'])
    expect(server.addressesOf('web.shop.lb.test')).toEqual([one, two])
  })

  test('a name that somebody else has is left, and the balancer says so until it is free', async () => {
    server.write('web.shop.lb.test', ['192.0.2.1'])
    const id = await serve()
    expect(server.addressesOf('web.shop.lb.test')).toEqual(['192.0.2.1'])
    expect(await conditionOf(id)).toMatchObject({ status: 'false', reason: 'nameTaken' })
    expect(told()).toEqual(['delayed web.shop.lb.test nameTaken'])
    server.write('web.shop.lb.test', null)
    rack.context.advance(30_000)
    rack.beat()
    await keeper.turn()
    expect(server.addressesOf('web.shop.lb.test')).toEqual([one, two])
  })

  test('a name that another controller changed meanwhile is looked at again at once', async () => {
    await serve()
    server.names.clear()
    loseVips('a')
    await rack.settle()
    expect((await keeper.turn()).againInMilliseconds).toBe(0)
    await keeper.turn()
    expect(server.addressesOf('web.shop.lb.test')).toHaveLength(1)
  })
})

test('a balancer that is renamed moves', async () => {
  const id = await serve()
  get(await rack.services.loadBalancers.update(id, { name: 'Shop' }, rack.context.request()))
  expect((await show(id)).url).toBe('http://shop.shop.lb.test')
  await keeper.turn()
  expect([...server.names.keys()]).toEqual(['shop.shop.lb.test'])
  expect(told().slice(1)).toEqual(['withdrawn web.shop.lb.test', `published shop.shop.lb.test ${one} ${two}`])
})

test('two whose names give one label have a name each, which stays when the other one goes', async () => {
  const older = await create('Web!')
  rack.context.advance(1)
  const younger = await create('web')
  expect([older.dnsName, younger.dnsName]).toEqual(['web.shop.lb.test', `web-${younger.id.slice(-6)}.shop.lb.test`])
  await rack.settle()
  await keeper.turn()
  expect([...server.names.keys()].toSorted()).toEqual([younger.dnsName, older.dnsName].toSorted() as string[])
  get(await rack.services.loadBalancers.remove(older.id, rack.context.request()))
  await rack.settle()
  await keeper.turn()
  expect([...server.names.keys()]).toEqual([younger.dnsName ?? ''])
  expect((await show(younger.id)).dnsName).toBe(younger.dnsName)
})
