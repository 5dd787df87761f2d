/**
 * Who comes most often, in bounded memory: whoever makes more than one in `capacity` of all is among those kept, and no
 * count is too low. Pure.
 *
 * Metwally, Agrawal and El Abbadi 2005, "Efficient Computation of Frequent and Top-k Elements in Data Streams" (Space-Saving).
 */

export interface HeavyHitters {
  note(name: string, count?: number): void
  /** The most frequent first. */
  list(): readonly HeavyHitter[]
  clear(): void
}

export interface HeavyHitter {
  readonly name: string
  /** At most this many, and at least `overestimate` fewer. */
  readonly count: number
  readonly overestimate: number
}

export function createHeavyHitters(capacity: number): HeavyHitters {
  const kept = new Map<string, { count: number; overestimate: number }>()

  function leastKept(): readonly [string, number] {
    let [name, least] = ['', Number.POSITIVE_INFINITY]
    for (const [other, { count }] of kept) if (count < least) [name, least] = [other, count]
    return [name, least]
  }

  return {
    note(name, count = 1) {
      const known = kept.get(name)
      if (known !== undefined) {
        known.count += count
      } else if (kept.size < capacity) {
        kept.set(name, { count, overestimate: 0 })
      } else {
        const [out, least] = leastKept()
        kept.delete(out)
        kept.set(name, { count: least + count, overestimate: least })
      }
    },
    list: () =>
      [...kept]
        .map(([name, { count, overestimate }]) => ({ name, count, overestimate }))
        .sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1)),
    clear: () => kept.clear(),
  }
}
