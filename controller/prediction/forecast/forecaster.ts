/**
 * What a forecast of a series is, and when it may be used. Pure types and one gate: `create-forecaster.ts` makes
 * forecasters, and everybody who decides on a forecast asks `isWorthUsing` first.
 */

/** One reading of a series, at milliseconds since the epoch. */
export interface Observation {
  readonly atMs: number
  readonly value: number
}

/** Of the mean over the step in which the moment lies. */
export interface Expectation {
  readonly value: number
  /** Four in five values come between these two; how many do is watched, and they are moved accordingly. */
  readonly low: number
  readonly high: number
  /**
   * How much smaller its error has been of late, at this horizon, than that of the better of the last value and the moving
   * average: 1 is never wrong, 0 no better, and less than 0 worse.
   */
  readonly skill: number
  /** Of how many forecasts that have come due the skill is. */
  readonly measured: number
}

export interface Forecaster {
  /** Late, doubled, impossible values and clocks that jump are met as `admit-observation.ts` says; never throws. */
  observe(observation: Observation): void
  /**
   * What is expected `horizonMs` after `atMs`, the time of asking, from nothing but what was observed until then. Undefined: too little has been seen,
   * nothing for too long, or the horizon is beyond the longest that is kept.
   */
  expect(atMs: number, horizonMs: number): Expectation | undefined
  /** All that it knows, with the format's version; `restoreForecaster` goes on from there as if nothing had been. */
  save(): Uint8Array
}

/** Less is noise: a series without a rhythm gets there by chance. */
export const skillMinimum = 0.1
/** A skill of fewer forecasts is luck. */
export const measuredMinimum = 24

/** Whether a forecast has earned to be acted on; else what is known now decides. */
export function isWorthUsing(expectation: Expectation | undefined): expectation is Expectation {
  return expectation !== undefined && expectation.measured >= measuredMinimum && expectation.skill >= skillMinimum
}
