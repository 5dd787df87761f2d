/**
 * The microshards that a store has open, as the directory says: it opens those that are being made, goes over to them when
 * the directory is switched, and closes what is not needed any more. It touches memory and its microshards.
 *
 * Readers and watchers notice nothing: whoever takes over has in memory all that was there before, and is heard from where
 * the others have ended.
 */

import { sleep } from '../connection-watch.ts'
import type { Microshard } from '../microshard.ts'
import {
  findMicroshard,
  findOperationOf,
  type MicroshardDirectory,
  type MicroshardEntry,
  type MicroshardOperation,
  type Ring,
} from '../microshard-directory.ts'
import type { MicroshardReplica } from '../microshard-replica.ts'
import type { ObjectTable } from '../object-table.ts'
import type { ShardKey } from '../shard-key.ts'
import type { Change } from '../store.ts'
import { createStagedTable, type StagedTable } from './staged-table.ts'
import type { WatchedDirectory } from './watched-directory.ts'

export interface OpenedMicroshard {
  readonly microshard: Microshard
  readonly replica: MicroshardReplica
  /** Of the stream, from its leader. */
  readonly readLastSequence: () => Promise<number>
}

/** What a microshard is opened with. */
export interface MicroshardMeans {
  readonly table: Pick<ObjectTable, 'find' | 'put'>
  readonly onTransaction: (changes: readonly Change[]) => void
  readonly isBeingMade: () => boolean
  readonly cut: () => number | null
}

export interface MicroshardSet {
  /** Resolves when memory holds all that was there when the set was opened. */
  readonly loaded: Promise<unknown>
  /** Does something with the microshard that keeps a key, which stays open meanwhile. */
  use<Result>(shardKey: ShardKey, work: (microshard: Microshard) => Promise<Result>): Promise<Result>
  /** For whoever was fenced off: waits until another microshard keeps the key. False: not in time, or there is none to come. */
  whenMoved(shardKey: ShardKey, waitMilliseconds: number): Promise<boolean>
  /** Waits until memory holds these microshards up to a sequence of each. False: not in time. */
  reach(sequences: Readonly<Record<string, number>>, waitMilliseconds: number): Promise<boolean>
  close(): Promise<void>
}

export interface MicroshardSetOptions {
  readonly directory: WatchedDirectory
  readonly table: ObjectTable
  readonly open: (entry: MicroshardEntry, means: MicroshardMeans) => OpenedMicroshard
  readonly tell: (changes: readonly Change[]) => void
  readonly onTrouble: (trouble: Error) => void
}

interface Held {
  readonly entry: MicroshardEntry
  readonly opened: OpenedMicroshard
  /** Null: it has been part of the table of all from the beginning. */
  readonly staged: StagedTable | null
  /** What watchers are told once it has taken over. */
  readonly untold: (readonly Change[])[]
  hasTakenOver: boolean
  cut: number | null
  users: number
}

/** One change of who keeps some arcs. */
interface Handover {
  readonly before: readonly Held[]
  readonly after: readonly Held[]
  readonly ending: AbortController
}

/** How long memory waits for the end of what was, before it is content with what has come of it. */
const endMilliseconds = 2_000
const retryMilliseconds = 100
const closeMilliseconds = 30_000

