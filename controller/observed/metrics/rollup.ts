/**
 * Windows of a series: of a gauge its levels, of a counter its rates, each window with its least, greatest, mean, last and
 * count. A window is a pure function of the set of points, and a longer one of the shorter ones within it.
 */

import { measureIncrease, type SeriesKind } from './increase.ts'
import { type Column, findTime, type Reading, valueAt } from './readings.ts'

/**
 * Windows as columns, ascending by `starts` (milliseconds since the epoch), empty ones left out. The mean is `sum` by
 * `weight`: of a gauge its values by their count, of a counter what it counted by the seconds in which it did.
 */
export interface Windows {
  readonly starts: number[]
  readonly count: number[]
  readonly least: number[]
  readonly greatest: number[]
  readonly last: number[]
  readonly sum: number[]
  readonly weight: number[]
}

export const windowColumns = ['count', 'least', 'greatest', 'last', 'sum', 'weight'] as const

export const createWindows = (): Windows => ({
  starts: [],
  count: [],
  least: [],
  greatest: [],
  last: [],
  sum: [],
  weight: [],
})

/** After a longer pause nobody knows what a counter did, so its next reading is a first one. */
export const pauseSecondsMaximum = 300

export interface RollUpOptions {
  readonly kind: SeriesKind
  readonly windowSeconds: number
  /** The last reading ahead of these: a rate lies between two readings, and belongs to the later one. */
  readonly before: Reading | null
}

/** The windows of one column of readings. */
export function rollUp(times: readonly number[], column: Column, options: RollUpOptions): Windows {
  const { kind, windowSeconds } = options
  const windows = createWindows()
  const milliseconds = windowSeconds * 1000
  let last = options.before
  for (let i = 0; i < times.length; i++) {
    const value = valueAt(column, i)
    if (Number.isNaN(value)) continue
    const time = times[i] ?? 0
    const start = Math.floor(time / milliseconds) * milliseconds
    if (kind === 'gauge') addToWindow(windows, start, value, value, 1)
    else if (last !== null && time - last.time <= pauseSecondsMaximum * 1000) {
      const seconds = (time - last.time) / 1000
      const increase = measureIncrease(kind, last.value, value)
      addToWindow(windows, start, roundRate(increase / seconds), increase, seconds)
    }
    last = { time, value }
  }
  return windows
}

/** The same windows made longer; what they are made of need not begin with a whole one. */
export function coarsen(windows: Windows, windowSeconds: number): Windows {
  const coarse = createWindows()
  const milliseconds = windowSeconds * 1000
  for (const [i, start] of windows.starts.entries())
    mergeWindow(coarse, Math.floor(start / milliseconds) * milliseconds, windows, i)
  return coarse
}

/** `windows` with all between two times replaced by those of `others` in between. */
export function replaceWindows(windows: Windows, others: Windows, from: number, to: number): Windows {
  const [first, end] = [findTime(windows.starts, from), findTime(windows.starts, to)]
  const [othersFirst, othersEnd] = [findTime(others.starts, from), findTime(others.starts, to)]
  const splice = (kept: readonly number[], made: readonly number[]) =>
    kept.slice(0, first).concat(made.slice(othersFirst, othersEnd), kept.slice(end))
  return {
    starts: splice(windows.starts, others.starts),
    count: splice(windows.count, others.count),
    least: splice(windows.least, others.least),
    greatest: splice(windows.greatest, others.greatest),
    last: splice(windows.last, others.last),
    sum: splice(windows.sum, others.sum),
    weight: splice(windows.weight, others.weight),
  }
}

function mergeWindow(into: Windows, start: number, source: Windows, i: number): void {
  const at = into.starts.length - 1
  const [least, greatest] = [source.least[i] ?? 0, source.greatest[i] ?? 0]
  const [last, count] = [source.last[i] ?? 0, source.count[i] ?? 0]
  const [sum, weight] = [source.sum[i] ?? 0, source.weight[i] ?? 0]
  if (into.starts[at] !== start) {
    into.starts.push(start)
    into.least.push(least)
    into.greatest.push(greatest)
    into.last.push(last)
    into.count.push(count)
    into.sum.push(sum)
    into.weight.push(weight)
    return
  }
  into.least[at] = Math.min(into.least[at] ?? least, least)
  into.greatest[at] = Math.max(into.greatest[at] ?? greatest, greatest)
  into.last[at] = last
  into.count[at] = (into.count[at] ?? 0) + count
  into.sum[at] = roundSum((into.sum[at] ?? 0) + sum)
  into.weight[at] = roundSum((into.weight[at] ?? 0) + weight)
}

function addToWindow(windows: Windows, start: number, value: number, sum: number, weight: number): void {
  const at = windows.starts.length - 1
  if (windows.starts[at] !== start) {
    windows.starts.push(start)
    windows.least.push(value)
    windows.greatest.push(value)
    windows.last.push(value)
    windows.count.push(1)
    windows.sum.push(roundSum(sum))
    windows.weight.push(weight)
    return
  }
  windows.least[at] = Math.min(windows.least[at] ?? value, value)
  windows.greatest[at] = Math.max(windows.greatest[at] ?? value, value)
  windows.last[at] = value
  windows.count[at] = (windows.count[at] ?? 0) + 1
  windows.sum[at] = roundSum((windows.sum[at] ?? 0) + sum)
  windows.weight[at] = roundSum((windows.weight[at] ?? 0) + weight)
}

/** To a millionth: sums of decimals stay decimals, whatever the order in which they are added, and so stay short. */
function roundSum(sum: number): number {
  const scaled = sum * 1e6
  return Math.abs(scaled) < 2 ** 52 ? Math.round(scaled) / 1e6 : sum
}

/** To five digits: more would be noise of the clock, and cost as much as the rest of the window. */
function roundRate(rate: number): number {
  if (rate === 0) return 0
  const exponent = 4 - Math.floor(Math.log10(rate))
  if (exponent <= 0) {
    const scale = 10 ** -exponent
    return Math.round(rate / scale) * scale
  }
  const scale = 10 ** exponent
  return Math.round(rate * scale) / scale
}
