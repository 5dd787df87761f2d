import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import type { HostReport } from '../../../agent/contract/host-report.ts'
import { projectCaller } from '../../access/test-context.ts'
import { type LoadBalancer, loadBalancerCreateSchema } from '../../contract/load-balancer.ts'
import type { Outcome } from '../../contract/problem.ts'
import { write } from '../../control-plane/store.ts'
import { hostKind, instanceKind } from '../../objects.ts'
import { createTestRack, type TestRack } from '../../test-rack.ts'
import { createBreakerService } from './breaker-service.ts'
import { lifeDefaults } from './life-settings.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

const hosts = ['a', 'b', 'c']
let rack: TestRack
let id: string

function get<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`)
  return outcome.value
}

async function createRack(names: readonly string[], instanceCount: number): Promise<void> {
  rack = await createTestRack(names)
  const { services, context, projectId } = rack
  const pool = get(await services.pools.create({ name: 'pool', projectId, cidr: '10.0.0.0/16' }, context.request()))
  const network = get(await services.networks.create({ name: 'net', projectId, mtu: 1400 }, context.request()))
  get(await services.shards.create({ poolId: pool.id, networkId: network.id, sizeAddresses: 1024 }, context.request()))
  const input = v.parse(loadBalancerCreateSchema, {
    name: 'shop',
    projectId,
    networkId: network.id,
    trafficType: 'http',
    listeners: [{ port: 80 }],
    members: [{ address: '10.0.0.200' }],
    instanceCount,
  })
  id = get(await services.loadBalancers.create(input, context.request())).id
  await rack.settle()
  await rack.pass(1)
}

const show = async (): Promise<LoadBalancer> => get(await rack.services.loadBalancers.show(id, rack.context.request()))
const on = async (host: string) => (await show()).instances.find((instance) => instance.host === host)
const statuses = async () =>
  Object.fromEntries((await show()).instances.map(({ slot, host, status }) => [`${slot} on ${host}`, status]))
const told = (type: string) => rack.events.filter((event) => event.type === `load-balancer.instance.${type}`)

/** Its plug is pulled. */
function kill(host: string): void {
  rack.cut(host)
  rack.unplug(host)
}

function revive(host: string): void {
  rack.heal(host)
  rack.plug(host)
}

async function setMaintenance(host: string, maintenance: boolean): Promise<void> {
  const stored = rack.store.snapshot(hostKind).find(({ value }) => value.name === host)
  if (stored === undefined) throw new Error(`there is no host ${host}`)
  const value = { ...stored.value, maintenance }
  await rack.store.transact({ writes: [write({ kind: hostKind, id: stored.id, expect: stored.version, value })] })
}

const stopHaproxy = (report: HostReport): HostReport => ({
  ...report,
  instances: report.instances.map((one) => ({ ...one, haproxy: 'stopped', serving: false, heldVips: [] })),
})

/** Agent and daemons are dead, its kernel runs on. */
describe('an instance of which only the kernel is left', () => {
  beforeEach(() => createRack([...hosts, 'd'], 3))

  test('is replaced, as two others find no haproxy there, and has its slot again', async () => {
    rack.hollow('a')
    await rack.pass(judgedSeconds)
    expect(await statuses()).toMatchObject({ '1 on a': 'replaced', '1 on d': 'active' })
    expect(told('replaced')).toHaveLength(1)
    rack.fill('a')
    await rack.pass(8)
    expect(await statuses()).toEqual({ '1 on a': 'active', '2 on b': 'active', '3 on c': 'active' })
  })

  test('stays when only one other can tell', async () => {
    rack.hollow('a')
    rack.cut('b')
    await rack.pass(4 * judgedSeconds)
    expect((await statuses())['1 on a']).toBe('suspect')
    const reachable = (await on('a'))?.conditions.find(({ type }) => type === 'reachable')
    expect([reachable?.reason, reachable?.message]).toEqual([
      'haproxySilent',
      expect.stringContaining("c can't reach its haproxy"),
    ])
  })
})

/** The least that a judgement takes: the host is found silent, and asked about, before the time is up. */
const judgedSeconds = lifeDefaults.suspectAfterSeconds + 3

describe('an instance whose host is lost', () => {
  beforeEach(() => createRack(hosts, 2))

  test('is replaced on another host, in its slot, with its VIP', async () => {
    const before = await show()
    kill('a')
    await rack.pass(judgedSeconds)
    const after = await show()
    expect([after.status, after.vips]).toEqual(['active', before.vips])
    expect(await statuses()).toEqual({ '1 on a': 'replaced', '1 on c': 'active', '2 on b': 'active' })
    expect((await on('c'))?.heldVips).toEqual([before.vips[0] ?? ''])
    expect(told('replaced').map(({ data }) => data)).toMatchObject([{ slot: 1 }])
  })

  test('has its slot again when it is back in time, and the other one goes', async () => {
    const old = await on('a')
    kill('a')
    await rack.pass(judgedSeconds)
    revive('a')
    await rack.pass(8)
    expect(await statuses()).toEqual({ '1 on a': 'active', '2 on b': 'active' })
    expect((await on('a'))?.id).toBe(old?.id ?? '')
    expect(told('reinstated')).toHaveLength(1)
  })

  test('goes when it is not back in time, even from a host that comes back later', async () => {
    kill('a')
    await rack.pass(judgedSeconds)
    rack.context.advance(lifeDefaults.graceSeconds * 1000)
    await rack.pass(8)
    expect(await statuses()).toMatchObject({ '1 on a': 'deleting', '1 on c': 'active', '2 on b': 'active' })
    revive('a')
    await rack.pass(3)
    expect(await statuses()).toEqual({ '1 on c': 'active', '2 on b': 'active' })
  })

  test('is not replaced while anybody reaches it: its agent alone may be dead', async () => {
    rack.cut('a')
    await rack.pass(4 * judgedSeconds)
    expect(await statuses()).toEqual({ '1 on a': 'suspect', '2 on b': 'active' })
    const reachable = (await on('a'))?.conditions.find(({ type }) => type === 'reachable')
    expect([reachable?.status, reachable?.message]).toEqual(['true', expect.stringContaining('b and c reach')])
  })

  test('is not condemned by one host that is blind, nor by the one that sees beside it', async () => {
    rack.unplug('c')
    rack.cut('a')
    await rack.pass(4 * judgedSeconds)
    expect((await statuses())['1 on a']).toBe('suspect')
    rack.unplug('a')
    await rack.pass(judgedSeconds)
    expect((await statuses())['1 on a']).toBe('suspect')
    expect(told('replaced')).toHaveLength(0)
  })

  test('is replaced again when its replacement is lost as well, and then is back', async () => {
    kill('a')
    await rack.pass(judgedSeconds)
    // Long enough for the breaker to take it for another matter.
    await rack.pass(lifeDefaults.breakerWindowSeconds)
    revive('a')
    await rack.pass(1)
    kill('c')
    await rack.pass(judgedSeconds + 6)
    expect(await statuses()).toMatchObject({ '1 on a': 'active', '2 on b': 'active' })
  })
})

test('many that are lost at once come up some at a time, and who is slow holds nobody up for long', async () => {
  await createRack(hosts, 2)
  const { services, context, projectId } = rack
  const { networkId } = await show()
  for (let number = 1; number < 30; number++) {
    const listeners = [{ port: 80 }]
    const wanted = { name: `shop ${number}`, projectId, networkId, trafficType: 'http', listeners, instanceCount: 2 }
    get(await services.loadBalancers.create(v.parse(loadBalancerCreateSchema, wanted), context.request()))
  }
  await rack.settle()
  await rack.pass(1)
  const known = new Set(rack.store.snapshot(instanceKind).map((instance) => instance.id))
  // Of new ones they say nothing yet.
  const beSlow = (report: HostReport): HostReport => ({
    ...report,
    instances: report.instances.filter((one) => known.has(one.id)),
  })
  kill('a')
  for (const host of ['b', 'c']) rack.distort(host, beSlow)
  await rack.pass(judgedSeconds)
  expect(told('replaced').length).toBe(2 * 8)
  await rack.pass(30)
  expect(told('replaced').length).toBe(20)
})

test('an uplink that is cut is seen by the others, though the agent says that all is well', async () => {
  await createRack(hosts, 2)
  rack.unplug('a')
  await rack.pass(judgedSeconds)
  expect(await statuses()).toEqual({ '1 on a': 'replaced', '1 on c': 'active', '2 on b': 'active' })
  await rack.pass(10)
  expect((await statuses())['1 on a']).toBe('replaced')
  rack.plug('a')
  await rack.pass(8)
  expect(await statuses()).toEqual({ '1 on a': 'active', '2 on b': 'active' })
})

test('of two hosts the other one is witness enough', async () => {
  await createRack(['a', 'b'], 1)
  kill('a')
  await rack.pass(judgedSeconds)
  expect(await statuses()).toEqual({ '1 on a': 'replaced', '1 on b': 'active' })
})

test('a host alone condemns nobody, and nobody it', async () => {
  await createRack(['a'], 1)
  kill('a')
  await rack.pass(4 * judgedSeconds)
  expect(await statuses()).toEqual({ '1 on a': 'suspect' })
})

test('an instance is condemned by its own agent when that says so for long enough', async () => {
  await createRack(hosts, 2)
  rack.distort('a', stopHaproxy)
  await rack.pass(lifeDefaults.suspectAfterSeconds - 1)
  expect((await statuses())['1 on a']).toBe('suspect')
  await rack.pass(2)
  expect(await statuses()).toEqual({ '1 on a': 'replaced', '1 on c': 'active', '2 on b': 'active' })
  rack.distort('a', (report) => report)
  await rack.pass(8)
  expect(await statuses()).toEqual({ '1 on a': 'active', '2 on b': 'active' })
})

test('one that recovers before its time is up keeps its slot', async () => {
  await createRack(hosts, 2)
  rack.distort('a', stopHaproxy)
  await rack.pass(lifeDefaults.suspectAfterSeconds - 2)
  rack.distort('a', (report) => report)
  await rack.pass(10)
  expect([await statuses(), told('replaced').length]).toEqual([{ '1 on a': 'active', '2 on b': 'active' }, 0])
})

describe('the breaker', () => {
  beforeEach(() => createRack(hosts, 2))

  const opened = () => rack.events.filter(({ type }) => type === 'breaker.opened').length
  const closed = () => rack.events.filter(({ type }) => type === 'breaker.closed').length

  test('holds back all replacements when several hosts fail together', async () => {
    kill('a')
    kill('b')
    await rack.pass(4 * judgedSeconds)
    expect([opened(), told('replaced').length]).toEqual([1, 0])
  })

  test('is closed by a recovery, and what has not recovered is replaced', async () => {
    kill('a')
    kill('b')
    await rack.pass(2 * judgedSeconds)
    revive('b')
    await rack.pass(judgedSeconds)
    expect([opened(), closed()]).toEqual([1, 1])
    expect(await statuses()).toEqual({ '1 on a': 'replaced', '1 on c': 'active', '2 on b': 'active' })
  })

  test('does not open for hosts that fail one after the other', async () => {
    kill('a')
    await rack.pass(judgedSeconds + lifeDefaults.breakerWindowSeconds)
    kill('b')
    await rack.pass(judgedSeconds + lifeDefaults.breakerWindowSeconds)
    expect([opened(), (await statuses())['1 on c'], (await statuses())['2 on c']]).toEqual([0, 'active', 'active'])
  })
})

test('a host in maintenance is left by one instance after the other, and its VIP never lacks one', async () => {
  await createRack(hosts, 2)
  const [vip] = (await show()).vips
  await setMaintenance('a', true)
  await rack.pass(6)
  expect(await statuses()).toEqual({ '1 on c': 'active', '2 on b': 'active' })
  expect((await on('c'))?.heldVips).toEqual([vip ?? ''])
  expect(told('reinstated')).toHaveLength(0)
})

test('whom a handover has cut off stands in the event', async () => {
  await createRack(hosts, 2)
  rack.distort('a', (report) => ({
    ...report,
    instances: report.instances.map((one) => (one.drained === true ? { ...one, connectionsCut: 3 } : one)),
  }))
  await setMaintenance('a', true)
  await rack.pass(6)
  expect(told('retired').map(({ data }) => data)).toMatchObject([{ slot: 1, connectionsCut: 3 }])
})

test('a person sees what the breaker holds back, and lets it go on', async () => {
  await createRack(hosts, 2)
  const breaker = createBreakerService(rack.context)
  kill('a')
  kill('b')
  // Only when two hosts see that the others are gone can anybody be condemned: here one is left, once the window is over.
  await rack.pass(lifeDefaults.breakerWindowSeconds + judgedSeconds)
  const open = get(await breaker.show(rack.context.request()))
  expect([open.status, open.hosts, open.heldBack.map(({ slot }) => slot)]).toEqual(['open', ['a', 'b'], [1, 2]])
  expect((await breaker.show(rack.context.request('x', { caller: projectCaller(rack.projectId) }))).ok).toBe(false)
  get(await breaker.reset(rack.context.request()))
  await rack.pass(3)
  expect(await statuses()).toEqual({
    '1 on a': 'replaced',
    '1 on c': 'active',
    '2 on b': 'replaced',
    '2 on c': 'active',
  })
  expect(get(await breaker.show(rack.context.request())).status).toBe('closed')
})
