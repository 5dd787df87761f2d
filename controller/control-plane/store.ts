/**
 * The store's contract: versioned objects, written all or nothing within one entity group, watched without gaps.
 * `jetstream-store.ts` and `memory-store.ts` keep it, and one suite of tests (`store-contract.ts`) holds both to it.
 * Nothing outside this room knows that there is more than one microshard.
 */

import { getShardKey, type ShardKey } from './shard-key.ts'

/**
 * A kind of object. `dataType` names the entity group within its client: kinds of one data type and one client
 * (a shard, its occupancy, its addresses) share a shard key, so they can change in one transaction and never part.
 * @example const shardKind = defineKind<ShardSpec>({ name: 'shard', prefix: 'shd', dataType: 'shard' })
 */
export interface Kind<Value> {
  readonly name: string
  /** What its ids begin with. */
  readonly prefix: string
  readonly dataType: string
  /** Left out: each of its objects is stored in messages of its own. */
  readonly carriedBy?: Carriage<Value>
  /** Carries the type of the value; never set. */
  readonly value?: Value
}

/**
 * Objects of a kind that is carried are stored in the messages of another object of their entity group, their carrier,
 * so that many that change together with it cost one message. It is a matter of storage alone: they are written, read
 * and watched as all others are.
 */
export interface Carriage<Value> {
  /** The carrier's kind, which is not carried itself. */
  readonly kind: string
  /** The id of its carrier, which is the same for all values of an object. */
  carrierIdOf(value: Value): string
}

export const defineKind = <Value>(kind: Omit<Kind<Value>, 'value'>): Kind<Value> => kind

/** Where the last write of an object lies. One of another epoch never matches. */
export interface Revision {
  readonly epoch: number
  readonly sequence: number
}

export interface StoredObject<Value> {
  readonly kind: string
  readonly id: string
  readonly shardKey: ShardKey
  /** Counts up by one with each write of this object; a tombstone keeps counting. */
  readonly version: number
  readonly revision: Revision
  readonly value: Value
  readonly createdAt: string
  readonly updatedAt: string
  /** The W3C traceparent of the request that wrote it. */
  readonly traceparent?: string
  /**
   * The last actions that wrote it, newest last: `actionsKeptMaximum`, or all of its last write where those are more; and
   * those of requests with an Idempotency-Key for some minutes longer (`kept-actions.ts`).
   * They make an action idempotent.
   */
  readonly actionIds: readonly string[]
}

export const actionsKeptMaximum = 16
export const versionsKeptMaximum = 16
/** JetStream takes at most 1,000 messages in a batch; a transaction's writes and events together. */
export const transactionWritesMaximum = 500

export interface Write<Value = unknown> {
  readonly kind: Kind<Value>
  readonly id: string
  /** The version that was read, or `absent`: never written, or a tombstone. */
  readonly expect: number | 'absent'
  /** The new value, or null: a tombstone. */
  readonly value: Value | null
}

/** Gives a write its type; a transaction's writes are of different kinds. */
export const write = <Value>(write: Write<Value>): Write => write as Write

/** An event, written in the same batch as the change and relayed to programs afterwards, each exactly once. */
export interface EventDraft {
  readonly type: string
  readonly projectId: string | null
  /** The id of the object that it is about. */
  readonly subject: string
  readonly data: unknown
}

export interface Transaction {
  readonly writes: readonly Write[]
  readonly events?: readonly EventDraft[]
  /** Recorded in each object written, so that whoever doubts the outcome can read it back; several, written as one. */
  readonly actionId?: string | readonly string[]
  readonly traceparent?: string
}

export interface VersionConflict {
  readonly kind: string
  readonly id: string
  readonly expectedVersion: number | 'absent'
  /** Null: it is absent. */
  readonly actualVersion: number | null
}

export type TransactionOutcome =
  | { readonly outcome: 'committed'; readonly objects: readonly StoredObject<unknown>[] }
  | { readonly outcome: 'conflict'; readonly conflicts: readonly VersionConflict[] }
  /** The microshard can't be written now; nothing of the transaction is or will be stored. */
  | { readonly outcome: 'unavailable'; readonly retryAfterSeconds: number; readonly reason: string }

export interface ListOptions {
  /** Only what this client (project) keeps. */
  readonly clientId?: string
  /** The id after which to go on: `next` of the page before. Pages are in the order of ids, stable under writes. */
  readonly after?: string
  readonly limit?: number
}

export const listLimitDefault = 100
export const listLimitMaximum = 1000

export interface Page<Value> {
  readonly items: readonly StoredObject<Value>[]
  readonly next: string | null
}

/** One object's change, in the order of its microshard. `object.value` is null for a tombstone. */
export interface Change {
  readonly object: StoredObject<unknown | null>
  /** True at the last change of a transaction: a watcher acts on whole transactions only. */
  readonly endOfTransaction: boolean
}

export interface StoreStatus {
  readonly mode: 'embedded' | 'distributed' | 'memory'
  readonly status: 'available' | 'unavailable'
  readonly serverVersion: string | null
  readonly microshards: readonly {
    readonly id: string
    readonly from: ShardKey
    readonly to: ShardKey
    readonly epoch: number
    readonly messages: number
    readonly bytes: number
  }[]
}

export interface Store {
  /**
   * Reads one object. Answers from memory, never older than what this store has acknowledged or shown before;
   * `latest` asks the microshard's leader. Null: absent, or a tombstone.
   */
  get<Value>(
    kind: Kind<Value>,
    id: string,
    options?: { readonly latest?: boolean },
  ): Promise<StoredObject<Value> | null>
  /** As `get`, but a tombstone is shown too, with the value null: it tells which actions the object has seen. */
  getOrTombstone<Value>(
    kind: Kind<Value>,
    id: string,
    options?: { readonly latest?: boolean },
  ): Promise<StoredObject<Value | null> | null>
  /** Lists a kind across microshards, from memory, with stable paging. */
  list<Value>(kind: Kind<Value>, options?: ListOptions): Promise<Page<Value>>
  /** All of a kind, from memory at this very moment: what plans are made of. */
  snapshot<Value>(kind: Kind<Value>, clientId?: string): readonly StoredObject<Value>[]
  /** The kept versions of an object, oldest first; a tombstone has the value null. */
  history<Value>(kind: Kind<Value>, id: string): Promise<readonly StoredObject<Value | null>[]>
  /**
   * Writes all or nothing. Every write must share one shard key, else it throws a BUG. It rejects with
   * `OutcomeUnknownError` in the one case in which nobody can tell what happened: see there.
   */
  transact(transaction: Transaction): Promise<TransactionOutcome>
  /** Calls back after each whole transaction that memory has taken in, in order, until the returned function is called. */
  subscribe(listener: (changes: readonly Change[]) => void): () => void
  status(): Promise<StoreStatus>
  close(): Promise<void>
}

/**
 * The microshard took a transaction in and could not be asked afterwards, for as long as the store waits, whether it
 * is stored. Act on the same action id again: an object that records it has been written.
 */
export class OutcomeUnknownError extends Error {
  override readonly name = 'OutcomeUnknownError'
}

/** A read that only the microshard's leader can answer (`latest`, `history`) found none. Memory still answers. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError'
  readonly retryAfterSeconds = retryAfterSeconds
}

/** What a caller is told to wait before it asks an unavailable microshard again. */
export const retryAfterSeconds = 1

/** The shard key of an object, from its id alone. */
export function shardKeyOf(kind: Kind<unknown>, id: string): ShardKey {
  return getShardKey(id, kind.dataType)
}
