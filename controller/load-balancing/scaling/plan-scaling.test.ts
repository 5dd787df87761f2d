import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import type { HostReport } from '../../../agent/contract/host-report.ts'
import { loadBalancerCreateSchema } from '../../contract/load-balancer.ts'
import type { Outcome } from '../../contract/problem.ts'
import { loadBalancerScalingKind, loadBalancerSlotsKind } from '../../objects.ts'
import { createTestRack, type TestRack } from '../../test-rack.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let rack: TestRack
let networkId: string
/** Of each instance. */
let requestsPerSecond = 0

function get<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`)
  return outcome.value
}

const withLoads = (report: HostReport): HostReport => {
  const seconds = rack.context.now() / 1000
  return {
    ...report,
    loads: report.instances.map(({ id }) => ({
      id,
      atSeconds: seconds,
      worker: 1,
      threads: 2,
      cpuSeconds: 0,
      requests: counters.get(id) ?? counters.set(id, 0).get(id) ?? 0,
      connections: 0,
      latencyMilliseconds: 0,
    })),
  }
}
const counters = new Map<string, number>()

const autoScaling = {
  minimum: 1,
  maximum: 4,
  targets: { requestsPerSecond: 100 },
  cooldown: { outSeconds: 2, inSeconds: 20 },
}

async function createBalancer(parts: object = {}): Promise<string> {
  const input = v.parse(loadBalancerCreateSchema, {
    name: 'shop',
    projectId: rack.projectId,
    networkId,
    trafficType: 'http',
    listeners: [{ port: 80 }],
    members: [{ address: '10.0.0.200' }],
    instanceCount: 1,
    autoScaling,
    ...parts,
  })
  const { id } = get(await rack.services.loadBalancers.create(input, rack.context.request()))
  await rack.settle()
  return id
}

/** Time goes on: hosts report, and the loop turns. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    rack.context.advance(1000)
    for (const [id, count] of counters) counters.set(id, count + requestsPerSecond)
    rack.beat()
    await rack.reconciler.turn()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const show = async (id: string) => get(await rack.services.loadBalancers.show(id, rack.context.request()))
const desiredOf = (id: string) => rack.store.snapshot(loadBalancerScalingKind).find((one) => one.id === id)?.value
const slotsOf = (id: string) =>
  rack.store.snapshot(loadBalancerSlotsKind).find((one) => one.id === id)?.value.slots ?? []

beforeEach(async () => {
  rack = await createTestRack()
  counters.clear()
  requestsPerSecond = 0
  const { services, context, projectId } = rack
  const pool = get(await services.pools.create({ name: 'pool', projectId, cidr: '10.0.0.0/16' }, context.request()))
  networkId = get(await services.networks.create({ name: 'net', projectId, mtu: 1400 }, context.request())).id
  get(await services.shards.create({ poolId: pool.id, networkId, sizeAddresses: 1024 }, context.request()))
  for (const host of ['a', 'b', 'c']) rack.distort(host, withLoads)
})

describe('a balancer that is scaled', () => {
  test('begins with its minimum, where that is more', async () => {
    const id = await createBalancer({ instanceCount: undefined, autoScaling: { ...autoScaling, minimum: 3 } })
    expect((await show(id)).instances.length).toBe(3)
  })

  test('has more instances when its load asks for them, tells why, and stays active meanwhile', async () => {
    const id = await createBalancer()
    await pass(3)
    requestsPerSecond = 250
    await pass(12)
    const { instances, vips, status } = await show(id)
    // Two instances have 250 each by then, and so on: this load grows with them.
    expect([instances.length, vips.length, status]).toEqual([4, 4, 'active'])
    const scaled = rack.events.filter(({ type }) => type === 'load-balancer.scaled')
    expect(scaled[0]?.data).toMatchObject({
      name: 'shop',
      from: 1,
      reasons: [{ reason: 'target', figures: { metric: 'requestsPerSecond', limit: 100 } }],
    })
    expect(rack.events.filter(({ type }) => type === 'load-balancer.degraded')).toEqual([])
    expect(rack.events.filter(({ type, subject }) => type === 'load-balancer.activated' && subject === id).length).toBe(
      1,
    )
  })

  test('gives them back one step after the other, when the load has been low for long', async () => {
    const id = await createBalancer()
    requestsPerSecond = 250
    await pass(14)
    requestsPerSecond = 0
    await pass(15)
    expect((await show(id)).vips.length).toBe(4)
    await pass(45)
    expect((await show(id)).instances.map(({ slot }) => slot)).toEqual([1])
    const steps = rack.events
      .filter(({ type }) => /withdrawn|drained|instance.deleted/.test(type))
      .map(({ type }) => type)
    expect(steps.filter((type) => type.endsWith('withdrawn')).length).toBe(3)
    expect(steps.filter((type) => type.endsWith('drained')).length).toBe(3)
    expect(steps.filter((type) => type.endsWith('deleted')).length).toBe(3)
  })

  test('gives none back while a host is silent, and still adds', async () => {
    const id = await createBalancer({ instanceCount: 3 })
    await pass(5)
    const host = (await show(id)).instances[2]?.host ?? ''
    rack.cut(host)
    await pass(60)
    expect(desiredOf(id)?.desiredCount).toBe(3)
    requestsPerSecond = 350
    await pass(15)
    expect(desiredOf(id)?.desiredCount).toBe(4)
  })

  test('is carried on by a controller that has just begun, with what was decided', async () => {
    const id = await createBalancer()
    requestsPerSecond = 150
    await pass(14)
    const before = desiredOf(id)
    expect(before?.lastOutAt).not.toBeNull()
    // What has just begun knows no load: it takes nothing away, and has nothing to do.
    expect(rack.planAnew().filter(({ kind }) => kind === 'scale')).toEqual([])
    expect(desiredOf(id)).toEqual(before)
  })

  test('takes a slot back that was on its way out', async () => {
    const id = await createBalancer({ instanceCount: 2, autoScaling: false })
    const before = slotsOf(id)
    const want = (instanceCount: number) =>
      rack.services.loadBalancers.update(id, { instanceCount }, rack.context.request())
    get(await want(1))
    await rack.reconciler.turn()
    expect(slotsOf(id)[1]?.leavingSince).toBeDefined()
    get(await want(2))
    await rack.settle()
    expect(slotsOf(id)).toEqual(before)
    expect(rack.events.filter(({ type }) => /withdrawn|kept|drained/.test(type)).map(({ type }) => type)).toEqual([
      'load-balancer.instance.withdrawn',
      'load-balancer.instance.kept',
    ])
  })

  test('has what its caller asks for once it is not scaled any more', async () => {
    const id = await createBalancer({ instanceCount: 2, autoScaling: { ...autoScaling, minimum: 2 } })
    requestsPerSecond = 150
    await pass(14)
    expect(slotsOf(id).length).toBeGreaterThan(2)
    get(await rack.services.loadBalancers.update(id, { autoScaling: false }, rack.context.request()))
    await rack.settle()
    expect([slotsOf(id).length, desiredOf(id)]).toEqual([2, undefined])
  })

  test('is explained, with what would be decided now and what was', async () => {
    const id = await createBalancer()
    requestsPerSecond = 150
    await pass(14)
    const explained = get(await rack.services.loadBalancers.showScaling(id, rack.context.request()))
    expect(explained).toMatchObject({
      name: 'shop',
      bounds: { minimum: 1, maximum: 4 },
      desiredCount: desiredOf(id)?.desiredCount,
      reasons: [{ reason: 'target', figures: { metric: 'requestsPerSecond', limit: 100 } }, {}, {}],
    })
    expect(explained.decisions).toEqual([...(desiredOf(id)?.decisions ?? [])])
    expect(explained.load.requestsPerSecond).toBeGreaterThan(100)
  })

  test.each([
    [true, 4],
    [false, 1],
  ])('has more before its load asks for them, where predictive is %p', async (predictive, count) => {
    const id = await createBalancer({ autoScaling: { ...autoScaling, predictive } })
    const stepMs = 300_000
    const now = rack.context.now()
    // Every hour a crowd, and the next one is to come in a minute.
    for (let step = -12 * 48; step < 0; step++) {
      rack.expectedLoads.observe(id, { atMs: now + step * stepMs, value: step % 12 === 0 ? 390 : 50 })
    }
    requestsPerSecond = 50
    await pass(4)
    expect(desiredOf(id)?.desiredCount).toBe(count)
    const explained = get(await rack.services.loadBalancers.showScaling(id, rack.context.request()))
    expect(explained.forecast?.isUsed).toBe(predictive)
    expect(explained.reasons.map(({ reason }) => reason).includes('expected')).toBe(predictive)
  })

  test('of which nobody asks for scaling is explained as well', async () => {
    const id = await createBalancer({ autoScaling: false })
    const explained = get(await rack.services.loadBalancers.showScaling(id, rack.context.request()))
    expect(explained).toMatchObject({ bounds: null, desiredCount: 1, reasons: [{ reason: 'steady' }], decisions: [] })
  })

  test('leaves nothing behind', async () => {
    const id = await createBalancer()
    requestsPerSecond = 150
    await pass(14)
    get(await rack.services.loadBalancers.remove(id, rack.context.request()))
    await rack.settle()
    expect(desiredOf(id)).toBeUndefined()
  })
})
