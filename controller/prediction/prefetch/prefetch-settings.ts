/** What a controller is told by its environment of prefetching. Pure. */

import * as v from 'valibot'

export interface PrefetchSettings {
  /** False: this controller keeps no reads in memory, whatever the switches of all say. */
  readonly isAllowed: boolean
  /** False: this controller writes nothing to the log of actions. */
  readonly isLogAllowed: boolean
  /** Nothing is served that was read longer ago. */
  readonly ageSecondsMaximum: number
  readonly bytesMaximum: number
  /** The share of the time in which it may read ahead. */
  readonly budgetShare: number
  /** How many milliseconds of waiting a millisecond of extra reading must save. */
  readonly price: number
}

const onOff = v.pipe(
  v.optional(v.picklist(['on', 'off'], 'must be on or off'), 'on'),
  v.transform((word) => word === 'on'),
)
const numberSchema = (fallback: number, least: number, most: number) =>
  v.pipe(
    v.optional(v.string(), String(fallback)),
    v.transform(Number),
    v.number('must be a number'),
    v.minValue(least, `must be ${least} to ${most}`),
    v.maxValue(most, `must be ${least} to ${most}`),
  )

export const prefetchEnvironment = {
  SLUICE_PREFETCH: onOff,
  SLUICE_ACTION_LOG: onOff,
  SLUICE_PREFETCH_AGE_SECONDS: numberSchema(30, 0.1, 3600),
  SLUICE_PREFETCH_MEBIBYTES: numberSchema(64, 1, 65_536),
  SLUICE_PREFETCH_BUDGET_SHARE: numberSchema(0.1, 0, 1),
  SLUICE_PREFETCH_PRICE: numberSchema(0.1, 0, 1000),
}

type Environment = {
  readonly [Name in keyof typeof prefetchEnvironment]: v.InferOutput<(typeof prefetchEnvironment)[Name]>
}

export const readPrefetchSettings = (environment: Environment): PrefetchSettings => ({
  isAllowed: environment.SLUICE_PREFETCH,
  isLogAllowed: environment.SLUICE_ACTION_LOG,
  ageSecondsMaximum: environment.SLUICE_PREFETCH_AGE_SECONDS,
  bytesMaximum: environment.SLUICE_PREFETCH_MEBIBYTES * 1024 ** 2,
  budgetShare: environment.SLUICE_PREFETCH_BUDGET_SHARE,
  price: environment.SLUICE_PREFETCH_PRICE,
})
