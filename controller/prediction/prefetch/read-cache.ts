/**
 * Answers of reads, kept in memory for as long as they are as good as a new reading: never below a version that the
 * caller names or that anybody was shown here, and never older than a bound, whether or not changes are heard of. Bounded
 * in bytes, what was not used for longest going first. Touches nothing but memory.
 */

import type { ShardKey } from '../../control-plane/shard-key.ts'

/** What an answer rests on. */
export interface Basis {
  /** `network/net_…`, `events/prj_…`, `metrics/lb_…`: what has a version of its own. */
  readonly source: string
  /** Of the microshard that keeps it; null: it is a stream of its own. */
  readonly shardKey: ShardKey | null
  /** Its version when it was read, or one before. */
  readonly version: number
  /** The version that is known here by now; Infinity: it can't be told, or another answer is due without a new version. */
  readonly current: () => Promise<number>
}

/** Why an entry is there. */
export type EntryReason =
  | { readonly kind: 'missed' }
  | {
      readonly kind: 'prefetched'
      readonly userAccountId: string
      readonly probability: number
      readonly value: number
    }

export interface CachedRead<Data> {
  readonly key: string
  readonly actionType: string
  readonly data: Data
  readonly bytes: number
  readonly basis: Basis
  readonly reason: EntryReason
  /** When its reading began, on the monotonic clock. */
  readonly readAt: number
  readonly timesServed: number
}

/** Why it was not served: there is none, it is too old, the caller knows more, this controller knows more. */
export type Miss = 'absent' | 'tooOld' | 'named' | 'outdated'

export type Found<Data> =
  | { readonly kind: 'hit'; readonly entry: CachedRead<Data>; readonly ageMilliseconds: number }
  | { readonly kind: 'miss'; readonly miss: Miss }

/** Taken before a reading begins, so that what has become known since is not overwritten by it. */
export interface Ticket {
  readonly readAt: number
  readonly turn: number
}

export interface ReadCache<Data> {
  /** @param named the least version that the caller knows of; 0: none */
  find(key: string, named: number): Promise<Found<Data>>
  /** True: it would be served. Counts as no use. */
  has(key: string): Promise<boolean>
  begin(): Ticket
  /** False: more is known by now, or there is no room for it. */
  put(
    ticket: Ticket,
    entry: Pick<CachedRead<Data>, 'key' | 'actionType' | 'data' | 'bytes' | 'basis' | 'reason'>,
  ): boolean
  /** From now on nothing below this version of a source is served: somebody was shown it, or it was heard of. */
  raise(source: string, version: number): void
  /** There is this version by now: drops what is below it. */
  outdate(source: string, version: number): void
  clear(): void
  /** Those used last come last. */
  list(): readonly CachedRead<Data>[]
  bytes(): number
}

export interface ReadCacheOptions<Data> {
  readonly bytesMaximum: number
  readonly ageMillisecondsMaximum: number
  /** Milliseconds, on the monotonic clock. */
  readonly now: () => number
  /** Told of what leaves without having been asked for anew. */
  readonly onDropped?: (entry: CachedRead<Data>, why: 'outdated' | 'tooOld' | 'noRoom') => void
}

/** An entry may take this share of all there is. */
const entryShareMaximum = 1 / 8
const floorsMaximum = 16_384

type Kept<Data> = { -readonly [Field in keyof CachedRead<Data>]: CachedRead<Data>[Field] }

