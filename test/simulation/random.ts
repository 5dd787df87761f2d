/** Chance that can be replayed: the same seed gives the same history. Pure but for its own state. */

export interface Chance {
  /** 0 to 1. */
  next(): number
  /** A whole number from 0 to below `limit`. */
  below(limit: number): number
  happens(probability: number): boolean
  pick<Value>(values: readonly Value[]): Value | undefined
  bytes(count: number): Uint8Array
}

/** Mulberry32. */
export function createChance(seed: number): Chance {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    next,
    below,
    happens: (probability) => next() < probability,
    pick: (values) => values[below(values.length)],
    bytes: (count) => Uint8Array.from({ length: count }, () => below(256)),
  }
}
