import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { instanceName, memberName, ownPlugins } from '../../../agent/contract/point-names.ts'
import { encodePoints, type Point, pointSubject } from '../../../agent/contract/points.ts'
import { createHead } from './head.ts'
import { createMetricsKeeper, graceSeconds, type MetricsKeeper } from './keep-metrics.ts'
import { addReading, createReadings } from './readings.ts'
import { rollUp, type Windows } from './rollup.ts'
import { seriesKeyOf } from './series.ts'
import { createSeriesLimit } from './series-limit.ts'
import { decodeReadings, decodeWindows } from './sheets.ts'
import { createTestBlocks, type TestBlocks } from './test-blocks.ts'
import { listBlocks, readingsTier, rollupTiers, type Tier } from './tiers.ts'

setDefaultTimeout(60_000)

const id = (kind: string) => `${kind}_${'0'.repeat(25)}`
const balancer = id('lb')
const names = instanceName({ projectId: id('prj'), loadBalancerId: balancer, instanceId: id('lbi') })
const epoch = Date.parse('2030-01-01T10:00:00Z')
/** Of the type, the columns that are told: a gauge and three that count up. */
const width = 4

const describePoint = (host: string, milliseconds: number, values: readonly number[]): Point => ({
  host,
  plugin: ownPlugins.haproxy,
  pluginInstance: names,
  type: 'haproxy_member',
  typeInstance: memberName(80, id('mbr'), 'a'),
  timeSeconds: (epoch + milliseconds) / 1000,
  intervalSeconds: 10,
  values,
})

interface Message {
  readonly host: string
  readonly arrivedAt: number
  readonly points: readonly Point[]
}

/** A controller that can be killed and begun again, over blocks and a stream that outlive it. */
function createBench(blocks: TestBlocks) {
  const stream: Message[] = []
  let now = epoch
  let keeper: MetricsKeeper
  const take = ({ host, arrivedAt, points }: Message) =>
    keeper.take({ subject: pointSubject({ kind: 'host', host }), data: encodePoints(points), storedAt: arrivedAt })
  return {
    async begin() {
      const head = createHead(createSeriesLimit())
      keeper = await createMetricsKeeper({ blocks, head, now: () => now, logger: { warn: () => undefined } })
      for (const message of stream) if (message.arrivedAt >= keeper.replayFrom) take(message)
    },
    say(message: Message) {
      now = Math.max(now, message.arrivedAt)
      stream.push(message)
      take(message)
    },
    flush: async () => keeper.flush(),
    pass(seconds: number) {
      now += seconds * 1000
    },
  }
}

/** What should be kept, from nothing but the set of points. */
function expectBlocks(blocks: TestBlocks, messages: readonly Message[], tier: Tier): void {
  const expected = new Map<string, Windows[]>()
  const sets = new Map<string, ReturnType<typeof createReadings>>()
  for (const point of messages.flatMap(({ points }) => points)) {
    const set = sets.get(seriesKeyOf(point)) ?? createReadings(width)
    sets.set(seriesKeyOf(point), set)
    addReading(set, Math.round(point.timeSeconds * 1000), point.values)
  }
  for (const [key, { times, columns }] of sets) {
    const kinds = ['gauge', 'derive', 'derive', 'derive'] as const
    const roll = (column: (typeof columns)[number], i: number) =>
      rollUp(times, column, { kind: kinds[i] ?? 'gauge', windowSeconds: tier.seconds, before: null })
    expected.set(key, columns.map(roll))
  }
  expect(collect(blocks, tier)).toEqual(expected)
}

function collect(blocks: TestBlocks, tier: Tier): Map<string, Windows[]> {
  const collected = new Map<string, Windows[]>()
  for (const start of listBlocks(tier, epoch - 86_400_000, epoch + 3 * 86_400_000)) {
    const bytes = blocks.stored.get(`metrics.${tier.name}.${balancer}.haproxy_member.${start / 1000}`)
    for (const [key, { windows }] of decodeWindows(bytes ?? null)) {
      const all = collected.get(key) ?? []
      collected.set(key, all)
      for (const [i, one] of windows.entries()) {
        const whole = all[i] ?? { starts: [], count: [], least: [], greatest: [], last: [], sum: [], weight: [] }
        all[i] = whole
        for (const column of Object.keys(whole) as (keyof Windows)[]) whole[column].push(...one[column])
      }
    }
  }
  return collected
}

