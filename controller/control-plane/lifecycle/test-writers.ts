/**
 * Writers who never stop while microshards are split, merged and moved, and who know what was acknowledged. Each has a
 * shard of its own and leases that it carries. Only tests and measurements use it.
 */

import { createClientId, createId } from '../shard-key.ts'
import { type Store, type TransactionOutcome, write } from '../store.ts'
import { leaseKind, newLeaseId, shardKind } from '../store-contract.ts'

export interface Writers {
  readonly writers: readonly Writer[]
  /** How long each write took, in milliseconds, with the time at which it ended. */
  readonly latencies: readonly { readonly at: number; readonly milliseconds: number }[]
  /** What was not acknowledged. */
  readonly refused: readonly TransactionOutcome[]
  /** After the writes under way. */
  stop(): Promise<void>
}

export interface Writer {
  readonly clientId: string
  readonly shardId: string
  readonly leaseId: string
  /** The version that was acknowledged last. */
  shardVersion: number
  leaseVersion: number
  /** Of events: one with each write, numbered. */
  writes: number
}

export interface WritersOptions {
  readonly stores: readonly Store[]
  readonly count: number
  readonly hasEvents?: boolean
  /** Between two writes of a writer; none when left out. */
  readonly pauseMilliseconds?: number
  /** In front of the clients' random bits: `01` puts all of them into the second quarter of the ring. */
  readonly leadingBits?: string
}

const eventType = 'shard.changed'

/** A client whose ring bits begin with these. */
export function newClientWithin(leadingBits: string): string {
  return createClientId('prj', Date.now(), (bytes) => {
    const drawn = crypto.getRandomValues(new Uint8Array(bytes))
    if (bytes === 4) {
      const kept = 0xff >> leadingBits.length
      drawn[0] = (Number.parseInt(leadingBits.padEnd(8, '0'), 2) & ~kept) | ((drawn[0] ?? 0) & kept)
    }
    return drawn
  })
}

export async function startWriters(options: WritersOptions): Promise<Writers> {
  const { stores, count } = options
  const latencies: { at: number; milliseconds: number }[] = []
  const refused: TransactionOutcome[] = []
  let isOver = false

  const writers = Array.from({ length: count }, (): Writer => {
    const clientId = newClientWithin(options.leadingBits ?? '')
    const shardId = createId(shardKind.prefix, clientId, Date.now())
    return { clientId, shardId, leaseId: newLeaseId(clientId), shardVersion: 0, leaseVersion: 0, writes: 0 }
  })

  /** The shard, its lease, or both. */
  async function writeOnce(store: Store, writer: Writer): Promise<void> {
    const turn = writer.writes % 3
    const [shard, lease] = [turn !== 1, turn !== 2]
    const { shardId, leaseId, clientId } = writer
    const value = { shardId, number: writer.writes }
    const writes = [
      ...(shard
        ? [
            write({
              kind: shardKind,
              id: shardId,
              expect: writer.shardVersion || 'absent',
              value: { cidr: '', count: 1 },
            }),
          ]
        : []),
      ...(lease ? [write({ kind: leaseKind, id: leaseId, expect: writer.leaseVersion || 'absent', value })] : []),
    ]
    const event = { type: eventType, projectId: clientId, subject: shardId, data: writer.writes }
    const beganAt = performance.now()
    const outcome = await store.transact({ writes, ...(options.hasEvents === true ? { events: [event] } : {}) })
    const at = performance.now()
    latencies.push({ at, milliseconds: at - beganAt })
    if (outcome.outcome !== 'committed') {
      refused.push(outcome)
      return
    }
    writer.shardVersion += shard ? 1 : 0
    writer.leaseVersion += lease ? 1 : 0
    writer.writes++
  }

  async function run(writer: Writer, store: Store): Promise<void> {
    while (!isOver) {
      await writeOnce(store, writer)
      if (options.pauseMilliseconds !== undefined) await Bun.sleep(options.pauseMilliseconds)
    }
  }

  const first = stores[0]
  if (first === undefined) throw new Error('BUG: writers without a store')
  for (const writer of writers) await writeOnce(first, writer)
  const running = writers.map((writer, i) => run(writer, stores[i % stores.length] ?? first))
  return {
    writers,
    latencies,
    refused,
    async stop() {
      isOver = true
      await Promise.all(running)
    },
  }
}
