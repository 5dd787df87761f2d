/** The peers: popularity, a Markov chain of order 1, PPM-C of order 4. Each learns from all users together, online. */

import { greatest, type Predictor } from './predictor.ts'

const guesses = 3

/** What is done most, whatever came before. */
export function createPopularity(): Predictor {
  const counts = new Map<string, number>()
  return {
    guess: () => greatest(counts, guesses),
    observe: ({ actionType }) => void counts.set(actionType, (counts.get(actionType) ?? 0) + 1),
  }
}

/** What followed most on the user's last action; popularity fills what is missing to three. */
export function createMarkov(): Predictor {
  return createContextPredictor(1, (found) => {
    const [most] = found
    return new Map(most)
  })
}

/**
 * Prediction by partial matching, method C, with exclusion: the longest context gives each action its count among
 * counts and distinct successors, and what is left goes to the next shorter one (Moffat, 1990).
 */
export function createPartialMatching(order: number): Predictor {
  return createContextPredictor(order, (found) => {
    const shares = new Map<string, number>()
    let left = 1
    for (const counts of found) {
      const fresh = [...counts].filter(([action]) => !shares.has(action))
      const total = fresh.reduce((sum, [, count]) => sum + count, 0)
      if (total === 0) continue
      for (const [action, count] of fresh) shares.set(action, (left * count) / (total + fresh.length))
      left *= fresh.length / (total + fresh.length)
    }
    return shares
  })
}

type Counts = ReadonlyMap<string, number>

/** @param score what the counts of all contexts that were met say, the longest first */
function createContextPredictor(order: number, score: (found: readonly Counts[]) => Counts): Predictor {
  const contexts = new Map<string, Map<string, number>>()
  const recent = new Map<string, readonly string[]>()
  const popularity = createPopularity()
  /** Longest first, down to `least` actions. */
  const keysOf = (user: string, least: number) => {
    const past = recent.get(user) ?? []
    return Array.from({ length: order + 1 }, (_, i) => order - i)
      .filter((length) => length >= least && length <= past.length)
      .map((length) => past.slice(past.length - length).join(' '))
  }
  return {
    guess(user) {
      const found = keysOf(user, order === 1 ? 1 : 0).flatMap((key) => contexts.get(key) ?? [])
      const own = greatest(score(found), guesses)
      return [...own, ...popularity.guess(user).filter((action) => !own.includes(action))].slice(0, guesses)
    },
    observe(action) {
      const { userAccountId: user, actionType } = action
      for (const key of keysOf(user, 0)) {
        const counts = contexts.get(key) ?? new Map<string, number>()
        contexts.set(key, counts)
        counts.set(actionType, (counts.get(actionType) ?? 0) + 1)
      }
      recent.set(user, [...(recent.get(user) ?? []), actionType].slice(-order))
      popularity.observe(action)
    },
  }
}