export function openMicroshardSet(options: MicroshardSetOptions): MicroshardSet {
  const { directory, table } = options
  const held = new Map<string, Held>()
  const handovers = new Set<Handover>()
  const closing = new AbortController()
  const closed: Promise<unknown>[] = []
  let movedWaiters: (() => void)[] = []
  /** Those that are read and written, in the order of the ring. */
  let keepers: readonly Held[] = []
  let ring: Ring = { microshards: [], keyLayouts: [], version: 0 }

  function keep(wanted: readonly Held[]): void {
    keepers = wanted.toSorted(inOrder)
    const { keyLayouts, version } = directory.current()
    ring = { microshards: keepers.map(({ entry }) => entry), keyLayouts, version }
  }

  function hold(entry: MicroshardEntry, isFirst: boolean): Held {
    const staged = isFirst ? null : createStagedTable(table, () => Bun.sleep(0))
    const one: Held = {
      entry,
      staged,
      untold: [],
      hasTakenOver: isFirst,
      cut: null,
      users: 0,
      opened: options.open(entry, {
        table: staged ?? table,
        onTransaction: (changes) => {
          if (one.hasTakenOver) options.tell(changes)
          else one.untold.push(changes)
        },
        isBeingMade: () => !one.hasTakenOver,
        cut: () => one.cut,
      }),
    }
    held.set(entry.id, one)
    return one
  }

  /** After what is under way in it has ended. */
  async function release(one: Held): Promise<void> {
    held.delete(one.entry.id)
    const deadline = performance.now() + closeMilliseconds
    while (one.users > 0 && performance.now() < deadline) await sleep(retryMilliseconds, closing.signal)
    await one.opened.microshard.close()
  }

  function releaseSoon(one: Held): void {
    closed.push(release(one).catch((trouble: Error) => options.onTrouble(trouble)))
  }

  function follow(current: MicroshardDirectory): void {
    if (closing.signal.aborted) return
    for (const handover of [...handovers]) {
      if (!handover.after.every(({ entry }) => isKept(current, entry))) end(handover)
    }
    for (const entry of listMade(current)) if (!held.has(entry.id)) hold(entry, false)
    for (const { before, entries } of groupChanges(keepers, current)) {
      const isUnderWay = [...handovers].some(({ after }) => after.some(({ entry }) => entry.id === entries[0]?.id))
      if (isUnderWay) continue
      const after = entries.map((entry) => held.get(entry.id) ?? hold(entry, false))
      const handover = { before, after, ending: new AbortController() }
      handovers.add(handover)
      closed.push(handOver(handover))
    }
    const wanted = new Set([...current.microshards, ...listMade(current)].map(({ id }) => id))
    for (const one of [...held.values()]) {
      if (!wanted.has(one.entry.id) && !keepers.includes(one)) releaseSoon(one)
    }
  }

  function end(handover: Handover): void {
    handover.ending.abort()
    handovers.delete(handover)
  }

  async function handOver(handover: Handover): Promise<void> {
    const over = AbortSignal.any([handover.ending.signal, closing.signal])
    while (!over.aborted) {
      try {
        const isWhole = await readBefore(handover)
        await readAfter(handover, over)
        if (!over.aborted) takeOver(handover, isWhole)
        return
      } catch (trouble) {
        options.onTrouble(trouble instanceof Error ? trouble : new Error(String(trouble)))
        await sleep(retryMilliseconds, over)
      }
    }
  }

  /** Waits until watchers have heard all of what was. False: some of it can't be read any more. */
  async function readBefore({ before }: Handover): Promise<boolean> {
    const ends = await Promise.all(
      before.map(async (one) => {
        one.cut = findOperationOf(directory.current(), one.entry.id)?.cuts[one.entry.id] ?? null
        return one.cut !== null && (await one.opened.replica.reach(one.cut, endMilliseconds))
      }),
    )
    return ends.every(Boolean)
  }

  /** Waits until memory holds what has been copied. */
  async function readAfter({ after }: Handover, over: AbortSignal): Promise<void> {
    for (const { entry, opened } of after) {
      await opened.replica.loaded
      const known = findOperationOf(directory.current(), entry.id)?.starts[entry.id]
      const start = known ?? (await opened.readLastSequence())
      while (!over.aborted && !(await opened.replica.reach(start, endMilliseconds))) {
        options.onTrouble(new Error(`memory does not hold microshard ${entry.id} up to ${start} yet`))
      }
    }
  }

  /** At once, so that nobody can see it half done. */
  function takeOver(handover: Handover, isWhole: boolean): void {
    const { before, after } = handover
    handovers.delete(handover)
    keep([...keepers.filter((one) => !before.includes(one)), ...after])
    for (const one of after) {
      const missed = isWhole ? [] : (one.staged?.listNews() ?? [])
      one.hasTakenOver = true
      if (one.staged !== null) closed.push(one.staged.adopt())
      const untold = one.untold.splice(0)
      const told = missed.map((object): readonly Change[] => [{ object, endOfTransaction: true }])
      for (const changes of isWhole ? untold : told) {
        for (const { object } of changes) table.put(object)
        options.tell(changes)
      }
    }
    for (const one of before) releaseSoon(one)
    for (const wake of movedWaiters.splice(0)) wake()
    follow(directory.current())
  }

  const keeperOf = (shardKey: ShardKey): Held => {
    const entry = findMicroshard(ring, shardKey)
    const found = held.get(entry.id)
    if (found === undefined) throw new Error(`BUG: microshard ${entry.id} is not open`)
    return found
  }

  const first = directory.current()
  keep(first.microshards.map((entry) => hold(entry, true)))
  const loaded = Promise.all(keepers.map(({ opened }) => opened.replica.loaded))
  loaded.catch(() => {})
  follow(first)
  const forget = directory.subscribe(follow)

  return {
    loaded,
    async use(shardKey, work) {
      const one = keeperOf(shardKey)
      one.users++
      try {
        return await work(one.opened.microshard)
      } finally {
        one.users--
      }
    },

    async whenMoved(shardKey, waitMilliseconds) {
      const one = keeperOf(shardKey)
      const deadline = performance.now() + waitMilliseconds
      let current = await directory.refresh()
      while (keeperOf(shardKey) === one) {
        const isKept = current.microshards.some(({ id }) => id === one.entry.id)
        const left = deadline - performance.now()
        if (left <= 0 || closing.signal.aborted) return false
        // Nobody is to take over: it has no leader just now.
        if (isKept && !isSealed(findOperationOf(current, one.entry.id))) return false
        const moved = Promise.withResolvers<void>()
        movedWaiters.push(moved.resolve)
        const over = AbortSignal.any([closing.signal, AbortSignal.timeout(Math.ceil(left))])
        await Promise.race([moved.promise, directory.reachNewer(current.version, left), sleep(left, over)])
        movedWaiters = movedWaiters.filter((wake) => wake !== moved.resolve)
        current = directory.current()
      }
      return true
    },

    async reach(sequences, waitMilliseconds) {
      const reached = await Promise.all(
        Object.entries(sequences).map(async ([id, sequence]) => {
          const one = held.get(id)
          return one === undefined ? false : one.opened.replica.reach(sequence, waitMilliseconds)
        }),
      )
      return reached.every(Boolean)
    },

    async close() {
      closing.abort()
      forget()
      for (const wake of movedWaiters.splice(0)) wake()
      await Promise.all([...held.values()].map(({ opened }) => opened.microshard.close()))
      await Promise.all(closed)
    },
  }
}

