/**
 * Which reads are worth being made before they are asked for: the probability that each is, times what its reader would
 * wait less, times the chance that it is still as good then, less what making it costs. The most valuable first, within
 * what may be spent. Pure.
 */

import type { ReadName } from './read-name.ts'
import type { Way } from './targets.ts'

/** A read that may be next, with what is known of its kind. */
export interface Candidate {
  readonly name: ReadName
  readonly key: string
  readonly way: Way
  /** That it is the next one. */
  readonly probability: number
  /** How long such a read takes, when it is not in memory. */
  readonly readMilliseconds: number
  /** How often, in a second, what such a read has answered becomes outdated. */
  readonly outdatedPerSecond: number
  readonly isCached: boolean
}

export interface PlanSettings {
  /** After how long the user's next action comes. */
  readonly gapSeconds: number
  /** An entry is served no longer than this. */
  readonly ageSecondsMaximum: number
  /** How long an answer out of memory takes. */
  readonly hitMilliseconds: number
  /** How many milliseconds of a reader's waiting one millisecond of extra reading is worth. */
  readonly price: number
  /** How many milliseconds of reading may be spent now. */
  readonly budgetMilliseconds: number
  readonly readsMaximum: number
}

export const decisions = ['prefetch', 'cached', 'notWorth', 'overBudget'] as const
export type Decision = (typeof decisions)[number]

export interface Judged extends Candidate {
  readonly savedMilliseconds: number
  readonly validity: number
  readonly costMilliseconds: number
  /** In milliseconds of waiting. */
  readonly value: number
  readonly decision: Decision
}

/** All candidates, the most valuable first, each with what is to be done. */
export function planPrefetch(candidates: readonly Candidate[], settings: PlanSettings): readonly Judged[] {
  let { budgetMilliseconds: budget, readsMaximum: reads } = settings
  return candidates
    .map((candidate) => judge(candidate, settings))
    .toSorted((a, b) => b.value - a.value)
    .map((judged) => {
      if (judged.decision !== 'prefetch') return judged
      if (reads === 0 || judged.readMilliseconds > budget) return { ...judged, decision: 'overBudget' }
      reads--
      budget -= judged.readMilliseconds
      return judged
    })
}

function judge(candidate: Candidate, settings: PlanSettings): Judged {
  const { gapSeconds, ageSecondsMaximum, hitMilliseconds, price } = settings
  const savedMilliseconds = Math.max(0, candidate.readMilliseconds - hitMilliseconds)
  const validity = validityAfter(gapSeconds, ageSecondsMaximum, candidate.outdatedPerSecond)
  const costMilliseconds = price * candidate.readMilliseconds
  const value = candidate.probability * savedMilliseconds * validity - costMilliseconds
  const decision = candidate.isCached ? 'cached' : value > 0 ? 'prefetch' : 'notWorth'
  return { ...candidate, savedMilliseconds, validity, costMilliseconds, value, decision }
}

/**
 * That an entry is served when it is asked for, where gaps and changes come at random at rates g and λ: that the asking
 * comes before the change and before the bound A, g / (g + λ) × (1 − exp(−(g + λ) A)).
 */
export function validityAfter(gapSeconds: number, ageSecondsMaximum: number, outdatedPerSecond: number): number {
  const gapRate = 1 / Math.max(gapSeconds, 1e-3)
  const rate = gapRate + outdatedPerSecond
  return (gapRate / rate) * (1 - Math.exp(-rate * ageSecondsMaximum))
}
