/**
 * Allocations a second by our allocator on its store, against etcd, one transaction each and grouped as ours are, and
 * against JetStream by hand: the same batches with a message for each address, and as one message, which is how our
 * store writes them. All take turns in each round, with durable writes, on servers of their own that are fresh in each
 * round.
 */

import { startTestNatsServer } from '../controller/control-plane/test-nats-server.ts'
import { findMissingEtcd, observeEtcdVersion, startEtcd } from './allocate/etcd.ts'
import type { Pace } from './allocate/messages.ts'
import { countAddressBytes } from './allocate/sizes.ts'
import { shardCapacity } from './allocate/space.ts'
import { startWorker, type Worker } from './allocate/start-worker.ts'
import type { Bench, BenchContext } from './bench.ts'
import { plotLines } from './plot.ts'
import type { Aim, Result } from './result.ts'
import { median } from './statistics.ts'
import { createCleanup } from './system/cleanup.ts'

const timesDefault = 4
const controllerCounts = [1, 3]
const inFlights = [1, 8, 64]
const times = { warmUpMilliseconds: 250, milliseconds: 1000 }
/** So many shards are in a run's network: enough for twice the rate that was ever seen. */
const shards = 64

const sides = ['sluice', 'etcd', 'etcd, grouped', 'JetStream alone', 'JetStream, one message'] as const
type Side = (typeof sides)[number]

interface Run {
  readonly round: number
  readonly controllers: number
  readonly inFlight: number
  readonly side: Side
  readonly operationsPerSecond: number
  readonly failed: number
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
}

type Drive = (run: string, pace: Pace) => Promise<readonly Omit<Run, 'round' | 'controllers' | 'inFlight' | 'side'>[]>

export const allocate: Bench = {
  summary: 'allocations a second, against etcd, and against the same batches published to JetStream',

  async run(context) {
    const missing = findMissingEtcd()
    if (missing !== null) throw new Error(missing)
    const rounds = context.options.times ?? timesDefault
    const runs: Run[] = []
    for (let round = 0; round < rounds; round++) {
      for (const controllers of controllerCounts) {
        const found = await runRound(context, round, controllers)
        runs.push(...found)
        const words = found.map((run) => `${run.side} ${run.inFlight}: ${Math.round(run.operationsPerSecond)}`)
        context.tell(`${round + 1}/${rounds}, ${controllers} at a time: ${words.join(', ')}`)
      }
    }
    const rateOf = (side: Side, inFlight: number, controllers: number) =>
      median(samplesOf(runs, { side, inFlight, controllers }))
    return {
      title: 'Allocations a second',
      settings: {
        rounds,
        ...times,
        shards,
        shardCapacity,
        messageBytes: countAddressBytes(),
        natsSync: 'always',
        etcdVersion: observeEtcdVersion(),
      },
      series: listPlaces().map((place) => ({
        name: nameOf(place),
        unit: 'allocations/s',
        samples: samplesOf(runs, place),
        isFloor: place.side !== 'sluice',
      })),
      ratios: listRatios(rateOf),
      aims: listAims(rateOf),
      notes: [
        'In flight is per controller, and so are the batches of those that are grouped: each has one under way, of as many allocations as it has in flight. Several controllers are processes of their own, and race for one record.',
        'A transaction of etcd on its own creates its address alone, without a record: more of it would only conflict.',
        `Everything shares the processors: the clients of etcd are compiled Go, those of ours and of JetStream are Bun. Batches that lost a race and were written again, and allocations of ours that failed: ${describeFailed(runs)}.`,
      ],
      details: { runs },
    }
  },

  plot: (result) =>
    plotLines({
      title: result.title,
      subtitle: `durable, medians of ${result.series[0]?.samples.length} rounds in turns; ${result.machine.cores} cores, ${result.measuredAt.slice(0, 10)}`,
      xLabel: 'in flight at each controller',
      panels: controllerCounts.map((controllers) => ({
        title: controllers === 1 ? 'one controller' : `${controllers} controllers`,
        unit: 'allocations a second',
        series: sides.map((side) => ({
          label: side,
          isFloor: side === 'JetStream alone' || side === 'JetStream, one message',
          points: inFlights.map((inFlight) => ({
            x: inFlight,
            y: median(seriesOf(result, nameOf({ side, inFlight, controllers }))),
          })),
        })),
      })),
    }),
}

interface Place {
  readonly side: Side
  readonly inFlight: number
  readonly controllers: number
}

const listPlaces = (): readonly Place[] =>
  controllerCounts.flatMap((controllers) =>
    inFlights.flatMap((inFlight) => sides.map((side) => ({ side, inFlight, controllers }))),
  )

const nameOf = ({ side, inFlight, controllers }: Place) =>
  `${side}, ${inFlight} in flight${controllers === 1 ? '' : ` at each of ${controllers}`}`

const samplesOf = (runs: readonly Run[], { side, inFlight, controllers }: Place) =>
  runs
    .filter((run) => run.side === side && run.inFlight === inFlight && run.controllers === controllers)
    .map((run) => run.operationsPerSecond)

const seriesOf = (result: Result, name: string) => result.series.find((series) => series.name === name)?.samples ?? []

type RateOf = (side: Side, inFlight: number, controllers: number) => number

function listRatios(rateOf: RateOf): readonly { readonly name: string; readonly value: number }[] {
  return listPlaces()
    .filter(({ side }) => side !== 'sluice')
    .map((place) => {
      const { side, inFlight, controllers } = place
      return {
        name: `to ${nameOf(place)}`,
        value: rateOf('sluice', inFlight, controllers) / rateOf(side, inFlight, controllers),
      }
    })
}

