/**
 * Follows one microshard into memory: takes whole transactions into the object table, and tells them on, in order.
 * It reads the stream and writes the table, and touches nothing else.
 */

import type { NatsConnection } from '@nats-io/transport-node'
import { sleep } from './connection-watch.ts'
import { followStream } from './follow-stream.ts'
import { decodeObject, isObjectSubject, type MicroshardPlace, microshardSubjects, streamName } from './message.ts'
import type { ObjectTable } from './object-table.ts'
import type { KnownObject } from './plan-transaction.ts'
import type { Change } from './store.ts'

export interface MicroshardReplica {
  /** Resolves when memory holds all that the stream held when it was opened; rejects when it can't be read. */
  readonly loaded: Promise<void>
  /** True once memory can't follow any more: the stream was deleted, rolled back or written by a newer program. */
  isBroken(): boolean
  /** Waits until memory holds all up to a sequence. False: not in time. */
  reach(sequence: number, waitMilliseconds: number): Promise<boolean>
  close(): Promise<void>
}

export interface ReplicaOptions {
  readonly connection: NatsConnection
  readonly place: MicroshardPlace
  readonly table: ObjectTable
  /** Told of each transaction, after the table has taken it in. */
  readonly onTransaction: (changes: readonly Change[]) => void
  readonly onTrouble: (trouble: Error) => void
  /** Told once, when it can't go on. */
  readonly onBroken: (cause: Error) => void
}

export function openMicroshardReplica(options: ReplicaOptions): MicroshardReplica {
  const stopping = new AbortController()
  const loaded = Promise.withResolvers<void>()
  const waiters = new Set<{ readonly sequence: number; readonly done: () => void }>()
  const gathering = gatherTransactions()
  let position = 0
  let isCatchingUp = true
  let isBroken = false
  let isLoaded = false
  /** Whole transactions that wait for the end of the catch-up: memory must never show half of what came in between. */
  let backlog: Gathered[] = []

  function takeIn(transactions: readonly Gathered[], upTo: number): void {
    for (const { objects } of transactions) for (const object of objects) options.table.put(object)
    position = Math.max(position, upTo)
    for (const waiter of [...waiters]) if (waiter.sequence <= position) waiter.done()
    // Nobody has subscribed before the first load is done: what it holds is not news.
    if (!isLoaded) return
    for (const { objects, isFence } of transactions) {
      if (isFence) continue
      options.onTransaction(objects.map((object, i) => ({ object, endOfTransaction: i === objects.length - 1 })))
    }
  }

  function receive(transactions: readonly Gathered[], upTo: number): void {
    if (isCatchingUp) backlog.push(...transactions)
    else takeIn(transactions, upTo)
  }

  async function follow(): Promise<void> {
    const items = followStream({
      connection: options.connection,
      stream: streamName(options.place.id),
      filterSubject: microshardSubjects(options.place),
      start: { kind: 'lastOfEachSubject' },
      signal: stopping.signal,
      onTrouble: options.onTrouble,
    })
    for await (const item of items) {
      switch (item.kind) {
        case 'started':
          isCatchingUp = true
          break
        case 'message':
          // Events wait in the same stream to be relayed; the last object before them has ended the transaction.
          if (isObjectSubject(item.subject)) {
            const whole = gathering.add(item)
            // Memory does not hold what it has half of: whoever waits for it waits for the rest as well.
            receive(whole, gathering.isOpen() ? 0 : item.sequence)
          } else receive([], item.sequence)
          break
        case 'caughtUp': {
          isCatchingUp = false
          const transactions = [...backlog, ...gathering.end(item.sequence)]
          backlog = []
          takeIn(transactions, item.sequence)
          isLoaded = true
          loaded.resolve()
          break
        }
        default:
          item satisfies never
      }
    }
  }

  const following = follow().catch((cause: unknown) => {
    const error = cause instanceof Error ? cause : new Error(String(cause))
    isBroken = true
    loaded.reject(error)
    options.onBroken(error)
  })
  // Whoever opens the store waits for it; if nobody does any more, its failure has been told by `onBroken`.
  loaded.promise.catch(() => {})

  return {
    loaded: loaded.promise,
    isBroken: () => isBroken,
    async reach(sequence, waitMilliseconds) {
      if (sequence <= position) return true
      const over = new AbortController()
      const waiter = { sequence, done: () => over.abort() }
      waiters.add(waiter)
      await sleep(waitMilliseconds, over.signal)
      waiters.delete(waiter)
      return sequence <= position
    },
    async close() {
      stopping.abort()
      await following
    },
  }
}

/** What one transaction wrote; a fence wrote nothing new. */
interface Gathered {
  readonly objects: readonly KnownObject[]
  readonly isFence: boolean
}

interface Gathering {
  /** Takes a message, and returns the transactions that have become whole by it. */
  add(message: { readonly subject: string; readonly sequence: number; readonly data: Uint8Array }): readonly Gathered[]
  /** Whether the rest of a transaction is still to come. */
  isOpen(): boolean
  /** Returns a transaction that will not become whole, since all up to a sequence has been delivered. */
  end(sequence: number): readonly Gathered[]
}

/**
 * Puts the messages of transactions together. A message can be missing, since the server keeps a bounded history: then
 * a newer version of its object lies further on, and the rest of its transaction counts as whole.
 */
function gatherTransactions(): Gathering {
  let open: { readonly id: string; readonly endSequence: number; readonly objects: KnownObject[] } | null = null

  function flush(): readonly Gathered[] {
    const objects = open?.objects ?? []
    open = null
    return objects.length === 0 ? [] : [{ objects, isFence: false }]
  }

  return {
    add(message) {
      const { object, transaction, isFence } = decodeObject(message)
      const earlier = open !== null && open.id !== transaction.id ? flush() : []
      if (isFence) return [...earlier, { objects: [object], isFence }]
      const messagesLeft = transaction.count - 1 - transaction.index
      open ??= { id: transaction.id, endSequence: message.sequence + messagesLeft, objects: [] }
      open.objects.push(object)
      return messagesLeft === 0 ? [...earlier, ...flush()] : earlier
    },
    isOpen: () => open !== null,
    end: (sequence) => (open !== null && open.endSequence <= sequence ? flush() : []),
  }
}
