/** What is kept of one balancer for some hours, against what came and against Prometheus' database. */

import { encodePoints, type Point, pointIntervalSeconds } from '../../agent/contract/points.ts'
import type { BlockStore } from '../../controller/observed/metrics/block-store.ts'
import { flushOwner } from '../../controller/observed/metrics/flush-owner.ts'
import { createHead } from '../../controller/observed/metrics/head.ts'
import { createSeriesLimit } from '../../controller/observed/metrics/series-limit.ts'
import { createTestBlocks } from '../../controller/observed/metrics/test-blocks.ts'
import { readingsTier, tiers } from '../../controller/observed/metrics/tiers.ts'
import type { BenchContext } from '../bench.ts'
import { countValues, createFleet } from './points.ts'
import { measurePrometheus } from './prometheus-size.ts'

const fleet = { balancers: 1, members: 10, hosts: ['a'] }
const begin = Date.parse('2030-01-01T06:00:00Z')

export async function measureSizes({ tell }: BenchContext, hours: number) {
  const ticks = (hours * 3600) / pointIntervalSeconds
  const blocks = createTestBlocks()
  const flushMilliseconds: number[] = []
  let [values, wireBytes, textBytes] = [0, 0, 0]
  const ticksOfPiece = readingsTier.blockSeconds / pointIntervalSeconds
  let head = createHead(createSeriesLimit())
  for (const [tick, points] of say(ticks).entries()) {
    values += countValues(points)
    wireBytes += encodePoints(points).length
    textBytes += JSON.stringify(toRows(points)).length
    const now = begin + 1000 * tick * pointIntervalSeconds
    head.accept({ origin: { kind: 'host', host: 'a' }, points }, now, now)
    if ((tick + 1) % ticksOfPiece !== 0) continue
    const start = now - (now % (1000 * readingsTier.blockSeconds))
    const before = performance.now()
    await flush(blocks, head, start)
    flushMilliseconds.push(performance.now() - before)
    head = createHead(createSeriesLimit())
  }
  tell(`${values} values in ${hours} h; promtool makes its blocks of them`)
  const prometheusBytes = await measurePrometheus(say(ticks))
  const sizeOf = (isIt: (subject: string) => boolean) =>
    [...blocks.stored].reduce((sum, [subject, bytes]) => sum + (isIt(subject) ? bytes.length : 0), 0)
  const isReadings = (subject: string) => subject.includes(`.${readingsTier.name}.`)
  return {
    hours,
    values,
    wireBytes,
    textBytes,
    readingsBytes: sizeOf(isReadings),
    rollupBytes: sizeOf((subject) => !isReadings(subject)),
    prometheusBytes,
    bytesByTier: Object.fromEntries(
      tiers.map(({ name }) => [name, sizeOf((subject) => subject.includes(`.${name}.`))]),
    ),
    flushMilliseconds,
  }
}

function* sayEach(ticks: number): Generator<Point[]> {
  const hosts = createFleet(fleet)
  for (let tick = 0; tick < ticks; tick++) {
    yield hosts.flatMap((host) => host.say(tick, begin / 1000 + tick * pointIntervalSeconds))
  }
}
const say = (ticks: number) => [...sayEach(ticks)]

/** As encodePoints has them, before they are packed. */
const toRows = (points: readonly Point[]) =>
  points.map(({ host, plugin, pluginInstance, type, typeInstance, timeSeconds, intervalSeconds, values }) => [
    ...[host, plugin, pluginInstance, type, typeInstance, timeSeconds, intervalSeconds],
    values,
  ])

async function flush(blocks: BlockStore, head: ReturnType<typeof createHead>, start: number): Promise<void> {
  const owners = head.blocks.get(start)
  if (owners === undefined) throw new Error('BUG: there is something to be written')
  for (const [owner, { series }] of owners) await flushOwner(blocks, { owner, start, fresh: series, isLast: true })
}
