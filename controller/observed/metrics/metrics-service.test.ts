import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { instanceName, listenerName, memberName, ownPlugins, shardName } from '../../../agent/contract/point-names.ts'
import { type PointType, pointTypes } from '../../../agent/contract/point-types.ts'
import type { Point } from '../../../agent/contract/points.ts'
import { balancer, createGround } from '../../../test/api/api-ground.ts'
import { createTestContext } from '../../access/test-context.ts'
import { createHead } from './head.ts'
import { graceSeconds } from './keep-metrics.ts'
import { measureShards } from './own-points.ts'
import { createSeriesLimit } from './series-limit.ts'
import { seriesLimitKind, tellCulprits } from './tell-culprits.ts'
import { createTestMetrics, type TestMetrics } from './test-metrics.ts'

setDefaultTimeout(60_000)

const hostA = { kind: 'host', host: 'a' } as const

async function createBalancerGround() {
  const ground = await createGround()
  const { world, projectId, networkId } = ground
  const created = await world.create('/v1/load-balancers', { ...balancer, projectId, networkId })
  await world.settle()
  const id = String(created.id)
  const instanceId = `lbi_${'0'.repeat(25)}`
  const pluginInstance = instanceName({ projectId, loadBalancerId: id, instanceId })
  /** All of its values 0 but those that are named. */
  const point = (
    type: PointType,
    typeInstance: string,
    at: number,
    values: Readonly<Record<string, number>>,
  ): Point => ({
    host: 'a',
    plugin: ownPlugins.haproxy,
    pluginInstance,
    type,
    typeInstance,
    timeSeconds: at / 1000,
    intervalSeconds: 10,
    values: pointTypes[type].map(({ name }) => values[name] ?? 0),
  })
  const ask = (query: string, token?: string) =>
    world.call('GET', `/v1/metrics?${query}`, undefined, token === undefined ? {} : { token })
  return { ...ground, id, instanceId, point, ask, now: world.context.now() }
}

/** A request a second more with each reading, for a quarter of an hour until now. */
async function measureSome() {
  const ground = await createBalancerGround()
  const { world, point, now } = ground
  const members = ['1', '2'].map((last) => `mbr_${last.padStart(25, '0')}`)
  for (let at = now - 900_000, count = 0; at <= now; at += 10_000, count += 100) {
    world.metrics.say(hostA, [
      point('haproxy_process', '', at, { requests_total: count, connections: 4 }),
      point('haproxy_listener', listenerName(80), at, { requests_total: count, response_time: 0.2 }),
      ...members.map((member, i) =>
        point('haproxy_member', memberName(80, member, 'a'), at, {
          connections_total: (count * (i + 1)) / 2,
          response_time: 0.2,
        }),
      ),
    ])
  }
  return { ...ground, members }
}

const valuesOf = (body: unknown) =>
  (body as { series: { values: (number | null)[] }[] }).series.map(({ values }) => values)

