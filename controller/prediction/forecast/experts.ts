/**
 * Simple forecasters side by side, each cheap and each right for some kind of series: the last value, moving averages,
 * a median, a damped trend, a pull back to the mean, and what there was a season ago. Pure but for their own numbers.
 */

import type { Arena } from './arena.ts'

export interface Experts {
  /** The next step's value; `step` is its number since the epoch. */
  learn(step: number, value: number): void
  /** What each expects so many steps after the last that was learned, in the order of `expertNames`. */
  expect(ahead: number, into: Float64Array): void
}

/** How much of a new value gets into each of the moving averages; the second is what plain smoothing would be. */
const averages = [0.1, 0.3, 0.6, 0.03] as const
const medianSteps = 12
const holt = { level: 0.4, trend: 0.1, damping: 0.9 }
/** Of what is typical over some days of steps of five minutes. */
const slowness = 0.005
/** Of the new day or week in what is kept of those before. */
const seasonRate = 0.2
const deviationRate = 0.5
/** How much of a deviation from the season is left a step later. */
const deviationKept = 0.97

const plainExperts = 5 + averages.length
const seasonExperts = 2
export const expertCount = (seasons: number) => plainExperts + seasonExperts * seasons

/** By place: what all others are measured against. */
export const lastValueExpert = 0
export const averageExpert = 2

const stateLength = 8
const seasonLength = (steps: number) => steps + 2
export const expertsLength = (seasons: readonly number[]) =>
  stateLength + averages.length + 2 * medianSteps + seasons.reduce((sum, steps) => sum + seasonLength(steps), 0)

/** @param seasons in steps */
export function createExperts(arena: Arena, seasons: readonly number[]): Experts {
  const plain = createPlain(arena)
  const seasonal = seasons.map((steps) => createSeason(arena, steps))
  return {
    learn(step, value) {
      plain.learn(value)
      for (const season of seasonal) season.learn(step, value)
    },
    expect(ahead, into) {
      plain.expect(ahead, into)
      const last = into[lastValueExpert] ?? 0
      for (const [i, season] of seasonal.entries()) season.expect(ahead, last, into, plainExperts + seasonExperts * i)
    },
  }
}

function createPlain(arena: Arena) {
  const state = arena.take(stateLength)
  const levels = arena.take(averages.length)
  const recent = arena.take(medianSteps)
  const sorted = arena.take(medianSteps)
  const [seen, last, level, trend, typical, spread, variance, covariance] = [0, 1, 2, 3, 4, 5, 6, 7] as const
  const read = (place: number) => state[place] ?? 0

  /** Half of all values are above what is typical: it moves by steps of equal size, whatever the value. */
  function learnTypical(value: number) {
    const rate = Math.max(slowness, 1 / read(seen))
    const before = read(last) - read(typical)
    const now = value - read(typical)
    state[variance] = read(variance) + rate * (before * before - read(variance))
    state[covariance] = read(covariance) + rate * (before * now - read(covariance))
    state[spread] = read(spread) + rate * (Math.abs(now) - read(spread))
    state[typical] = read(typical) + 4 * rate * read(spread) * Math.sign(now)
  }

  function learnTrend(value: number) {
    const expected = read(level) + holt.damping * read(trend)
    state[level] = expected + holt.level * (value - expected)
    state[trend] = holt.damping * read(trend) + holt.trend * (read(level) - expected)
  }

  function learnMedian(value: number) {
    recent[(read(seen) - 1) % medianSteps] = value
    sorted.set(recent)
    sorted.subarray(0, Math.min(medianSteps, read(seen))).sort()
  }

  function readMedian(): number {
    const count = Math.min(medianSteps, read(seen))
    return ((sorted[(count - 1) >> 1] ?? 0) + (sorted[count >> 1] ?? 0)) / 2
  }

  return {
    learn(value: number) {
      if (read(seen) === 0) {
        state[last] = state[level] = state[typical] = value
        levels.fill(value)
      }
      state[seen] = read(seen) + 1
      learnTypical(value)
      learnTrend(value)
      learnMedian(value)
      for (const [i, rate] of averages.entries()) levels[i] = (levels[i] ?? 0) + rate * (value - (levels[i] ?? 0))
      state[last] = value
    },
    expect(ahead: number, into: Float64Array) {
      const { damping } = holt
      const damped = (damping * (1 - damping ** ahead)) / (1 - damping)
      const kept = read(variance) > 0 ? Math.max(0, Math.min(0.999, read(covariance) / read(variance))) : 0
      into[lastValueExpert] = read(last)
      into.set(levels, 1)
      let place = 1 + averages.length
      into[place++] = read(level) + damped * read(trend)
      into[place++] = readMedian()
      into[place++] = read(typical)
      into[place] = read(typical) + kept ** ahead * (read(last) - read(typical))
    },
  }
}

/** Where nothing is known of a place in the season it says what the last value says. */
function createSeason(arena: Arena, steps: number) {
  const state = arena.take(2)
  const [now, deviation] = [0, 1] as const
  const usual = arena.take(steps, Number.NaN)
  const placeOf = (step: number) => ((step % steps) + steps) % steps
  return {
    learn(step: number, value: number) {
      const place = placeOf(step)
      const before = usual[place] ?? Number.NaN
      const isKnown = !Number.isNaN(before)
      const kept = state[deviation] ?? 0
      state[deviation] = isKnown ? kept + deviationRate * (value - before - kept) : 0
      usual[place] = isKnown ? before + seasonRate * (value - before) : value
      state[now] = place
    },
    expect(ahead: number, last: number, into: Float64Array, from: number) {
      const usually = usual[placeOf((state[now] ?? 0) + ahead)] ?? Number.NaN
      const isKnown = !Number.isNaN(usually)
      into[from] = isKnown ? usually : last
      into[from + 1] = isKnown ? usually + deviationKept ** ahead * (state[deviation] ?? 0) : last
    },
  }
}
