/** How far a smoothed series leaves all that it has been between, in shares of that range. Pure but for its own numbers. */

import type { Arena } from '../forecast/arena.ts'

/** Of how many readings a level is, about. */
const smoothing = 10

export const rangeNoveltyLength = 3

export function createRangeNovelty(arena: Arena) {
  const state = arena.take(rangeNoveltyLength, Number.NaN)
  const [level, least, most] = [0, 1, 2] as const
  const read = (place: number) => state[place] ?? 0
  return {
    observe(value: number): number {
      if (Number.isNaN(read(level))) state.fill(value)
      state[level] = read(level) + (value - read(level)) / smoothing
      const width = read(most) - read(least)
      const beyond = Math.max(read(level) - read(most), read(least) - read(level))
      state[least] = Math.min(read(least), read(level))
      state[most] = Math.max(read(most), read(level))
      return beyond > 0 && width > 0 ? beyond / width : 0
    },
  }
}
