/**
 * Makes an even series of what comes: readings are averaged over steps of equal length, and a step is given on once a
 * later one has begun, or somebody asks at a time when it is over. Pure but for its own numbers.
 *
 * What is not as it should be: a value that is no number is passed over, one beyond 1e15 counts as that; doubled and early
 * readings of the step that is open count into its mean; those of steps that are over are passed over. A clock that was
 * set back shows as nothing but such readings: after `lateMaximum` in a row it is believed. Steps without a reading
 * are left out.
 */

import type { Arena } from './arena.ts'
import type { Observation } from './forecaster.ts'

type OnStep = (step: number, mean: number) => void

export interface Admission {
  /** Calls `onStep` for each step that is over by this: its number since the epoch, and its mean. */
  admit(observation: Observation, onStep: OnStep): void
  /** Gives on the step that is open, if it is over at that moment. */
  settle(atMs: number, onStep: OnStep): void
  /** The number of the step in which a moment lies. */
  stepOf(atMs: number): number
}

const lateMaximum = 8
export const magnitudeMaximum = 1e15
/** Beyond it numbers of steps are no longer whole: JavaScript's own last moment. */
const timeMaximum = 8.64e15

export const admissionLength = 4

export function createAdmission(arena: Arena, stepMs: number): Admission {
  const state = arena.take(admissionLength, Number.NaN)
  const [open, sum, count, late] = [0, 1, 2, 3] as const
  const read = (place: number) => state[place] ?? 0
  const stepOf = (atMs: number) => Math.floor(atMs / stepMs)
  const begin = (step: number, value: number) => state.set([step, value, 1, 0])
  return {
    stepOf,
    admit({ atMs, value }, onStep) {
      if (!Number.isFinite(value) || !(Math.abs(atMs) <= timeMaximum)) return
      const level = Math.max(-magnitudeMaximum, Math.min(magnitudeMaximum, value))
      const step = stepOf(atMs)
      if (Number.isNaN(read(open))) return begin(step, level)
      if (step === read(open) && read(count) > 0) {
        state[sum] = read(sum) + level
        state[count] = read(count) + 1
        state[late] = 0
        return
      }
      const isLate = step <= read(open)
      if (isLate) state[late] = read(late) + 1
      if (isLate && read(late) < lateMaximum) return
      // The step that was open when the clock was set back may have been of a wrong clock itself.
      if (!isLate && read(count) > 0) onStep(read(open), read(sum) / read(count))
      begin(step, level)
    },
    settle(atMs, onStep) {
      if (!(read(count) > 0 && atMs <= timeMaximum && stepOf(atMs) > read(open))) return
      onStep(read(open), read(sum) / read(count))
      state[count] = 0
    },
  }
}
