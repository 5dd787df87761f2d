/**
 * What reads have taken, and what keeping them in memory has saved: by action, and in all. What plans of prefetching rest
 * on, and what is shown of it. Touches nothing but memory.
 */

import type { CachedRead, Miss } from './read-cache.ts'

export interface KindOfRead {
  /** How long one takes that is not in memory. */
  readonly readMilliseconds: number
  /** How often in a second what it has answered becomes outdated. */
  readonly outdatedPerSecond: number
}

export interface ReadCounts {
  /** Served out of memory: what a reader before had read, and what was read ahead. */
  readonly hits: number
  readonly prefetchedHits: number
  /** Waited for a reading that was under way. */
  readonly joined: number
  readonly misses: Readonly<Record<Miss, number>>
  /** Read ahead, and how many of these were served before they left; the rest were in vain. */
  readonly prefetched: number
  readonly prefetchedServed: number
  readonly prefetchedInVain: number
  readonly savedMilliseconds: number
  /** Spent on what nobody asked for yet. */
  readonly prefetchMilliseconds: number
  /** The greatest age at which anything was served. */
  readonly oldestServedMilliseconds: number
}

export interface ReadStatistics {
  kindOf(actionType: string): KindOfRead
  noteRead(actionType: string, milliseconds: number): void
  noteMiss(miss: Miss): void
  noteHit(entry: CachedRead<unknown>, ageMilliseconds: number, milliseconds: number): void
  noteJoined(): void
  notePrefetched(milliseconds: number): void
  noteDropped(entry: CachedRead<unknown>, why: 'outdated' | 'tooOld' | 'noRoom', ageMilliseconds: number): void
  counts(): ReadCounts
  /** As long as answers out of memory take. */
  hitMilliseconds(): number
}

interface Kind {
  milliseconds: number
  outdated: number
  keptSeconds: number
}

const kindsMaximum = 512
/** How much a new measure counts against all before it. */
const weight = 0.1
/** As if one had been kept so long before, and a small part of it had become outdated. */
const firstKind: Kind = { milliseconds: 5, outdated: 0.2, keptSeconds: 20 }
const firstHitMilliseconds = 0.1

export function createReadStatistics(): ReadStatistics {
  const kinds = new Map<string, Kind>()
  const misses: Record<Miss, number> = { absent: 0, tooOld: 0, named: 0, outdated: 0 }
  const counts = { hits: 0, prefetchedHits: 0, joined: 0, prefetched: 0, prefetchedServed: 0, prefetchedInVain: 0 }
  const sums = { savedMilliseconds: 0, prefetchMilliseconds: 0, oldestServedMilliseconds: 0 }
  let hitMilliseconds = firstHitMilliseconds

  function kind(actionType: string): Kind {
    const known = kinds.get(actionType) ?? { ...firstKind }
    kinds.delete(actionType)
    kinds.set(actionType, known)
    const oldest = kinds.keys().next()
    if (kinds.size > kindsMaximum && oldest.done !== true) kinds.delete(oldest.value)
    return known
  }

  return {
    kindOf(actionType) {
      const { milliseconds, outdated, keptSeconds } = kinds.get(actionType) ?? firstKind
      return { readMilliseconds: milliseconds, outdatedPerSecond: outdated / keptSeconds }
    },
    noteRead(actionType, milliseconds) {
      const known = kind(actionType)
      known.milliseconds += weight * (milliseconds - known.milliseconds)
    },
    noteMiss: (miss) => void misses[miss]++,
    noteHit({ actionType, reason, timesServed }, ageMilliseconds, milliseconds) {
      if (reason.kind === 'prefetched') {
        counts.prefetchedHits++
        if (timesServed === 1) counts.prefetchedServed++
      } else counts.hits++
      hitMilliseconds += weight * (milliseconds - hitMilliseconds)
      sums.savedMilliseconds += Math.max(0, kind(actionType).milliseconds - milliseconds)
      sums.oldestServedMilliseconds = Math.max(sums.oldestServedMilliseconds, ageMilliseconds)
    },
    noteJoined: () => void counts.joined++,
    notePrefetched(milliseconds) {
      counts.prefetched++
      sums.prefetchMilliseconds += milliseconds
    },
    noteDropped({ actionType, reason, timesServed }, why, ageMilliseconds) {
      const known = kind(actionType)
      known.keptSeconds += ageMilliseconds / 1000
      if (why === 'outdated') known.outdated++
      if (reason.kind === 'prefetched' && timesServed === 0) counts.prefetchedInVain++
    },
    counts: () => ({ ...counts, ...sums, misses: { ...misses } }),
    hitMilliseconds: () => hitMilliseconds,
  }
}
