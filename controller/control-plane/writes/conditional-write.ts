/**
 * The conditional write: makes an object's next version if, and only if, the one before it is what was read. Looks
 * before it writes where that pays, so that a write that can't succeed is not begun. Touches the store.
 */

import type { ShardKey } from '../shard-key.ts'
import {
  type EventDraft,
  type Kind,
  type Store,
  type StoredObject,
  StoreUnavailableError,
  shardKeyOf,
  type TransactionOutcome,
  type Write,
} from '../store.ts'
import type { StaleOdds } from './stale-odds.ts'

export interface WriteMeans {
  readonly store: Store
  /** Milliseconds, of a clock that never goes back. */
  readonly now: () => number
  readonly odds: StaleOdds
}

export interface ConditionalData {
  readonly kind: Kind<unknown>
  readonly id: string
  /** What it was decided on, a tombstone too; null: there was nothing. */
  readonly base: StoredObject<unknown | null> | null
  /** When that was read, by the clock of the means. */
  readonly readAt: number
  /** Null: a tombstone. */
  readonly value: unknown
  /** More objects of the entity group, each on its own condition. */
  readonly writes: readonly Write[]
  readonly events: readonly EventDraft[]
  readonly actionIds: readonly string[]
  readonly traceparent?: string | undefined
}

export type ConditionalWriteOutcome =
  | TransactionOutcome
  /** Found out before the write: nothing was sent. */
  | { readonly outcome: 'stale'; readonly actualVersion: number }

/** Never written is version 0; a tombstone has a version. */
export const versionOf = (object: StoredObject<unknown> | null): number => object?.version ?? 0

export const nameOfObject = ({ kind, id }: { readonly kind: Kind<unknown>; readonly id: string }): string =>
  `${kind.name} ${id}`

/**
 * Writes `data` as version `newVersionNumber`. What must be in the store is the version that was read with one's own
 * writes since: one less than the new one. Rejects like `Store.transact`.
 * @example await performConditionalWrite(means, shardKeyOf(kind, id), data, versionOf(data.base) + 1)
 */
export async function performConditionalWrite(
  means: WriteMeans,
  shardKey: ShardKey,
  data: ConditionalData,
  newVersionNumber: number,
): Promise<ConditionalWriteOutcome> {
  const { kind, id, base } = data
  if (shardKey !== shardKeyOf(kind, id)) throw new Error(`BUG: ${nameOfObject(data)} does not lie at ${shardKey}`)
  if (newVersionNumber !== versionOf(base) + 1) {
    throw new Error(`BUG: ${nameOfObject(data)} is at version ${versionOf(base)}; ${newVersionNumber} is not its next`)
  }
  const stale = await lookFirst(means, data, newVersionNumber - 1)
  if (stale !== null) return stale
  const beganAt = means.now()
  const outcome = await means.store.transact(describeTransaction(data))
  means.odds.noteCost('write', means.now() - beganAt)
  if (outcome.outcome === 'committed') means.odds.note(nameOfObject(data), newVersionNumber, 1, means.now())
  return outcome
}

/** A look at memory costs nothing; the leader is asked where the odds are that memory is behind. */
async function lookFirst(
  { store, now, odds }: WriteMeans,
  data: ConditionalData,
  expectedVersion: number,
): Promise<ConditionalWriteOutcome | null> {
  const { kind, id, readAt } = data
  const name = nameOfObject(data)
  const remembered = versionOf(await store.getOrTombstone(kind, id))
  odds.note(name, remembered, 0, now())
  if (remembered > expectedVersion) return { outcome: 'stale', actualVersion: remembered }
  if (!odds.isProbeWorth(name, now() - readAt, now())) return null
  const beganAt = now()
  try {
    const actual = versionOf(await store.getOrTombstone(kind, id, { latest: true }))
    odds.noteCost('probe', now() - beganAt)
    odds.note(name, actual, 0, now())
    return actual > expectedVersion ? { outcome: 'stale', actualVersion: actual } : null
  } catch (cause) {
    // The write itself finds out whether there is a leader, and waits for one.
    if (cause instanceof StoreUnavailableError) return null
    throw cause
  }
}

function describeTransaction(data: ConditionalData) {
  const { kind, id, base, value, writes, events, actionIds, traceparent } = data
  const isAlive = base !== null && base.value !== null
  const own: Write = { kind, id, expect: isAlive ? base.version : 'absent', value }
  return {
    writes: [own, ...writes],
    events,
    actionId: actionIds,
    ...(traceparent === undefined ? {} : { traceparent }),
  }
}
