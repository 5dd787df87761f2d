/**
 * How far the values of a short window are spread unlike in any window before: relative entropy to the nearest of the
 * spreads that are remembered (after Wang et al., Statistical Techniques for Online Anomaly Detection in Data Centers,
 * 2011). One that is too far from all of them is remembered as well, in place of the oldest. Pure but for its own numbers.
 */

import type { Arena } from '../forecast/arena.ts'

export interface SpreadShape {
  readonly bins: number
  /** Of so many readings. */
  readonly window: number
}

const rememberedMaximum = 48
/** Of chi-squared with four degrees of freedom, what one in a hundred exceeds. */
const farness = 13.3
/** What was never seen is not impossible. */
const shareMinimum = 0.001
/** Beyond it all is equally strange. */
const distanceMaximum = 1e6

const stateLength = 4
export const spreadNoveltyLength = ({ bins, window }: SpreadShape) =>
  stateLength + window + bins + rememberedMaximum * bins

export function createSpreadNovelty(arena: Arena, { bins, window }: SpreadShape) {
  const state = arena.take(stateLength)
  const [seen, least, most, remembered] = [0, 1, 2, 3] as const
  const recent = arena.take(window)
  const counts = arena.take(bins)
  /** Logarithms of shares. */
  const spreads = arena.take(rememberedMaximum * bins)
  const read = (place: number) => state[place] ?? 0

  function count() {
    const width = read(most) - read(least)
    counts.fill(0)
    for (const value of recent) {
      const bin = Math.min(bins - 1, Math.floor(((value - read(least)) / width) * bins))
      counts[bin] = (counts[bin] ?? 0) + 1
    }
  }

  function distanceTo(spread: number): number {
    let sum = 0
    for (let bin = 0; bin < bins; bin++) {
      const share = (counts[bin] ?? 0) / window
      if (share > 0) sum += share * (Math.log(share) - (spreads[spread * bins + bin] ?? 0))
    }
    return 2 * window * sum
  }

  function remember() {
    const from = (read(remembered) % rememberedMaximum) * bins
    for (let bin = 0; bin < bins; bin++) {
      spreads[from + bin] = Math.log(Math.max((counts[bin] ?? 0) / window, shareMinimum))
    }
    state[remembered] = read(remembered) + 1
  }

  return {
    observe(value: number): number {
      if (read(seen) === 0) state[least] = state[most] = value
      state[least] = Math.min(read(least), value)
      state[most] = Math.max(read(most), value)
      recent[read(seen) % window] = value
      state[seen] = read(seen) + 1
      if (read(seen) < window || read(most) === read(least)) return 0
      count()
      const known = Math.min(rememberedMaximum, read(remembered))
      let nearest = Number.POSITIVE_INFINITY
      for (let spread = 0; spread < known; spread++) nearest = Math.min(nearest, distanceTo(spread))
      if (nearest > farness) remember()
      return known === 0 ? 0 : Math.max(0, Math.min(distanceMaximum, nearest))
    },
  }
}