export function createReadCache<Data>(options: ReadCacheOptions<Data>): ReadCache<Data> {
  const { bytesMaximum, ageMillisecondsMaximum, now, onDropped } = options
  const entries = new Map<string, Kept<Data>>()
  const keysOf = new Map<string, Set<string>>()
  /** What was shown or heard of each source. */
  const floors = new Map<string, number>()
  let [bytes, turn, forgottenTurn] = [0, 0, 0]

  function remove(entry: Kept<Data>): void {
    if (entries.get(entry.key) !== entry) return
    entries.delete(entry.key)
    bytes -= entry.bytes
    const keys = keysOf.get(entry.basis.source)
    keys?.delete(entry.key)
    if (keys?.size === 0) keysOf.delete(entry.basis.source)
  }

  function drop(entry: Kept<Data>, why: 'outdated' | 'tooOld' | 'noRoom'): void {
    if (entries.get(entry.key) !== entry) return
    remove(entry)
    onDropped?.(entry, why)
  }

  function raise(source: string, version: number): void {
    const floor = Math.max(floors.get(source) ?? 0, version)
    floors.delete(source)
    floors.set(source, floor)
    turn++
    const [oldest] = floors.keys()
    if (floors.size > floorsMaximum && oldest !== undefined) {
      floors.delete(oldest)
      for (const entry of entriesOf(oldest)) drop(entry, 'outdated')
      forgottenTurn = turn
    }
    outdate(source, floor)
  }

  function outdate(source: string, version: number): void {
    for (const entry of entriesOf(source)) if (entry.basis.version < version) drop(entry, 'outdated')
  }

  const entriesOf = (source: string): readonly Kept<Data>[] =>
    [...(keysOf.get(source) ?? [])].flatMap((key) => entries.get(key) ?? [])

  function look(key: string, named: number): Kept<Data> | Miss {
    const entry = entries.get(key)
    if (entry === undefined) return 'absent'
    if (isTooOld(entry)) {
      drop(entry, 'tooOld')
      return 'tooOld'
    }
    // Whoever names a version need not be right: it is no news for others.
    return entry.basis.version < named ? 'named' : entry
  }

  /** After it was asked for what is known by now, in which time others may have been shown more. */
  function lookAgain(entry: Kept<Data>, known: number): Miss | null {
    if (entries.get(entry.key) !== entry) return 'outdated'
    if (entry.basis.version < known) {
      drop(entry, 'outdated')
      return 'outdated'
    }
    return isTooOld(entry) ? 'tooOld' : null
  }

  const isTooOld = ({ readAt }: Kept<Data>) => now() - readAt > ageMillisecondsMaximum

  function makeRoom(): void {
    for (const entry of entries.values()) {
      if (bytes <= bytesMaximum) return
      drop(entry, 'noRoom')
    }
  }

  return {
    async find(key, named) {
      const entry = look(key, named)
      if (typeof entry === 'string') return { kind: 'miss', miss: entry }
      const miss = lookAgain(entry, await entry.basis.current())
      if (miss !== null) return { kind: 'miss', miss }
      entry.timesServed++
      entries.delete(key)
      entries.set(key, entry)
      raise(entry.basis.source, entry.basis.version)
      return { kind: 'hit', entry, ageMilliseconds: now() - entry.readAt }
    },
    async has(key) {
      const entry = look(key, 0)
      return typeof entry !== 'string' && lookAgain(entry, await entry.basis.current()) === null
    },
    begin: () => ({ readAt: now(), turn }),
    put(ticket, given) {
      const { source, version } = given.basis
      const floor = floors.get(source)
      const isForgotten = floor === undefined && ticket.turn < forgottenTurn
      if (isForgotten || version < (floor ?? 0) || given.bytes > bytesMaximum * entryShareMaximum) return false
      const before = entries.get(given.key)
      // A reading that began earlier and took longer says less.
      if (before !== undefined && before.readAt > ticket.readAt) return false
      if (before !== undefined) remove(before)
      entries.set(given.key, { ...given, readAt: ticket.readAt, timesServed: 0 })
      const keys = keysOf.get(source) ?? new Set<string>()
      keysOf.set(source, keys.add(given.key))
      bytes += given.bytes
      makeRoom()
      return entries.has(given.key)
    },
    raise,
    outdate,
    clear() {
      for (const entry of [...entries.values()]) remove(entry)
    },
    list: () => [...entries.values()],
    bytes: () => bytes,
  }
}
