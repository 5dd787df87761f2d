/**
 * Forecasts a series as it comes: several simple experts, each horizon believing those that were right there of late. Keeps
 * a fixed number of numbers, takes a few microseconds for a reading, and reads no clock.
 *
 * @example
 * const forecaster = createForecaster({ stepMs: 300_000 })
 * for (const observation of observations) forecaster.observe(observation)
 * const expectation = forecaster.expect(now, 3_600_000)
 * if (isWorthUsing(expectation)) prepareFor(expectation.high)
 */

import { admissionLength, createAdmission } from './admit-observation.ts'
import { type Arena, createArena, type Layout } from './arena.ts'
import { createExperts, expertCount, expertsLength } from './experts.ts'
import type { Forecaster } from './forecaster.ts'
import { createHorizon, horizonLength } from './horizon.ts'

export interface ForecasterOptions {
  /** Readings are averaged over so long. */
  readonly stepMs: number
  /** Rhythms that are looked for, each of a whole number of steps; an hour, a day and a week when left out. */
  readonly seasonsMs?: readonly number[]
  /**
   * At which skill is measured; others are served by the nearest, up to a quarter beyond the longest. One of a whole season
   * tells little of those beside it: there the last value is as good as the season.
   */
  readonly horizonsMs?: readonly number[]
  /** No value is less; 0 when left out. */
  readonly least?: number
}

/** Raised with whatever changes the meaning of what is saved. */
const format = 1
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const usualSeasonsMs = [hourMs, dayMs, 7 * dayMs]
const defaultSteps = [1, 3, 6, 12, 36, 100, 240]
const beyondLongest = 1.25
const seasonStepsMaximum = 10_080

interface Shape {
  readonly stepMs: number
  readonly seasons: readonly number[]
  readonly horizons: readonly number[]
  readonly least: number
}

export function createForecaster(options: ForecasterOptions): Forecaster {
  const shape = settleShape(options)
  return makeForecaster(createArena(lengthOf(shape), layoutOf(shape)), shape)
}

/** Undefined: what was saved is of another format, of other options, or damaged; whoever asked begins anew. */
export function restoreForecaster(options: ForecasterOptions, saved: Uint8Array): Forecaster | undefined {
  const shape = settleShape(options)
  const arena = createArena(lengthOf(shape), layoutOf(shape), saved)
  return arena && makeForecaster(arena, shape)
}

function settleShape({ stepMs, seasonsMs, horizonsMs, least = 0 }: ForecasterOptions): Shape {
  const seasons =
    seasonsMs?.map((seasonMs) => seasonMs / stepMs) ??
    usualSeasonsMs.map((seasonMs) => seasonMs / stepMs).filter((steps) => steps >= 2 && isGood(steps))
  const horizons = horizonsMs?.map((horizonMs) => Math.ceil(horizonMs / stepMs)) ?? defaultSteps
  if (!(stepMs > 0) || horizons.length === 0 || ![...seasons, ...horizons].every(isGood)) {
    throw new Error(
      `BUG: no forecaster has steps of ${stepMs} ms, seasons of ${seasons} and horizons of ${horizons} steps`,
    )
  }
  return { stepMs, seasons, horizons: [...new Set(horizons)].toSorted((a, b) => a - b), least }
}

const isGood = (steps: number) => Number.isInteger(steps) && steps >= 1 && steps <= seasonStepsMaximum

const layoutOf = ({ stepMs, seasons, horizons, least }: Shape): Layout => [
  format,
  stepMs,
  least,
  seasons.length,
  ...seasons,
  ...horizons,
]

const lengthOf = ({ seasons, horizons }: Shape) =>
  1 +
  admissionLength +
  expertsLength(seasons) +
  horizons.reduce((sum, steps) => sum + horizonLength(steps, expertCount(seasons.length)), 0)

function makeForecaster(arena: Arena, { stepMs, seasons, horizons, least }: Shape): Forecaster {
  const last = arena.take(1, Number.NaN)
  const admission = createAdmission(arena, stepMs)
  const experts = createExperts(arena, seasons)
  const expected = new Float64Array(expertCount(seasons.length))
  const tracks = horizons.map((steps) => ({ steps, horizon: createHorizon(arena, steps, expected.length) }))

  const longest = horizons.at(-1) ?? 1
  const farnessOf = (steps: number, ahead: number) => Math.max(steps / ahead, ahead / steps)
  const nearest = (ahead: number) =>
    tracks.reduce((best, one) => (farnessOf(one.steps, ahead) < farnessOf(best.steps, ahead) ? one : best))

  function learn(step: number, value: number) {
    for (const { horizon } of tracks) horizon.judge(step, value)
    experts.learn(step, value)
    last[0] = step
    for (const { steps, horizon } of tracks) {
      experts.expect(steps, expected)
      horizon.remember(step, expected)
    }
  }

  return {
    observe: (observation) => admission.admit(observation, learn),
    expect(atMs, horizonMs) {
      admission.settle(atMs, learn)
      const ahead = admission.stepOf(atMs + horizonMs) - (last[0] ?? Number.NaN)
      if (!(horizonMs >= 0) || !(ahead >= 1) || ahead > longest * beyondLongest) return undefined
      const track = nearest(ahead)
      experts.expect(ahead, expected)
      const { value, low, high, ...rest } = track.horizon.combine(expected)
      if (rest.measured === 0) return undefined
      const bound = (level: number) => Math.max(least, level)
      return { value: bound(value), low: bound(low), high: bound(high), ...rest }
    },
    save: () => arena.save(),
  }
}
