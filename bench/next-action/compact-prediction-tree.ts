/**
 * CPT+ (Gueniche, Fournier-Viger, Raman, Tseng: "CPT+: Decreasing the time/space complexity of the Compact Prediction
 * Tree", 2015), told of one action after the other. What follows, in all sequences that hold the last actions in any
 * order, on the last of them, is counted; where that is too little, the rarest of the last actions is left out as noise.
 * Its two ways of compression save memory and change no prediction: they are left out.
 */

import { greatest, type Predictor } from './predictor.ts'

/** A sequence of a user ends with a pause, or when it is so long. */
const pauseMilliseconds = 300_000
const sequenceMaximum = 15
/** How many of the last actions are looked for. */
const prefixLength = 3
/** How much must have been counted before it stops leaving out noise. */
const countsWanted = 5
const guesses = 3

export function createCompactPredictionTree(): Predictor {
  const sequences: string[][] = []
  /** Which sequences hold an action. */
  const index = new Map<string, Set<number>>()
  const current = new Map<string, { readonly sequence: number; at: number }>()

  /** What comes after the last of the wanted in each sequence that holds them all. */
  function count(wanted: ReadonlySet<string>, own: number, scores: Map<string, number>): number {
    const sets = [...wanted].map((action) => index.get(action) ?? new Set<number>())
    const [smallest, ...rest] = sets.toSorted((a, b) => a.size - b.size)
    let counted = 0
    for (const number of smallest ?? []) {
      if (number === own || !rest.every((set) => set.has(number))) continue
      const sequence = sequences[number] ?? []
      const left = new Set(wanted)
      const begin = sequence.findIndex((action) => left.delete(action) && left.size === 0) + 1
      for (const [distance, action] of sequence.slice(begin).entries()) {
        scores.set(action, (scores.get(action) ?? 0) + 1 / (distance + 1))
        counted++
      }
    }
    return counted
  }

  return {
    guess(user) {
      const own = current.get(user)?.sequence ?? -1
      const wanted = new Set((sequences[own] ?? []).slice(-prefixLength))
      const scores = new Map<string, number>()
      for (let counted = 0; wanted.size > 0 && counted < countsWanted; ) {
        counted += count(wanted, own, scores)
        const [rarest] = [...wanted].toSorted((a, b) => (index.get(a)?.size ?? 0) - (index.get(b)?.size ?? 0))
        wanted.delete(rarest ?? '')
      }
      return greatest(scores, guesses)
    },
    observe({ userAccountId, actionType, at }) {
      const known = current.get(userAccountId)
      const isOver =
        known === undefined ||
        at - known.at > pauseMilliseconds ||
        (sequences[known.sequence]?.length ?? 0) >= sequenceMaximum
      const sequence = isOver ? sequences.push([]) - 1 : known.sequence
      current.set(userAccountId, { sequence, at })
      sequences[sequence]?.push(actionType)
      const holders = index.get(actionType) ?? new Set<number>()
      index.set(actionType, holders)
      holders.add(sequence)
    },
  }
}
