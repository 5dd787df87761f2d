/**
 * Changes of objects that others change at the same time: by the way in that the API has, against what one would do by
 * hand on the same store, and against etcd, with a transaction each and with the same owner and grouping before it. All
 * take turns in each round, with durable writes, on servers that are fresh in each round.
 */

import { startTestNatsServer } from '../controller/control-plane/test-nats-server.ts'
import { findMissingEtcd, observeEtcdVersion, startEtcd } from './allocate/etcd.ts'
import type { Bench, BenchContext } from './bench.ts'
import type { Report } from './conditional-writes/messages.ts'
import { startWorker, type Worker } from './conditional-writes/start-worker.ts'
import { plotLines } from './plot.ts'
import type { Aim, Result } from './result.ts'
import { median } from './statistics.ts'
import { createCleanup } from './system/cleanup.ts'

const timesDefault = 3
const controllerCounts = [1, 3]
/** Of all controllers together. */
const writerCounts = [1, 16, 64]
const exponents = [0.6, 1, 1.3]
const keys = 64
const bytes = 200
const pace = { warmUpMilliseconds: 500, milliseconds: 1500 }
/** Everybody on keys of their own. */
const uncontended = null

const sides = ['sluice', 'blind retry', 'read first', 'etcd', 'etcd, owned'] as const
const uncontendedSides = ['sluice', 'raw store'] as const
type Side = (typeof sides)[number] | 'raw store'

interface Place {
  readonly side: Side
  readonly zipf: number | null
  readonly writers: number
  readonly controllers: number
}

type Run = Place & Report & { readonly round: number }

export const conditionalWrites: Bench = {
  summary:
    'changes of objects that others change too, against retrying by hand, and against etcd with and without an owner',

  async run(context) {
    const missing = findMissingEtcd()
    if (missing !== null) throw new Error(missing)
    const rounds = context.options.times ?? timesDefault
    const runs: Run[] = []
    for (let round = 0; round < rounds; round++) {
      for (const controllers of controllerCounts) runs.push(...(await runRound(context, round, controllers)))
    }
    const places = [...new Map(runs.map((run) => [nameOf(run), run])).values()]
    return {
      title: 'Changes of objects that others change too',
      settings: { rounds, ...pace, keys, bytes, natsSync: 'always', etcdVersion: observeEtcdVersion() },
      series: places.map((place) => ({
        name: nameOf(place),
        unit: 'changes/s',
        samples: samplesOf(runs, place).map(({ operationsPerSecond }) => operationsPerSecond),
        isFloor: place.side !== 'sluice',
      })),
      ratios: listRatios(runs),
      aims: listAims(runs),
      notes: [
        `Writers are of all controllers together, each of which is a process of its own; they draw from ${keys} keys by Zipf's law. A change that was not made in 32 attempts is given up.`,
        'Of etcd with an owner, one program owns all keys and all writers are in it, so that no change ever goes from one controller to another: more than several controllers could have.',
        'Everything shares the processors: the clients of etcd are compiled Go, those of ours are Bun.',
      ],
      details: { runs },
    }
  },

  plot: (result) =>
    plotLines({
      title: result.title,
      subtitle: `durable, 64 writers, medians of ${String(result.settings.rounds)} rounds in turns; ${result.machine.cores} cores, ${result.measuredAt.slice(0, 10)}`,
      xLabel: "exponent of Zipf's law",
      panels: controllerCounts.map((controllers) => ({
        title: controllers === 1 ? 'one controller' : `${controllers} controllers`,
        unit: 'changes a second',
        series: sides.map((side) => ({
          label: side,
          isFloor: side === 'etcd, owned',
          points: exponents.map((zipf) => ({ x: zipf, y: rateIn(result, { side, zipf, writers: 64, controllers }) })),
        })),
      })),
    }),
}

function nameOf({ side, zipf, writers, controllers }: Place): string {
  const load = zipf === uncontended ? 'keys of their own' : `Zipf ${zipf}`
  const by = controllers === 1 ? 'one controller' : `${controllers} controllers`
  return `${side}, ${load}, ${writers} writers, ${by}`
}

const samplesOf = (runs: readonly Run[], place: Place): readonly Run[] =>
  runs.filter((run) => nameOf(run) === nameOf(place))

function rateIn(result: Result, place: Place): number {
  const samples = result.series.find(({ name }) => name === nameOf(place))?.samples ?? []
  return samples.length === 0 ? 0 : median(samples)
}

function medianOf(runs: readonly Run[], place: Place, of: (run: Run) => number): number {
  const samples = samplesOf(runs, place).map(of)
  return samples.length === 0 ? 0 : median(samples)
}

const rateOf = ({ operationsPerSecond }: Run) => operationsPerSecond

function listRatios(runs: readonly Run[]): readonly { readonly name: string; readonly value: number }[] {
  const places = [...new Map(runs.map((run) => [nameOf(run), run])).values()]
  return places.flatMap((place) => {
    const { begun, wasted, p99Milliseconds, failed } = {
      begun: medianOf(runs, place, (run) => run.begun),
      wasted: medianOf(runs, place, (run) => run.wasted),
      p99Milliseconds: medianOf(runs, place, (run) => run.p99Milliseconds),
      failed: medianOf(runs, place, (run) => run.failed),
    }
    const name = nameOf(place)
    const own = medianOf(runs, { ...place, side: 'sluice' }, rateOf)
    return [
      { name: `writes wasted: ${name}`, value: begun === 0 ? 0 : wasted / begun },
      { name: `p99 in ms: ${name}`, value: p99Milliseconds },
      { name: `given up: ${name}`, value: failed },
      ...(place.side === 'sluice' ? [] : [{ name: `sluice to ${name}`, value: own / medianOf(runs, place, rateOf) }]),
    ]
  })
}

