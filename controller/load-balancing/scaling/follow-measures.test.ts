import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { refuseUnavailable } from '../../access/problems.ts'
import { loadBalancerCreateSchema } from '../../contract/load-balancer.ts'
import type { MetricsQuery } from '../../contract/metrics.ts'
import { succeed } from '../../contract/problem.ts'
import { createTestRack, type TestRack } from '../../test-rack.ts'
import type { ExpectedLoads } from './expected-loads.ts'
import { createMeasuresFollower } from './follow-measures.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

const minuteMs = 60_000
const hourMs = 60 * minuteMs

let rack: TestRack
let id: string
let questions: MetricsQuery[]
let seen: { atMs: number; value: number }[]
let isAway: boolean

const expectedLoads: ExpectedLoads = {
  observe: (_, observation) => seen.push(observation),
  foresee: () => null,
  keep: () => {},
}

/** Each minute as many as it is of its hour, and nothing of the last hour but three. */
const metrics: Parameters<typeof createMeasuresFollower>[1] = {
  ask: async (query) => {
    questions.push(query)
    if (isAway) return refuseUnavailable('measures are being read', 5)
    const [from, to, stepMs] = [
      Date.parse(query.from ?? ''),
      Date.parse(query.to ?? ''),
      Number.parseInt(query.step ?? '', 10) * 1000,
    ]
    const values = Array.from({ length: (to - from) / stepMs }, (_, i) => {
      const atMs = from + i * stepMs
      return atMs < rack.context.now() - 3 * hourMs && atMs >= rack.context.now() - 4 * hourMs ? null : atMs / minuteMs
    })
    return succeed({
      object: query.object,
      from: query.from ?? '',
      to: query.to ?? '',
      stepSeconds: stepMs / 1000,
      resolutionSeconds: 60,
      timeAggregation: 'mean',
      series: [{ measure: query.measure, unit: 'requests/s', labels: {}, values }],
    })
  },
}

beforeEach(async () => {
  rack = await createTestRack()
  const { services, context, projectId } = rack
  const network = await services.networks.create({ name: 'net', projectId, mtu: 1400 }, context.request())
  if (!network.ok) throw new Error(network.problem.detail)
  const common = { projectId, networkId: network.value.id, trafficType: 'http', listeners: [{ port: 80 }] }
  const create = (parts: object) =>
    services.loadBalancers.create(v.parse(loadBalancerCreateSchema, { ...common, ...parts }), context.request())
  const pool = await services.pools.create({ name: 'pool', projectId, cidr: '10.0.0.0/16' }, context.request())
  if (!pool.ok) throw new Error(pool.problem.detail)
  await services.shards.create(
    { poolId: pool.value.id, networkId: network.value.id, sizeAddresses: 1024 },
    context.request(),
  )
  const scaled = await create({ name: 'shop', autoScaling: true, members: [{ address: '10.0.0.200' }] })
  if (!scaled.ok) throw new Error(scaled.problem.detail)
  id = scaled.value.id
  await create({ name: 'fixed', members: [{ address: '10.0.0.201' }] })
  questions = []
  seen = []
  isAway = false
})

const follower = () => createMeasuresFollower(rack.context, metrics, expectedLoads)

describe('what is measured of a balancer that is scaled', () => {
  test('is read from two weeks ago on, then each minute once, in order and without gaps but those there are', async () => {
    const one = follower()
    for (let turn = 0; turn < 12; turn++) {
      await one.turn()
      rack.context.advance(45_000)
    }
    expect(new Set(questions.map(({ object }) => object))).toEqual(new Set([id]))
    expect(questions[0]?.step).toBe('300s')
    const stamps = seen.map(({ atMs }) => atMs)
    expect(stamps).toEqual([...new Set(stamps)].toSorted((a, b) => a - b))
    expect(seen.every(({ atMs, value }) => value === atMs / minuteMs)).toBe(true)
    expect(seen.some(({ value }) => value === null)).toBe(false)
    expect(stamps.at(-1)).toBeGreaterThan(rack.context.now() - 4 * minuteMs)
    expect((stamps.at(-1) ?? 0) + minuteMs).toBeLessThanOrEqual(rack.context.now())
    expect(stamps[0]).toBeLessThan(rack.context.now() - 14 * 24 * hourMs)
  })

  test('is read by the next turn where it could not be', async () => {
    const one = follower()
    isAway = true
    await one.turn()
    expect(seen).toEqual([])
    isAway = false
    await one.turn()
    expect(seen.length).toBeGreaterThan(1000)
  })
})
