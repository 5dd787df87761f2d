/**
 * What this process has on its way into a microshard, by transaction: who follows the stream meets it again there, and
 * need not read it out of its messages. Touches nothing.
 */

import type { Cargo } from './message.ts'
import type { KnownObject } from './plan-transaction.ts'

/** What one message of a transaction brings, once it is known where it lies. */
export interface OwnMessage {
  readonly isCopy: boolean
  readonly cargo: Cargo
  /** Its own object and those that it carries: the same ones each time. */
  place(sequence: number): PlacedMessage
}

export interface PlacedMessage {
  readonly object: KnownObject
  readonly carried: readonly KnownObject[]
}

export interface OwnWrites {
  expect(transactionId: string, messages: readonly OwnMessage[]): void
  /** A message of a transaction of this process; null: of another's, or forgotten. */
  find(transactionId: string, index: number): OwnMessage | null
  forget(transactionId: string): void
}

/** They come at once or never; what is forgotten is read. */
const transactionsMaximum = 128

export function createOwnWrites(): OwnWrites {
  const transactions = new Map<string, readonly OwnMessage[]>()
  return {
    expect(transactionId, messages) {
      transactions.set(transactionId, messages)
      const [oldest] = transactions.keys()
      if (transactions.size > transactionsMaximum && oldest !== undefined) transactions.delete(oldest)
    },
    find: (transactionId, index) => transactions.get(transactionId)?.[index] ?? null,
    forget: (transactionId) => void transactions.delete(transactionId),
  }
}
