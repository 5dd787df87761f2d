/**
 * Follows one microshard into memory: takes whole transactions into the object table, and tells them on, in order.
 * It reads the stream and writes the table, and touches nothing else.
 */

import type { NatsConnection } from '@nats-io/transport-node'
import type { CargoHold } from './cargo-hold.ts'
import { sleep } from './connection-watch.ts'
import { type FollowedMessage, followStream } from './follow-stream.ts'
import { createGathering, type Gathered, type GatheredObject } from './gather-transactions.ts'
import { copiedHeader } from './lifecycle/copied-header.ts'
import { type MicroshardPlace, microshardSubjects, peekLastLine, readSubject, streamName } from './message.ts'
import type { ObjectTable } from './object-table.ts'
import type { OwnWrites } from './own-writes.ts'
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
  readonly table: Pick<ObjectTable, 'find' | 'put'>
  readonly hold: CargoHold
  readonly own: OwnWrites
  /** Told of each transaction, after the table has taken it in. */
  readonly onTransaction: (changes: readonly Change[]) => void
  readonly onTrouble: (trouble: Error) => void
  /** True as long as the microshard is only being made: what is copied into it is no news. */
  readonly isBeingMade?: () => boolean
  /** Told once, when it can't go on. */
  readonly onBroken: (cause: Error) => void
}

export function openMicroshardReplica(options: ReplicaOptions): MicroshardReplica {
  const stopping = new AbortController()
  const loaded = Promise.withResolvers<void>()
  const waiters = new Set<{ readonly sequence: number; readonly done: () => void }>()
  const gathering = createGathering(options.own)
  let position = 0
  let isCatchingUp = true
  let isBroken = false
  let isLoaded = false
  /** Whole transactions that wait for the end of the catch-up: memory must never show half of what came in between. */
  let backlog: Gathered[] = []

  function takeIn(transactions: readonly Gathered[], upTo: number): void {
    const news = transactions.map(({ objects }) => objects.filter(takeInObject))
    position = Math.max(position, upTo)
    for (const waiter of [...waiters]) if (waiter.sequence <= position) waiter.done()
    // Nobody has subscribed before the first load is done: what it holds is not news.
    if (!isLoaded) return
    for (const told of news) {
      if (told.length === 0) continue
      options.onTransaction(told.map(({ object }, i) => ({ object, endOfTransaction: i === told.length - 1 })))
    }
  }

  /** Says whether it is news. */
  function takeInObject({ object, carrier, cargo, isNews }: GatheredObject): boolean {
    const { table, hold } = options
    const versionBefore = isNews === 'ifNewer' ? (table.find(object.kind, object.id)?.version ?? 0) : 0
    table.put(object)
    if (cargo !== null) hold.put(object, object.revision.sequence, cargo)
    if (carrier !== null && table.find(object.kind, object.id)?.version === object.version) {
      hold.noteCarried(object, carrier)
    }
    return isNews === 'ifNewer' ? versionBefore < object.version : isNews
  }

  function receive(transactions: readonly Gathered[], upTo: number): void {
    if (isCatchingUp) backlog.push(...transactions)
    else takeIn(transactions, upTo)
  }

  function receiveMessage(message: FollowedMessage): void {
    const meaning = readSubject(message.subject)
    switch (meaning.kind) {
      case 'object': {
        const whole = silenceCopies(message, gathering.add(message))
        // Memory does not hold what it has half of: whoever waits for it waits for the rest as well.
        receive(whole, gathering.isOpen() ? 0 : message.sequence)
        return
      }
      case 'crate':
        options.hold.addCrate(meaning.carrier, message.sequence)
        options.hold.noteStored(meaning.carrier, peekLastLine(message.data))
        receive(silenceCopies(message, gathering.addCrate(message, meaning.carrier)), message.sequence)
        return
      // Events wait in the same stream to be relayed; the last object before them has ended the transaction.
      case 'event':
      case 'seal':
        receive([], message.sequence)
        return
      default:
        meaning satisfies never
    }
  }

  /** Whoever is told of changes has heard of these from where they were copied from. */
  function silenceCopies(message: FollowedMessage, transactions: readonly Gathered[]): readonly Gathered[] {
    const isCopy = options.isBeingMade?.() === true && message.headers?.has(copiedHeader) === true
    if (!isCopy) return transactions
    return transactions.map(({ objects }) => ({ objects: objects.map((one) => ({ ...one, isNews: false })) }))
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
          receiveMessage(item)
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
