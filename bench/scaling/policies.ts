/** Who decides in a replay: the controller's own decision with all that feeds it, a fixed threshold, a fixed fleet. */

import type { AutoScaling } from '../../controller/contract/scaling.ts'
import { measureBalancer } from '../../controller/load-balancing/scaling/balancer-load.ts'
import { decideScaling } from '../../controller/load-balancing/scaling/decide-scaling.ts'
import {
  createExpectedLoads,
  expectLevels,
  type LoadForecast,
} from '../../controller/load-balancing/scaling/expected-loads.ts'
import { createLoadHistory } from '../../controller/load-balancing/scaling/load-history.ts'
import { createLoadWindows } from '../../controller/observed/load-windows.ts'
import type { Policy } from './replay.ts'

/** As often as an agent asks. */
const sampleSeconds = 2

/** What a policy knows of the load that comes. */
export interface Foresight {
  /** In each second. */
  note(second: number, servedPerSecond: number): void
  foresee(second: number): LoadForecast | null
}

const measuredSeconds = 60

/** The controller's own: it reads what is kept, once a minute. */
export function foreseeByForecast(): Foresight {
  const expected = createExpectedLoads()
  let served = 0
  return {
    note(second, servedPerSecond) {
      served += servedPerSecond
      if (second % measuredSeconds !== measuredSeconds - 1) return
      expected.observe('lb', { atMs: (second + 1 - measuredSeconds) * 1000, value: served / measuredSeconds })
      served = 0
    },
    foresee: (second) => expected.foresee('lb', second * 1000),
  }
}

/** What nobody can have: the load that does come, of so many seconds the greatest minute. */
export function foreseeAll(arrivals: Float64Array, aheadSeconds: number): Foresight {
  const minutes = Array.from({ length: Math.ceil(arrivals.length / measuredSeconds) }, (_, minute) => {
    const piece = arrivals.subarray(minute * measuredSeconds, (minute + 1) * measuredSeconds)
    return piece.reduce((sum, one) => sum + one, 0) / piece.length
  })
  const known = { skill: 1, measured: Number.POSITIVE_INFINITY, isUsed: true }
  return {
    note: () => {},
    foresee(second) {
      const from = Math.floor(second / measuredSeconds)
      const to = Math.floor((second + aheadSeconds) / measuredSeconds)
      const value = Math.max(...minutes.slice(from, to + 1))
      return { value, low: value, high: value, atMs: (second + aheadSeconds) * 1000, ...known }
    },
  }
}

/** Samples, windows, history and decision are the controller's own; only the clock and the load are made up. */
export function followTarget(autoScaling: AutoScaling, begin: number, foresight: Foresight | null = null): Policy {
  const windows = createLoadWindows()
  const history = createLoadHistory()
  let count = begin
  let lastOutAt: number | null = null
  let lastInAt: number | null = null
  const counters = new Map<string, number>()
  return ({ second, servedPerSecond, instances }) => {
    const now = second * 1000
    foresight?.note(second, servedPerSecond)
    const ids = Array.from({ length: instances }, (_, i) => `instance ${i + 1}`)
    for (const id of ids) counters.set(id, (counters.get(id) ?? 0) + servedPerSecond / instances)
    if (second % sampleSeconds !== 0) return count
    const idle = { worker: 1, threads: 1, cpuSeconds: 0, connections: 0, latencyMilliseconds: 0 }
    windows.accept(
      'host',
      ids.map((id) => ({ ...idle, id, atSeconds: second, requests: counters.get(id) ?? 0 })),
      now,
    )
    const load = measureBalancer(
      ids.map((id, i) => ({
        slot: { slot: i + 1, vip: id, instanceId: id },
        hearing: 'serving',
        load: windows.read(id, now),
      })),
    )
    history.note('lb', load, autoScaling.cooldown.inSeconds, now)
    const { desiredCount } = decideScaling({
      autoScaling,
      instanceCount: begin,
      count,
      servingCount: load.servingCount,
      load: load.levels,
      expectedLoad: expectLevels(load.levels, foresight?.foresee(second) ?? null),
      peak: history.peak('lb', autoScaling.cooldown.inSeconds, now),
      lastOutAt,
      lastInAt,
      now,
    })
    if (desiredCount > count) lastOutAt = now
    if (desiredCount < count) lastInAt = now
    count = desiredCount
    return count
  }
}

export interface Threshold {
  /** Of one instance on average over a minute: above it there are more, below the other one less. */
  readonly overPerSecond: number
  readonly underPerSecond: number
  readonly add: number
  readonly cooldownSeconds: number
}

const averageSeconds = 60

export function followThreshold(
  { overPerSecond, underPerSecond, add, cooldownSeconds }: Threshold,
  begin: number,
): Policy {
  const last = new Float64Array(averageSeconds)
  let sum = 0
  let count = begin
  let changedAt = Number.NEGATIVE_INFINITY
  return ({ second, servedPerSecond, instances }) => {
    const place = second % averageSeconds
    sum += servedPerSecond - (last[place] ?? 0)
    last[place] = servedPerSecond
    if (second < averageSeconds || second - changedAt < cooldownSeconds) return count
    const each = sum / averageSeconds / instances
    const next = each > overPerSecond ? count + add : each < underPerSecond ? count - 1 : count
    if (next !== count) changedAt = second
    count = Math.max(1, Math.min(countMaximum, next))
    return count
  }
}

const countMaximum = 8

/** All that somebody might have set, from eager to lazy. */
export const thresholds: readonly Threshold[] = [60, 70, 80, 90, 100].flatMap((overPerSecond) =>
  [20, 30, 40, 50, 60, 70]
    .filter((underPerSecond) => underPerSecond < overPerSecond)
    .flatMap((underPerSecond) =>
      [1, 2, 4].flatMap((add) =>
        [60, 120, 300].map((cooldownSeconds) => ({ overPerSecond, underPerSecond, add, cooldownSeconds })),
      ),
    ),
)

export const keepFleet =
  (count: number): Policy =>
  () =>
    count