const value = fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.constant(0), fc.constant(Number.NaN))
const said = fc.record({
  host: fc.constantFrom('a', 'b'),
  /** When it was measured: most of it where one piece ends and the next begins. */
  at: fc.oneof(
    fc.integer({ min: 0, max: 720 }).map((tens) => tens * 10_000),
    fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: -9, max: 9 })).map(([piece, tens]) => {
      return 1000 * (piece * readingsTier.blockSeconds + 10 * tens)
    }),
  ),
  values: fc.array(value, { minLength: width, maxLength: width }),
  /** How late it comes; a clock may be ahead. */
  lateSeconds: fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: -30, max: 20 }) },
    { weight: 1, arbitrary: fc.integer({ min: 20, max: 8000 }) },
  ),
  isDoubled: fc.boolean(),
  next: fc.constantFrom('nothing', 'flush', 'restart', 'flush and restart', 'fail'),
})

describe('blocks', () => {
  test('are those of the set of points, whatever the order in which they come, restarts and failures included', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(said, { minLength: 1, maxLength: 60 }), fc.nat(), async (history, seed) => {
        const blocks = createTestBlocks()
        const bench = createBench(blocks)
        await bench.begin()
        const arrivals = history
          .flatMap((one, i) => {
            const arrivedAt = epoch + one.at + 1000 * one.lateSeconds
            const again = { ...one, arrivedAt: arrivedAt + (i % 7) * 400_000 }
            return one.isDoubled ? [{ ...one, arrivedAt }, again] : [{ ...one, arrivedAt }]
          })
          .toSorted((a, b) => a.arrivedAt - b.arrivedAt)
        const messages: Message[] = []
        let requests = seed
        for (const { host, at, values, arrivedAt, next } of arrivals) {
          const message = { host, arrivedAt, points: [describePoint(host, at, values)] }
          messages.push(message)
          bench.say(message)
          blocks.interfere = () => {
            if (next === 'fail' && requests++ % 5 === 0) throw new Error('the server is away')
          }
          if (next !== 'nothing' && next !== 'restart') await bench.flush().catch(() => false)
          if (next.endsWith('restart')) await bench.begin()
        }
        blocks.interfere = () => undefined
        bench.pass(graceSeconds + 2 * readingsTier.blockSeconds)
        expect(await bench.flush()).toBe(true)
        for (const tier of rollupTiers) expectBlocks(blocks, messages, tier)
      }),
      { numRuns: 40 },
    )
  })

  test('are written once for what came in time, and not again by a restart', async () => {
    const blocks = createTestBlocks()
    const bench = createBench(blocks)
    await bench.begin()
    for (let second = 0; second < 1800; second += 10) {
      const at = second * 1000
      bench.say({ host: 'a', arrivedAt: epoch + at, points: [describePoint('a', at, [second, second, 0, 0])] })
      await bench.flush()
    }
    bench.pass(graceSeconds)
    await bench.flush()
    let writes = 0
    blocks.interfere = (request) => {
      if (request === 'write') writes++
    }
    await bench.begin()
    await bench.flush()
    expect(writes).toBe(0)
    const first = decodeReadings(
      blocks.stored.get(`metrics.readings.${balancer}.haproxy_member.${epoch / 1000}`) ?? null,
    )
    expect([...first.values()].map(({ readings }) => readings.times.length)).toEqual([90])
  })

  test('are amended by what comes late, also where it is the reading before the first of the next piece', async () => {
    const blocks = createTestBlocks()
    const bench = createBench(blocks)
    await bench.begin()
    const messages: Message[] = []
    const say = async (second: number, arrivedSecond: number, count: number) => {
      const points = [describePoint('a', 1000 * second, [1, count, 0, 0])]
      const message = { host: 'a', arrivedAt: epoch + 1000 * arrivedSecond, points }
      messages.push(message)
      bench.say(message)
      await bench.flush()
    }
    await say(840, 840, 100)
    await say(910, 910, 200)
    await say(5000, 5000, 300)
    await say(890, 5010, 110)
    for (const tier of rollupTiers.slice(0, 2)) {
      const kept = [...collect(blocks, tier).values()].map(([, requests]) => requests?.sum.slice(0, 2))
      expect(kept).toEqual([[10, 90]])
    }
    bench.pass(graceSeconds + readingsTier.blockSeconds)
    await bench.flush()
    for (const tier of rollupTiers) expectBlocks(blocks, messages, tier)
  })

  test('of two controllers that write at once have what both heard', async () => {
    const blocks = createTestBlocks()
    const benches = [createBench(blocks), createBench(blocks)]
    const messages: Message[] = []
    for (const bench of benches) await bench.begin()
    for (let second = 0; second < 2400; second += 10) {
      const at = second * 1000
      const message = { host: 'a', arrivedAt: epoch + at, points: [describePoint('a', at, [1, second, 0, 0])] }
      messages.push(message)
      benches[(second / 10) % 2]?.say(message)
    }
    for (const bench of benches) bench.pass(graceSeconds + readingsTier.blockSeconds)
    // The second rounds are of those that found their progress overtaken.
    for (let round = 0; round < 3; round++) await Promise.all(benches.map(({ flush }) => flush()))
    for (const tier of rollupTiers) expectBlocks(blocks, messages, tier)
  })
})