describe('a question', () => {
  test('of a balancer is answered by what its instances say', async () => {
    const { ask, id } = await measureSome()
    const { status, body } = await ask(`object=${id}&measure=requestsPerSecond,connections&from=-5m&step=1m`)
    expect(status).toBe(200)
    expect(body).toMatchObject({ stepSeconds: 60, resolutionSeconds: 60, timeAggregation: 'mean' } as object)
    const [requests = [], connections = []] = valuesOf(body)
    expect(requests.slice(0, 5)).toEqual([10, 10, 10, 10, 10])
    expect(connections.slice(0, 5)).toEqual([4, 4, 4, 4, 4])
  })

  test('by member has a series for each, and another measure where members count another thing', async () => {
    const { ask, id, members } = await measureSome()
    const { body } = await ask(`object=${id}&measure=requestsPerSecond&from=-5m&step=5m&by=member`)
    const series = (body as unknown as { series: { labels: Record<string, string>; values: number[] }[] }).series
    expect(series.map(({ labels, values }) => [labels.member, values[0]])).toEqual([
      [members[0], 5],
      [members[1], 10],
    ])
  })

  test('of a listener, of an instance, and of a data source without a word for it', async () => {
    const { ask, id } = await measureSome()
    expect(valuesOf((await ask(`object=${id}:80&measure=latencyMilliseconds&from=-5m&step=5m`)).body)[0]?.[0]).toBe(200)
    expect(valuesOf((await ask(`object=${id}:81&measure=latencyMilliseconds&from=-5m&step=5m`)).body)[0]?.[0]).toBe(
      null,
    )
    const raw = await ask(`object=${id}&measure=haproxy_member.connections_total&from=-5m&step=5m&aggregation=max`)
    expect(valuesOf(raw.body)[0]?.[0]).toBe(10)
  })

  test("of another project's object is answered as if there were none", async () => {
    const { ask, id, world } = await measureSome()
    const other = await world.create('/v1/projects', { name: 'other', user: 'jane' })
    const { token } = await world.create('/v1/tokens', { name: 'reader', projectId: other.id })
    for (const object of [
      id,
      `${id}:80`,
      'host-a',
      'controller',
      `mbr_${'0'.repeat(25)}`,
      String(other.id).replace('prj', 'lb'),
    ]) {
      expect((await ask(`object=${object}&measure=connections`, String(token))).status).toBe(404)
    }
    expect((await ask(`object=${String(other.id)}&measure=cpu.value`, String(token))).status).toBe(200)
  })

  const refusals: readonly (readonly [string, string])[] = [
    ['measure=fairies', 'measure'],
    ['measure=p99', 'histograms'],
    ['measure=connections&by=member,host', 'by'],
    ['measure=connections&from=2030-02-31T00:00:00Z', 'before to'],
    ['measure=connections&from=-10m&to=-20m', 'before to'],
    ['measure=connections&from=-800d', 'days ago'],
    ['measure=connections&to=2040-01-01T00:00:00Z', 'future'],
    ['measure=connections&step=0', 'multiple of 10'],
    ['measure=connections&step=15s', 'multiple of 10'],
    ['measure=connections&from=-20d&step=10s', 'multiple of 300'],
    ['measure=connections&from=-20h&to=-1h&step=10s&aggregation=p99', 'aggregation'],
    ['measure=connections&from=-300d&step=1h&to=now', 'ok'],
    ['measure=connections&from=-7d&step=10s', 'multiple of 60'],
    ['measure=connections&from=yesterday', 'from'],
    [`measure=${Array.from({ length: 21 }, (_, i) => `m${i}`).join()}`, 'more than 20'],
  ]
  for (const [query, word] of refusals) {
    test(`${query.slice(0, 60)} is answered with ${word}`, async () => {
      const { ask, id } = await createBalancerGround()
      const { status, body } = await ask(`object=${id}&${query}`)
      if (word === 'ok') expect(status).toBe(200)
      else {
        expect(status).toBe(422)
        expect(JSON.stringify(body)).toContain(word)
      }
    })
  }

  test('whatever is asked is answered or refused, and never fails', async () => {
    const { ask, id } = await measureSome()
    const time = fc.constantFrom(
      'now',
      '-1s',
      '-90m',
      '-3d',
      '-39d',
      '-399d',
      '2029-12-31T23:00:00Z',
      '2030-01-01T00:00:00Z',
    )
    const step = fc.constantFrom('10s', '30', '1m', '7m', '1h', '36h', '99999999d', '0')
    await fc.assert(
      fc.asyncProperty(
        time,
        time,
        step,
        fc.constantFrom('instance', 'member', 'host', 'source'),
        async (from, to, length, by) => {
          const { status } = await ask(`object=${id}&measure=connections&from=${from}&to=${to}&step=${length}&by=${by}`)
          expect([200, 422]).toContain(status)
        },
      ),
    )
  })
})

describe('an answer', () => {
  const history = fc.array(
    fc.record({ at: fc.integer({ min: 0, max: 1080 }), value: fc.integer({ min: 0, max: 100 }) }),
    {
      minLength: 1,
      maxLength: 80,
    },
  )

  test('is the same from blocks, from the head, and from both, and is the mean of what was said', async () => {
    const ground = await createBalancerGround()
    const { id, point, now } = ground
    const begin = now - 3 * 3600 * 1000
    await fc.assert(
      fc.asyncProperty(
        history,
        fc.constantFrom(10, 60, 300, 600, 3600),
        fc.nat({ max: 3 }),
        async (said, step, quarters) => {
          const context = { ...createTestContext(), store: ground.world.context.store }
          const range = `from=${new Date(begin).toISOString()}&to=${new Date(now).toISOString()}`
          const query = {
            object: id,
            measure: 'connections',
            from: new Date(begin).toISOString(),
            to: new Date(now).toISOString(),
          }
          const answers: unknown[] = []
          for (const flushedUntil of [begin, begin + quarters * 3_000_000, now + 1_000_000]) {
            const metrics = await fill(
              context,
              said.map(({ at, value }) => {
                return point('haproxy_process', '', begin + at * 10_000, { connections: value })
              }),
              flushedUntil,
            )
            const answer = await metrics.service.ask(
              { ...query, step: `${step}s` },
              { caller: { tokenId: '', scope: 'admin', projectId: null } },
            )
            if (!answer.ok) throw new Error(`${range}: ${answer.problem.detail}`)
            answers.push(answer.value.series[0]?.values)
          }
          expect(answers[1]).toEqual(answers[0])
          expect(answers[2]).toEqual(answers[0])
          expect(answers[0]).toEqual(expectedMeans(said, step))
        },
      ),
      { numRuns: 12 },
    )
  })

  /** Of several readings at one time the greatest counts. */
  function expectedMeans(said: readonly { readonly at: number; readonly value: number }[], step: number) {
    const byTime = new Map<number, number>()
    for (const { at, value } of said) byTime.set(at, Math.max(value, byTime.get(at) ?? 0))
    return Array.from({ length: (3 * 3600) / step }, (_, i) => {
      const values = [...byTime].filter(([at]) => Math.floor((at * 10) / step) === i).map(([, value]) => value)
      return values.length === 0 ? null : Number((values.reduce((a, b) => a + b, 0) / values.length).toPrecision(6))
    })
  }

  async function fill(
    context: ReturnType<typeof createTestContext>,
    points: readonly Point[],
    flushedUntil: number,
  ): Promise<TestMetrics> {
    let now = context.now()
    const metrics = await createTestMetrics({ store: context.store, now: () => now })
    metrics.say(hostA, points)
    now = flushedUntil + graceSeconds * 1000
    await metrics.keeper.flush()
    now = context.now()
    return metrics
  }
})