function listAims(runs: readonly Run[]): readonly Aim[] {
  const ratio = (
    words: string,
    side: Side,
    zipf: number | null,
    writers: number,
    controllers: number,
    bound: number,
  ) => {
    const own = medianOf(runs, { side: 'sluice', zipf, writers, controllers }, rateOf)
    const measured = own / medianOf(runs, { side, zipf, writers, controllers }, rateOf)
    return { aim: `${words} ≥ ${bound}`, measured, unit: '×', met: measured >= bound }
  }
  return controllerCounts.flatMap((controllers) => {
    const by = controllers === 1 ? 'one controller' : `${controllers} controllers`
    return [
      ratio(`${by}, keys of their own, to the raw store`, 'raw store', uncontended, 64, controllers, 0.9),
      ratio(`${by}, Zipf 1.3, 64 writers, to blind retry`, 'blind retry', 1.3, 64, controllers, 5),
      ratio(`${by}, Zipf 1.3, 64 writers, to etcd`, 'etcd', 1.3, 64, controllers, 3),
    ]
  })
}

type Drive = (name: string, zipf: number | null, writers: number) => Promise<readonly Report[]>

async function runRound({ tell, cleanup }: BenchContext, round: number, controllers: number): Promise<readonly Run[]> {
  const own = createCleanup(tell)
  cleanup.defer('what a round has started', () => own.run())
  try {
    const drives = await startSides(own, controllers)
    const runs: Run[] = []
    const measure = async (turns: readonly Side[], zipf: number | null, writers: number) => {
      for (let turn = 0; turn < turns.length; turn++) {
        const side = turns[(turn + round) % turns.length]
        if (side === undefined) throw new Error('BUG: a turn without a side')
        const name = `${side} ${zipf} ${writers}`.replaceAll(/[^a-z0-9]+/g, '-')
        const report = together(await drives[side](name, zipf, writers))
        runs.push({ round, controllers, zipf, writers, side, ...report })
      }
      const words = runs.slice(-turns.length).map((run) => `${run.side} ${Math.round(run.operationsPerSecond)}`)
      tell(`round ${round + 1}, ${controllers} at a time, Zipf ${zipf}, ${writers} writers: ${words.join(', ')}`)
    }
    for (const writers of writerCounts.filter((count) => count >= controllers)) {
      await measure(uncontendedSides, uncontended, writers)
      for (const zipf of exponents) await measure(sides, zipf, writers)
    }
    return runs
  } finally {
    await own.run()
  }
}

function together(reports: readonly Report[]): Report {
  const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0)
  const done = reports.filter(({ operationsPerSecond }) => operationsPerSecond > 0)
  return {
    operationsPerSecond: sum((report) => report.operationsPerSecond),
    failed: sum(({ failed }) => failed),
    begun: sum(({ begun }) => begun),
    wasted: sum(({ wasted }) => wasted),
    p50Milliseconds: done.length === 0 ? 0 : median(done.map(({ p50Milliseconds }) => p50Milliseconds)),
    p99Milliseconds: Math.max(0, ...done.map(({ p99Milliseconds }) => p99Milliseconds)),
  }
}

async function startSides(cleanup: BenchContext['cleanup'], controllers: number): Promise<Record<Side, Drive>> {
  const nats = await startTestNatsServer()
  cleanup.defer('a nats-server', () => nats.stop())
  const etcd = await startEtcd()
  cleanup.defer('etcd', () => etcd.stop())
  const workers = Array.from({ length: controllers }, startWorker)
  for (const worker of workers) cleanup.defer('a worker', () => worker.stop())
  await Promise.all(workers.map((worker, i) => worker.open(nats.url, `controller-${i + 1}`)))
  const byUs =
    (policy: 'ours' | 'blind retry' | 'read first' | 'raw'): Drive =>
    (name, zipf, writers) =>
      runWorkers(workers, { policy, name, zipf }, shareOut(writers, controllers))
  const byEtcd =
    (mode: 'contended' | 'owned'): Drive =>
    (name, zipf, writers) => {
      const load = { mode, name, keys, zipf: zipf ?? 0 }
      const shares = mode === 'owned' ? [writers] : shareOut(writers, controllers)
      return Promise.all(shares.map((inFlight) => etcd.loadContended(load, bytes, { inFlight, ...pace })))
    }
  return {
    sluice: byUs('ours'),
    'raw store': byUs('raw'),
    'blind retry': byUs('blind retry'),
    'read first': byUs('read first'),
    etcd: byEtcd('contended'),
    'etcd, owned': byEtcd('owned'),
  }
}

/** Keys that nobody has used before, so that no side finds what another has left. */
async function runWorkers(
  workers: readonly Worker[],
  load: {
    readonly policy: 'ours' | 'blind retry' | 'read first' | 'raw'
    readonly name: string
    readonly zipf: number | null
  },
  shares: readonly number[],
): Promise<readonly Report[]> {
  const [first] = workers
  if (load.zipf !== uncontended) await first?.create(load.name, keys)
  return Promise.all(
    workers.map(async (worker, i) => {
      const inFlight = shares[i] ?? 0
      // A key for each writer of its own.
      const own = load.zipf === uncontended ? { name: `${load.name} ${i}`, keys: inFlight } : { name: load.name, keys }
      if (load.zipf === uncontended) await worker.create(own.name, own.keys)
      return worker.run({ ...load, ...own, inFlight, ...pace })
    }),
  )
}

/** As evenly as can be. */
const shareOut = (writers: number, controllers: number): readonly number[] =>
  Array.from({ length: controllers }, (_, i) => Math.floor((writers + i) / controllers))