const inOrder = (a: Held, b: Held) => (a.entry.from < b.entry.from ? -1 : 1)
const isKept = (directory: MicroshardDirectory, { id }: MicroshardEntry) =>
  directory.microshards.some((entry) => entry.id === id)

/** Those that are being copied into: their streams are there. */
const listMade = ({ operations }: MicroshardDirectory) =>
  operations.flatMap(({ phase, targets }) => (phase === 'copying' || phase === 'sealing' ? targets : []))

/** It may take no writes any more. */
const isSealed = (operation: MicroshardOperation | null) =>
  operation !== null && (operation.phase === 'sealing' || operation.isReturning)

interface KeeperChange {
  readonly before: readonly Held[]
  readonly entries: readonly MicroshardEntry[]
}

/** Who keeps another arc than the directory says, with those who keep it from now on: arcs that hang together. */
function groupChanges(keepers: readonly Held[], { microshards }: MicroshardDirectory): readonly KeeperChange[] {
  const known = new Set(keepers.map(({ entry }) => entry.id))
  const kept = new Set(microshards.map(({ id }) => id))
  const groups: { before: Held[]; entries: MicroshardEntry[]; from: ShardKey; to: ShardKey }[] = []
  const changed = [
    ...keepers.filter(({ entry }) => !kept.has(entry.id)).map((before) => ({ before, entry: before.entry })),
    ...microshards.filter(({ id }) => !known.has(id)).map((entry) => ({ before: null, entry })),
  ].sort((a, b) => (a.entry.from < b.entry.from ? -1 : 1))
  for (const { before, entry } of changed) {
    const last = groups.at(-1)
    const group = last !== undefined && entry.from <= last.to ? last : null
    const into = group ?? { before: [], entries: [], from: entry.from, to: entry.to }
    if (group === null) groups.push(into)
    if (entry.to > into.to) into.to = entry.to
    if (before === null) into.entries.push(entry)
    else into.before.push(before)
  }
  return groups
}
