/** The steps of an answer, each made of the windows that begin in it; first by series, then of all together. Pure. */

import type { Aggregation, TimeAggregation } from '../../contract/metrics.ts'
import type { Windows } from './rollup.ts'

export interface StepRange {
  /** Milliseconds since the epoch. */
  readonly from: number
  readonly stepMilliseconds: number
  readonly count: number
}

/** Of one series. */
export interface Steps {
  /** Those that begin between two times; in the order of time, each window once. */
  add(windows: Windows, from: number, to: number): void
  /** NaN: nothing was measured in that step. */
  values(aggregation: TimeAggregation): Float64Array
}

export function createSteps({ from, stepMilliseconds, count }: StepRange): Steps {
  const make = (value: number) => new Float64Array(count).fill(value)
  const [sum, weight] = [make(0), make(0)]
  const [least, greatest, last] = [make(Number.POSITIVE_INFINITY), make(Number.NEGATIVE_INFINITY), make(Number.NaN)]
  return {
    add(windows, first, end) {
      for (let i = 0; i < windows.starts.length; i++) {
        const start = windows.starts[i] ?? 0
        const step = Math.floor((start - from) / stepMilliseconds)
        if (start < first || start >= end || step < 0 || step >= count) continue
        sum[step] = (sum[step] ?? 0) + (windows.sum[i] ?? 0)
        weight[step] = (weight[step] ?? 0) + (windows.weight[i] ?? 0)
        least[step] = Math.min(least[step] ?? 0, windows.least[i] ?? 0)
        greatest[step] = Math.max(greatest[step] ?? 0, windows.greatest[i] ?? 0)
        last[step] = windows.last[i] ?? Number.NaN
      }
    },
    values(aggregation) {
      switch (aggregation) {
        case 'mean':
          return sum.map((total, i) => (weight[i] === 0 ? Number.NaN : total / (weight[i] ?? 1)))
        case 'last':
          return last
        case 'min':
          return least.map((value) => (Number.isFinite(value) ? value : Number.NaN))
        case 'max':
          return greatest.map((value) => (Number.isFinite(value) ? value : Number.NaN))
        default:
          return aggregation satisfies never
      }
    },
  }
}

/** All series as one; a series that measured nothing in a step says nothing of it. */
export function aggregateSteps(
  all: readonly Float64Array[],
  aggregation: Aggregation,
  factor: number,
): (number | null)[] {
  return Array.from({ length: all[0]?.length ?? 0 }, (_, step) => {
    let count = 0
    let value = 0
    for (const values of all) {
      const one = values[step] ?? Number.NaN
      if (Number.isNaN(one)) continue
      value = count === 0 ? one : combine(aggregation, value, one)
      count++
    }
    if (count === 0) return null
    return roundValue((aggregation === 'mean' ? value / count : value) * factor)
  })
}

function combine(aggregation: Aggregation, a: number, b: number): number {
  switch (aggregation) {
    case 'sum':
    case 'mean':
      return a + b
    case 'max':
      return Math.max(a, b)
    case 'min':
      return Math.min(a, b)
    default:
      return aggregation satisfies never
  }
}

/** To six digits: more were never measured. */
const roundValue = (value: number) => Number(value.toPrecision(6))