function listAims(rateOf: RateOf): readonly Aim[] {
  return controllerCounts.flatMap((controllers) => {
    const by = controllers === 1 ? 'one controller' : `${controllers} controllers`
    const rate = rateOf('sluice', 64, controllers)
    const atLeast = (words: string, measured: number, bound: number, unit: string): Aim => {
      return { aim: `${by}, ${words} ≥ ${bound.toLocaleString('en-US')}`, measured, unit, met: measured >= bound }
    }
    return [
      atLeast('64 in flight, durable: allocations/s', rate, 15_000, '/s'),
      atLeast('64 in flight, to etcd with a transaction each', rate / rateOf('etcd', 64, controllers), 2, '×'),
      atLeast(
        '64 in flight, to etcd with the same grouping',
        rate / rateOf('etcd, grouped', 64, controllers),
        0.5,
        '×',
      ),
      atLeast('1 in flight, to etcd', rateOf('sluice', 1, controllers) / rateOf('etcd', 1, controllers), 1, '×'),
      atLeast('64 in flight, to the same batches by hand', rate / rateOf('JetStream alone', 64, controllers), 0.8, '×'),
    ]
  })
}

function describeFailed(runs: readonly Run[]): string {
  return sides
    .map((side) => `${side} ${runs.filter((run) => run.side === side).reduce((sum, { failed }) => sum + failed, 0)}`)
    .join(', ')
}

/** Starts everything afresh, and takes the sides in turns: in each round another one is first. */
async function runRound({ tell, cleanup }: BenchContext, round: number, controllers: number): Promise<readonly Run[]> {
  const own = createCleanup(tell)
  cleanup.defer('what a round has started', () => own.run())
  try {
    const drives = await startSides(own, controllers)
    // Those that compile as they run do so before anything counts.
    for (const side of ['sluice', 'JetStream alone', 'JetStream, one message'] as const)
      await drives[side]('warm', { ...times, inFlight: 64 })
    const runs: Run[] = []
    for (const inFlight of inFlights) {
      for (let turn = 0; turn < sides.length; turn++) {
        const side = sides[(turn + round) % sides.length]
        if (side === undefined) throw new Error('BUG: a turn without a side')
        const reports = await drives[side](`${inFlight}`, { ...times, inFlight })
        runs.push({ round, controllers, inFlight, side, ...together(reports) })
      }
    }
    return runs
  } finally {
    await own.run()
  }
}

function together(reports: Awaited<ReturnType<Drive>>) {
  // Who has lost every race has no latency to tell.
  const done = reports.filter(({ operationsPerSecond }) => operationsPerSecond > 0)
  return {
    operationsPerSecond: reports.reduce((sum, report) => sum + report.operationsPerSecond, 0),
    failed: reports.reduce((sum, report) => sum + report.failed, 0),
    p50Milliseconds: done.length === 0 ? 0 : median(done.map((report) => report.p50Milliseconds)),
    p99Milliseconds: Math.max(0, ...done.map((report) => report.p99Milliseconds)),
  }
}

async function startSides(cleanup: BenchContext['cleanup'], controllers: number): Promise<Record<Side, Drive>> {
  const bytes = countAddressBytes()
  // Servers apart, so that no controller reads along what is published by hand.
  const natsServers = await Promise.all([startTestNatsServer(), startTestNatsServer()])
  for (const server of natsServers) cleanup.defer('a nats-server', () => server.stop())
  const etcd = await startEtcd()
  cleanup.defer('etcd', () => etcd.stop())
  const start = async (kind: 'openController' | 'openRaw', url: string) => {
    const workers = Array.from({ length: controllers }, startWorker)
    for (const worker of workers) cleanup.defer('a worker', () => worker.stop())
    await Promise.all(workers.map((worker) => worker.ask({ kind, url }, 'ready')))
    return workers
  }
  const ours = await start('openController', natsServers[0].url)
  const byHand = await start('openRaw', natsServers[1].url)
  const clients = Array.from({ length: controllers }, (_, number) => number)
  return {
    sluice: (_, pace) => allocateBy(ours, pace),
    etcd: (run, pace) => Promise.all(clients.map((client) => etcd.loadSingly(`single/${run}/${client}`, bytes, pace))),
    'etcd, grouped': (run, pace) =>
      Promise.all(clients.map((client) => etcd.loadGrouped(`grouped/${run}/${client}`, run, bytes, pace))),
    'JetStream alone': (record, pace) =>
      publishBy(byHand, { record: `${record}-batch`, bytes, isOneMessage: false, pace }),
    'JetStream, one message': (record, pace) =>
      publishBy(byHand, { record: `${record}-message`, bytes, isOneMessage: true, pace }),
  }
}

const publishBy = (
  workers: readonly Worker[],
  batches: { readonly record: string; readonly bytes: number; readonly isOneMessage: boolean; readonly pace: Pace },
) => Promise.all(workers.map(async (worker) => (await worker.ask({ kind: 'publish', ...batches }, 'ran')).report))

/** All of them from one network, which is made for it. */
async function allocateBy(workers: readonly Worker[], pace: Pace): ReturnType<Drive> {
  const [first] = workers
  if (first === undefined) throw new Error('BUG: nobody allocates')
  const { space } = await first.ask({ kind: 'createSpace', shards }, 'space')
  await Promise.all(workers.map((worker) => worker.ask({ kind: 'awaitSpace', space }, 'ready')))
  return await Promise.all(
    workers.map(async (worker) => (await worker.ask({ kind: 'allocate', space, pace }, 'ran')).report),
  )
}
