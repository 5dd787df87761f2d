/**
 * What all controllers have told of microshards, put together window by window: the last quarter of an hour in rolling
 * windows, the load as it is on average, and its history in steps of five minutes, which forecasts are made from. Bounded.
 * Every controller gathers, so that whoever decides next knows as much as who did so before. Touches nothing.
 */

import type { MicroshardDirectory, MicroshardEntry } from '../../control-plane/microshard-directory.ts'
import { type AccessReport, type MicroshardWindow, windowMilliseconds } from './access-report.ts'
import { createHeavyHitters } from './heavy-hitters.ts'
import { quantileOf, type SketchBuckets } from './latency-sketch.ts'
import { createLoadSeries, type LoadSeries } from './load-series.ts'

export interface GatheredMeasures {
  accept(report: AccessReport): void
  /** Closes the windows that are over: what comes for them later is not counted. Who is new in the directory inherits. */
  close(directory: MicroshardDirectory, now: number): void
  /** Of every microshard that is in the directory; zeros where nobody has accessed it. */
  read(id: string, overSeconds: number): AccessFigures
  /** Its load, accesses a second that cost its node something, averaged with a half-life of two minutes. */
  load(id: string): number
  series(id: string): LoadSeries
  /** What is used together by most requests, a second and over the last quarter of an hour. */
  together(): readonly (readonly [string, string, number])[]
}

export interface AccessFigures {
  readonly memoryReadsPerSecond: number
  readonly leaderReadsPerSecond: number
  readonly writesPerSecond: number
  readonly errorsPerSecond: number
  /** Null: nobody had to wait for it. */
  readonly p50Milliseconds: number | null
  readonly p99Milliseconds: number | null
  /** By the client's part of the shard key, accesses a second; the most frequent first. */
  readonly clients: readonly (readonly [string, number])[]
  /** By location, accesses a second; those that nobody knows the location of are left out. */
  readonly locations: ReadonlyMap<string, number>
}

export const keptSeconds = 900
const windowSeconds = windowMilliseconds / 1000
const windowsKept = keptSeconds / windowSeconds
/** Of a window: time for all reports to come. */
const patienceMilliseconds = 5_000
const halfLifeSeconds = 120
const pairsGathered = 1_000
const pairsShown = 100

interface GatheredWindow {
  readonly window: number
  memoryReads: number
  leaderReads: number
  writes: number
  errors: number
  readonly latency: Map<number, number>
  readonly clients: Map<string, number>
  readonly locations: Map<string, number>
}

interface Gathered {
  windows: GatheredWindow[]
  load: number
  series: LoadSeries
}

