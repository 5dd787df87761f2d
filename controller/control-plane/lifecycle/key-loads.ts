/**
 * How often each key of the ring is written, counted as memory follows the microshards, and where that makes a microshard
 * be cut. It forgets by half in a given time, so that what was hot once does not count for ever. Touches nothing.
 */

import type { MicroshardEntry } from '../microshard-directory.ts'
import type { ShardKey } from '../shard-key.ts'
import type { Change } from '../store.ts'

export interface KeyLoads {
  note(changes: readonly Change[]): void
  /** By key, the writes that are remembered. */
  list(): ReadonlyMap<ShardKey, number>
}

const halfLifeMilliseconds = 600_000
/** What has become less than this is forgotten. */
const writesMinimum = 0.01

/** `now` in milliseconds, of a clock that never goes back. */
export function createKeyLoads(now: () => number): KeyLoads {
  const writes = new Map<ShardKey, number>()
  let fadedAt = now()

  function fade(): void {
    const halves = (now() - fadedAt) / halfLifeMilliseconds
    if (halves < 0.1) return
    fadedAt = now()
    for (const [key, count] of writes) {
      const left = count * 0.5 ** halves
      if (left < writesMinimum) writes.delete(key)
      else writes.set(key, left)
    }
  }

  return {
    note(changes) {
      fade()
      for (const { object } of changes) writes.set(object.shardKey, (writes.get(object.shardKey) ?? 0) + 1)
    },
    list() {
      fade()
      return writes
    },
  }
}

export interface SplitPoint {
  /** The first key of the upper half. */
  readonly at: ShardKey
  /** The share of the load that comes to lie below, 0 to 1. */
  readonly lowerShare: number
}

/**
 * Where the load halves: by writes, and by objects where nothing has been written lately. Null: there are fewer than two
 * keys, and a key is never cut.
 */
export function chooseSplit(
  { from, to }: Pick<MicroshardEntry, 'from' | 'to'>,
  loads: { readonly writes: ReadonlyMap<ShardKey, number>; readonly objects: ReadonlyMap<ShardKey, number> },
): SplitPoint | null {
  const known = new Set([...loads.objects.keys(), ...loads.writes.keys()])
  const keys = [...known].filter((key) => from <= key && key <= to).sort()
  const weigh = (map: ReadonlyMap<ShardKey, number>) => keys.map((key) => map.get(key) ?? 0)
  const written = weigh(loads.writes)
  const weights = written.some((weight) => weight > 0) ? written : weigh(loads.objects)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let best: SplitPoint | null = null
  let below = 0
  for (const [i, at] of keys.entries()) {
    if (i > 0) {
      const lowerShare = total === 0 ? i / keys.length : below / total
      if (best === null || Math.abs(lowerShare - 0.5) < Math.abs(best.lowerShare - 0.5)) best = { at, lowerShare }
    }
    below += weights[i] ?? 0
  }
  return best
}