describe('series', () => {
  const foreign = (i: number): Point => ({
    host: 'a',
    plugin: 'exec',
    pluginInstance: '',
    type: 'gauge',
    typeInstance: `invented-${i}`,
    timeSeconds: 1,
    intervalSeconds: 10,
    values: [1],
  })

  test('that are too many are dropped, those that are known are not, and who makes them is told once', async () => {
    const events: { type: string; data: unknown }[] = []
    const context = createTestContext({ onEvent: ({ type, data }) => events.push({ type, data }) })
    const limit = createSeriesLimit({ ofProject: 10, ofHost: 3 })
    const head = createHead(limit)
    const say = (points: readonly Point[]) => head.accept({ origin: hostA, points }, 1000, 1000)
    say([0, 1, 2].map(foreign))
    for (let i = 3; i < 10; i++) say([foreign(i)])
    say([{ ...foreign(0), timeSeconds: 2 }])
    expect(head.counts().dropped.tooManySeries).toBe(7)
    expect(head.latest.size).toBe(3)
    await tellCulprits(context, limit.takeCulprits())
    say([foreign(11)])
    await tellCulprits(context, limit.takeCulprits())
    const data = { owner: 'a', seriesMaximum: 3, host: 'a', plugin: 'exec', refused: 7 }
    expect(events).toEqual([{ type: 'metrics.limited', data }])
    expect(context.store.snapshot(seriesLimitKind)).toHaveLength(1)
    context.advance(3600 * 1000)
    say([foreign(12)])
    await tellCulprits(context, limit.takeCulprits())
    expect(events).toHaveLength(2)
  })

  test('of a project that says too much leave others theirs', () => {
    const head = createHead(createSeriesLimit({ ofProject: 1, ofHost: 1 }))
    for (const last of ['1', '2']) {
      const projectId = `prj_${last.padStart(25, '0')}`
      head.accept({ origin: { kind: 'project', projectId }, points: [0, 1, 2].map(foreign) }, 1000, 1000)
    }
    expect(head.latest.size).toBe(2)
  })

  test('that say nothing any more make room', () => {
    const head = createHead(createSeriesLimit({ ofProject: 1, ofHost: 1 }))
    head.accept({ origin: hostA, points: [foreign(0)] }, 1000, 1000)
    for (const ofPiece of head.blocks.values()) for (const block of ofPiece.values()) block.dirtyUntil = null
    head.forget(1001)
    head.accept({ origin: hostA, points: [foreign(1)] }, 1000, 1000)
    expect(head.counts().dropped.tooManySeries).toBe(0)
  })

  test('from the future, from long ago and without a plain name are counted and not kept', () => {
    const head = createHead(createSeriesLimit())
    const now = Date.parse('2030-01-01T00:00:00Z')
    const at = (seconds: number, more: Partial<Point> = {}) => ({
      ...foreign(0),
      timeSeconds: now / 1000 + seconds,
      ...more,
    })
    head.accept(
      { origin: hostA, points: [at(61), at(-27 * 3600), at(0, { typeInstance: 'a\0b' }), at(0), at(0)] },
      now,
      now,
    )
    expect(head.counts()).toEqual({
      points: 5,
      doubled: 1,
      dropped: { future: 1, tooOld: 1, malformed: 1, tooManySeries: 0 },
    })
  })
})

test('how full shards are is measured by the controller', async () => {
  const { world, networkId, projectId } = await createGround()
  const pool = await world.create('/v1/pools', { name: 'more', projectId, cidr: '10.9.0.0/16' })
  const shard = await world.create('/v1/shards', { poolId: pool.id, sizeAddresses: 256, networkId })
  const points = measureShards(world.context, world.context.now() - 10_000)
  const name = shardName({ projectId, networkId, shardId: String(shard.id) })
  expect(points.find(({ pluginInstance }) => pluginInstance === name)?.values).toEqual([256, 0])
  world.metrics.say({ kind: 'controller' }, points)
  const { body } = await world.call('GET', `/v1/metrics?object=${shard.id}&measure=takenAddresses&from=-1m&step=10s`)
  expect(valuesOf(body)[0]?.at(-1)).toBe(0)
})