export function createGatheredMeasures(beganAt: number): GatheredMeasures {
  const microshards = new Map<string, Gathered>()
  const pairs = createHeavyHitters(pairsGathered)
  const fading = { pairWindows: 0 }
  /** All before it are closed. */
  let nextWindow = Math.floor(beganAt / windowMilliseconds)

  const create = (): Gathered => ({ windows: [], load: 0, series: createLoadSeries() })

  function gatheredOf(id: string): Gathered {
    const known = microshards.get(id)
    if (known !== undefined) return known
    const made = create()
    microshards.set(id, made)
    return made
  }

  function windowOf(id: string, window: number): GatheredWindow {
    const { windows } = gatheredOf(id)
    const known = windows.findLast((one) => one.window === window)
    if (known !== undefined) return known
    const [latency, clients, locations] = [new Map(), new Map(), new Map()]
    const made = { window, memoryReads: 0, leaderReads: 0, writes: 0, errors: 0, latency, clients, locations }
    windows.push(made)
    return made
  }

  function closeWindow(window: number): void {
    const keep = 0.5 ** (windowSeconds / halfLifeSeconds)
    for (const gathered of microshards.values()) {
      const closed = gathered.windows.findLast((one) => one.window === window)
      const load = closed === undefined ? 0 : (closed.leaderReads + closed.writes) / windowSeconds
      gathered.load = gathered.series.isEmpty() ? load : gathered.load * keep + load * (1 - keep)
      gathered.series.note(window * windowMilliseconds, load)
      gathered.windows = gathered.windows.filter((one) => one.window > window - windowsKept)
    }
    fading.pairWindows++
    if (fading.pairWindows < windowsKept) return
    // By half each quarter of an hour, so that what is not used together any more is forgotten.
    fading.pairWindows = 0
    const known = pairs.list()
    pairs.clear()
    for (const { name, count } of known) if (count >= 2) pairs.note(name, count / 2)
  }

  /** Targets of an operation begin with what their sources had, each with an equal part. */
  function inherit(directory: MicroshardDirectory): void {
    const isKept = new Set(directory.microshards.map(({ id }) => id))
    for (const { sources, targets } of [...directory.operations.map(nameBoth), ...directory.finished]) {
      for (const target of targets) {
        if (!isKept.has(target) || microshards.has(target)) continue
        const before = sources.flatMap((source) => microshards.get(source) ?? [])
        if (before.length === 0) continue
        const share = 1 / targets.length
        const load = share * before.reduce((sum, one) => sum + one.load, 0)
        microshards.set(target, {
          windows: [],
          load,
          series: createLoadSeries(
            before.map(({ series }) => series),
            share,
          ),
        })
      }
    }
    for (const id of isKept) gatheredOf(id)
    for (const id of [...microshards.keys()]) if (!isKept.has(id)) microshards.delete(id)
  }

  return {
    accept({ window, location, microshards: told, together }) {
      // What is over is closed, and what lies that far ahead comes from a clock that is wrong.
      if (window < nextWindow || window > nextWindow + windowsKept) return
      for (const one of told) addWindow(windowOf(one.id, window), one, location)
      for (const [one, other, count] of together) pairs.note(`${one} ${other}`, count)
    },

    close(directory, now) {
      inherit(directory)
      const last = Math.floor((now - patienceMilliseconds) / windowMilliseconds)
      // A clock that jumps, or a machine that slept, leaves a gap and not hours of silence to be counted through.
      nextWindow = Math.max(nextWindow, last - windowsKept)
      for (; nextWindow < last; nextWindow++) closeWindow(nextWindow)
    },

    read(id, overSeconds) {
      const from = nextWindow - Math.min(windowsKept, Math.ceil(overSeconds / windowSeconds))
      const known = microshards.get(id)?.windows ?? []
      return sumUp(
        known.filter(({ window }) => window >= from && window < nextWindow),
        (nextWindow - from) * windowSeconds,
      )
    },

    load: (id) => microshards.get(id)?.load ?? 0,
    series: (id) => gatheredOf(id).series,

    together: () =>
      pairs
        .list()
        .slice(0, pairsShown)
        .map(({ name, count }) => {
          const [one = '', other = ''] = name.split(' ')
          return [one, other, count / keptSeconds]
        }),
  }
}

const nameBoth = (operation: MicroshardDirectory['operations'][number]) => ({
  sources: operation.sources.map(idOf),
  targets: operation.targets.map(idOf),
})
const idOf = ({ id }: MicroshardEntry) => id

function addWindow(into: GatheredWindow, told: MicroshardWindow, location: string | null): void {
  into.memoryReads += told.memoryReads
  into.leaderReads += told.leaderReads
  into.writes += told.writes
  into.errors += told.errors
  for (const [bucket, count] of told.latency) into.latency.set(bucket, (into.latency.get(bucket) ?? 0) + count)
  for (const [client, count] of told.clients) into.clients.set(client, (into.clients.get(client) ?? 0) + count)
  if (location === null) return
  const accesses = told.memoryReads + told.leaderReads + told.writes
  into.locations.set(location, (into.locations.get(location) ?? 0) + accesses)
}

function sumUp(windows: readonly GatheredWindow[], seconds: number): AccessFigures {
  const total = (of: (one: GatheredWindow) => number) => windows.reduce((sum, one) => sum + of(one), 0) / seconds
  const latency: SketchBuckets = [...addMaps(windows.map((one) => one.latency))].sort(([a], [b]) => a - b)
  const perSecond = <Name>(maps: readonly ReadonlyMap<Name, number>[]) =>
    [...addMaps(maps)].map(([name, count]) => [name, count / seconds] as const).sort(([, a], [, b]) => b - a)
  return {
    memoryReadsPerSecond: total(({ memoryReads }) => memoryReads),
    leaderReadsPerSecond: total(({ leaderReads }) => leaderReads),
    writesPerSecond: total(({ writes }) => writes),
    errorsPerSecond: total(({ errors }) => errors),
    p50Milliseconds: quantileOf(latency, 0.5),
    p99Milliseconds: quantileOf(latency, 0.99),
    clients: perSecond(windows.map(({ clients }) => clients)),
    locations: new Map(perSecond(windows.map(({ locations }) => locations))),
  }
}

function addMaps<Name>(maps: readonly ReadonlyMap<Name, number>[]): ReadonlyMap<Name, number> {
  const all = new Map<Name, number>()
  for (const map of maps) for (const [name, count] of map) all.set(name, (all.get(name) ?? 0) + count)
  return all
}
