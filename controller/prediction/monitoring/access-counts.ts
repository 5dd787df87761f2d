/**
 * Counts the accesses that go through this controller, by microshard, until they are taken. It is on the path of every
 * read and write, so an access costs a search in the directory and some additions, and memory does not grow with them.
 */

import { findMicroshard, type Ring } from '../../control-plane/microshard-directory.ts'
import type { ShardKey } from '../../control-plane/shard-key.ts'
import { clientsKept, type MicroshardWindow, pairsKept } from './access-report.ts'
import { createHeavyHitters, type HeavyHitters } from './heavy-hitters.ts'
import { createLatencySketch, type LatencySketch } from './latency-sketch.ts'

export interface AccessCounts {
  noteMemoryRead(shardKey: ShardKey): void
  /** Of a read from the leader or a write, when it has ended. */
  note(shardKey: ShardKey, kind: 'leaderRead' | 'write', milliseconds: number, isError: boolean): void
  /** One request used what lies at these keys. */
  noteTogether(shardKeys: Iterable<ShardKey>): void
  /** What was counted since it was taken last. */
  take(): TakenCounts
}

export interface TakenCounts {
  readonly microshards: readonly MicroshardWindow[]
  readonly together: readonly [string, string, number][]
}

interface Counted {
  memoryReads: number
  leaderReads: number
  writes: number
  errors: number
  readonly latency: LatencySketch
  readonly clients: HeavyHitters
}

/** Exact up to so many, and what comes out is never too low beyond that. */
const clientsCounted = 32
const pairsCounted = 256
/** A request that uses more than this is a list of everything, and says nothing of what belongs together. */
const togetherMaximum = 8
const clientDigits = 8

export function createAccessCounts(directory: () => Ring): AccessCounts {
  let counted = new Map<string, Counted>()
  const pairs = createHeavyHitters(pairsCounted)

  function countOf(shardKey: ShardKey): Counted {
    const { id } = findMicroshard(directory(), shardKey)
    let count = counted.get(id)
    if (count === undefined) {
      const [latency, clients] = [createLatencySketch(), createHeavyHitters(clientsCounted)]
      count = { memoryReads: 0, leaderReads: 0, writes: 0, errors: 0, latency, clients }
      counted.set(id, count)
    }
    count.clients.note(shardKey.slice(0, clientDigits))
    return count
  }

  return {
    noteMemoryRead: (shardKey) => void countOf(shardKey).memoryReads++,

    note(shardKey, kind, milliseconds, isError) {
      const count = countOf(shardKey)
      if (kind === 'write') count.writes++
      else count.leaderReads++
      if (isError) count.errors++
      count.latency.note(milliseconds)
    },

    noteTogether(shardKeys) {
      const ids = [...new Set([...shardKeys].map((key) => findMicroshard(directory(), key).id))].sort()
      if (ids.length > togetherMaximum) return
      for (const [i, one] of ids.entries()) for (const other of ids.slice(i + 1)) pairs.note(`${one} ${other}`)
    },

    take() {
      const taken = counted
      counted = new Map()
      const together = pairs.list().slice(0, pairsKept)
      pairs.clear()
      return {
        microshards: [...taken].map(([id, { latency, clients, ...counts }]) => ({
          id,
          ...counts,
          latency: latency.list().map(([bucket, count]) => [bucket, count]),
          clients: clients
            .list()
            .slice(0, clientsKept)
            .map(({ name, count }) => [name, count]),
        })),
        together: together.map(({ name, count }) => {
          const [one = '', other = ''] = name.split(' ')
          return [one, other, count]
        }),
      }
    },
  }
}
