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

const averages = [0.1, 0.3, 0.6] as const
/** The mean to which a series is pulled back: of some days of steps of five minutes. */
const slowness = 0.005
const medianSteps = 12
const holt = { level: 0.4, trend: 0.1, damping: 0.9 }
/** Of the new day or week in what is kept of those before. */
const seasonRate = 0.35
const deviationRate = 0.5
/** How much of a deviation from the season is left a step later. */
const deviationKept = 0.97

export const seasonExperts = 3
export const plainExperts = 7
export const expertCount = (seasons: number) => plainExperts + seasonExperts * seasons

/** By place: what all others are measured against. */
export const lastValueExpert = 0
export const averageExpert = 2

const seasonLength = (steps: number) => 2 * steps + 2
export const expertsLength = (seasons: readonly number[]) =>
  8 + averages.length + 2 * medianSteps + seasons.reduce((sum, steps) => sum + seasonLength(steps), 0)

/** @param seasons in steps, the shortest first */
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
  const state = arena.take(8)
  const levels = arena.take(averages.length)
  const recent = arena.take(medianSteps)
  const sorted = arena.take(medianSteps)
  const [seen, last, mean, level, trend, variance, covariance, median] = [0, 1, 2, 3, 4, 5, 6, 7] as const
  const read = (place: number) => state[place] ?? 0

  function begin(value: number) {
    state.fill(value, last, level + 1)
    levels.fill(value)
  }

  function learnMedian(value: number) {
    recent[(read(seen) - 1) % medianSteps] = value
    const count = Math.min(medianSteps, read(seen))
    for (let i = 0; i < count; i++) sorted[i] = recent[i] ?? 0
    const some = sorted.subarray(0, count).sort()
    state[median] = ((some[(count - 1) >> 1] ?? 0) + (some[count >> 1] ?? 0)) / 2
  }

  return {
    learn(value: number) {
      if (read(seen) === 0) begin(value)
      state[seen] = read(seen) + 1
      const before = read(last) - read(mean)
      const rate = Math.max(slowness, 1 / read(seen))
      state[mean] = read(mean) + rate * (value - read(mean))
      state[variance] = read(variance) + rate * (before * before - read(variance))
      state[covariance] = read(covariance) + rate * (before * (value - read(mean)) - read(covariance))
      const expected = read(level) + holt.damping * read(trend)
      const next = expected + holt.level * (value - expected)
      state[trend] = holt.damping * read(trend) + holt.trend * (next - expected)
      state[level] = next
      for (const [i, share] of averages.entries()) levels[i] = (levels[i] ?? 0) + share * (value - (levels[i] ?? 0))
      state[last] = value
      learnMedian(value)
    },
    expect(ahead: number, into: Float64Array) {
      const { damping } = holt
      const damped = (damping * (1 - damping ** ahead)) / (1 - damping)
      const kept = read(variance) > 0 ? Math.max(0, Math.min(0.999, read(covariance) / read(variance))) : 0
      into[lastValueExpert] = read(last)
      for (let i = 0; i < averages.length; i++) into[1 + i] = levels[i] ?? 0
      into[4] = read(level) + damped * read(trend)
      into[5] = read(mean) + kept ** ahead * (read(last) - read(mean))
      into[6] = read(median)
    },
  }
}

/** Where nothing is known of a place in the season it says what the last value says. */
function createSeason(arena: Arena, steps: number) {
  const state = arena.take(2)
  const [now, deviation] = [0, 1] as const
  const latest = arena.take(steps, Number.NaN)
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
      latest[place] = value
      state[now] = place
    },
    expect(ahead: number, last: number, into: Float64Array, from: number) {
      const then = placeOf((state[now] ?? 0) + ahead)
      const usually = usual[then] ?? Number.NaN
      const lately = latest[then] ?? Number.NaN
      const isKnown = !Number.isNaN(usually)
      into[from] = isKnown ? lately : last
      into[from + 1] = isKnown ? usually : last
      into[from + 2] = isKnown ? usually + deviationKept ** ahead * (state[deviation] ?? 0) : last
    },
  }
}
