/**
 * One horizon of a forecaster: which experts to believe there, how far off they are, and how well it does itself. It learns
 * from forecasts that have come due only. Pure but for its own numbers.
 */

import type { Arena } from './arena.ts'
import { averageExpert, lastValueExpert } from './experts.ts'
import type { Expectation } from './forecaster.ts'

export interface Horizon {
  /** Judges what was expected for this step, if anything was. */
  judge(step: number, value: number): void
  /** Remembers what is expected now for later judgement; not every step of a long horizon is. */
  remember(step: number, expected: Float64Array): void
  combine(expected: Float64Array): Expectation
}

/** Forecasts under way at a time: those of neighbouring steps tell the same. */
const pendingMaximum = 12
/** Of a new loss; the last hundred or so that came due count. */
const lossRate = 0.01
/** A share of the best one's loss is squared so often: who is a tenth worse has a twentieth of the say. */
const squarings = 5
/** How far a bound moves after each value that it did not hold, of the usual error. */
const boundRate = 0.1
const missedShare = 0.1

const strideOf = (steps: number) => Math.ceil(steps / pendingMaximum)
const slotsOf = (steps: number) => Math.ceil(steps / strideOf(steps)) + 1
const stateLength = 4
/** Of each forecast under way: when it was made, what each expert said, and what was made of it. */
const rowLength = (experts: number) => 2 + experts

export const horizonLength = (steps: number, experts: number) =>
  stateLength + experts + slotsOf(steps) * rowLength(experts)

export function createHorizon(arena: Arena, steps: number, experts: number): Horizon {
  const stride = strideOf(steps)
  const slots = slotsOf(steps)
  const row = rowLength(experts)
  const state = arena.take(stateLength)
  const [measured, ownLoss, under, over] = [0, 1, 2, 3] as const
  const losses = arena.take(experts)
  const pending = arena.take(slots * row, Number.NaN)
  const read = (place: number) => state[place] ?? 0
  const rowOf = (step: number) => (((step / stride) % slots) + slots) % slots

  function weigh(expected: Float64Array): number {
    let least = Number.POSITIVE_INFINITY
    for (const loss of losses) least = Math.min(least, loss)
    let sum = 0
    let total = 0
    for (let i = 0; i < experts; i++) {
      const loss = losses[i] ?? 0
      let weight = loss === 0 ? 1 : least / loss
      for (let squared = 0; squared < squarings; squared++) weight *= weight
      sum += weight * (expected[i] ?? 0)
      total += weight
    }
    return sum / total
  }

  return {
    judge(step, value) {
      const made = step - steps
      if (made % stride !== 0) return
      const from = rowOf(made) * row
      if (pending[from] !== made) return
      state[measured] = read(measured) + 1
      const rate = Math.max(lossRate, 1 / read(measured))
      for (let i = 0; i < experts; i++) {
        const loss = Math.abs(value - (pending[from + 2 + i] ?? 0))
        losses[i] = (losses[i] ?? 0) + rate * (loss - (losses[i] ?? 0))
      }
      const error = value - (pending[from + 1] ?? 0)
      state[ownLoss] = read(ownLoss) + rate * (Math.abs(error) - read(ownLoss))
      const pace = boundRate * read(ownLoss)
      state[under] = Math.max(0, read(under) + pace * (-error > read(under) ? 1 - missedShare : -missedShare))
      state[over] = Math.max(0, read(over) + pace * (error > read(over) ? 1 - missedShare : -missedShare))
    },
    remember(step, expected) {
      if (step % stride !== 0) return
      const from = rowOf(step) * row
      pending[from] = step
      pending[from + 1] = weigh(expected)
      pending.set(expected, from + 2)
    },
    combine(expected) {
      const value = weigh(expected)
      const simple = Math.min(losses[lastValueExpert] ?? 0, losses[averageExpert] ?? 0)
      const skill = simple > 0 ? 1 - read(ownLoss) / simple : 0
      return { value, low: value - read(under), high: value + read(over), skill, measured: read(measured) }
    },
  }
}
