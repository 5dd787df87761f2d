/**
 * What a transaction makes of the objects as they are: pure, and shared by every store, so that all judge alike.
 */

import { type CloudEvent, createCloudEvent, eventTypePattern } from './cloud-event.ts'
import { keepActionIds } from './kept-actions.ts'
import type { Carrier } from './message.ts'
import { clientCharactersOf, idPattern, type ShardKey } from './shard-key.ts'
import {
  type EventDraft,
  type Kind,
  type StoredObject,
  shardKeyOf,
  type Transaction,
  transactionWritesMaximum,
  type VersionConflict,
  type Write,
} from './store.ts'

/** NATS takes messages of up to a megabyte; what is left is for the object's own bookkeeping. */
export const valueBytesMaximum = 900_000

/** An object as a transaction would leave it. Where it will lie is known only once it is stored. */
export type PlannedObject = Omit<StoredObject<unknown | null>, 'revision'>

/** Version 0 marks the place of an object that was never written. */
export type KnownObject = StoredObject<unknown | null>

export type TransactionPlan =
  | { readonly kind: 'conflict'; readonly conflicts: readonly VersionConflict[] }
  | {
      readonly kind: 'write'
      readonly objects: readonly PlannedObject[]
      /** Who carries each of the objects; null: it has a message of its own. */
      readonly carriers: readonly (Carrier | null)[]
      readonly events: readonly CloudEvent[]
    }

/** True when an object is as a write expects it: at that version, or absent (never written, or a tombstone). */
export function isAsExpected(current: KnownObject | null, expect: Write['expect']): boolean {
  const actual = visibleVersion(current)
  return expect === 'absent' ? actual === null : actual === expect
}

/** The version that a reader sees; null when it sees nothing. */
export function visibleVersion(current: KnownObject | null): number | null {
  return current === null || current.value === null ? null : current.version
}

/** Of one version and a later place (a fence copies an object without changing it), the later place counts. */
export function isNewer(object: KnownObject, known: KnownObject): boolean {
  if (object.version !== known.version) return object.version > known.version
  if (object.revision.epoch !== known.revision.epoch) return object.revision.epoch > known.revision.epoch
  return object.revision.sequence > known.revision.sequence
}

/**
 * Plans a transaction against the objects as `find` shows them.
 * Values and event data pass through JSON here, so that what is read is always what was stored.
 */
export function planTransaction(
  transaction: Transaction,
  find: (kind: string, id: string) => KnownObject | null,
  options: { readonly now: number; readonly random?: ((bytes: number) => Uint8Array) | undefined },
): TransactionPlan {
  const conflicts: VersionConflict[] = []
  const objects: PlannedObject[] = []
  const carriers: (Carrier | null)[] = []
  const updatedAt = new Date(options.now).toISOString()
  const [first] = transaction.writes
  // One for all of them, which is checked before.
  const shardKey = first === undefined ? '' : shardKeyOf(first.kind, first.id)
  for (const write of transaction.writes) {
    const current = find(write.kind.name, write.id)
    if (isAsExpected(current, write.expect)) {
      objects.push(planObject(transaction, write, current, { shardKey, updatedAt }))
      carriers.push(findCarrier(write, current))
    } else conflicts.push(describeConflict(write, current))
  }
  if (conflicts.length > 0) return { kind: 'conflict', conflicts }
  const events = (transaction.events ?? []).map((draft) => planEvent(draft, transaction, options))
  return { kind: 'write', objects, carriers, events }
}

/** Who carries an object that is written; null: nobody. Throws a BUG where its values name none, or two. */
export function findCarrier({ kind, id, value }: Write, current: KnownObject | null): Carrier | null {
  const { carriedBy } = kind
  if (carriedBy === undefined) return null
  const known = current?.value ?? null
  if (value === null && known === null) throw new Error(`BUG: ${kind.name} ${id} is deleted and is not there`)
  const carrierId = carriedBy.carrierIdOf(known ?? value)
  if (value !== null && carriedBy.carrierIdOf(value) !== carrierId) {
    throw new Error(`BUG: ${kind.name} ${id}, which is carried by ${carrierId}, names another carrier`)
  }
  if (!idPattern.test(carrierId) || clientCharactersOf(carrierId) !== clientCharactersOf(id)) {
    throw new Error(`BUG: ${kind.name} ${id} can't be carried by '${carrierId}', which is not of its entity group`)
  }
  return { kind: carriedBy.kind, id: carrierId }
}

/** Checks what only a programmer can get wrong, and tells the shard key that all writes share. Throws a BUG. */
export function checkTransaction(transaction: Transaction): ShardKey {
  const messages = transaction.writes.length + (transaction.events?.length ?? 0)
  if (messages > transactionWritesMaximum) {
    throw new Error(`BUG: a transaction of ${messages} writes and events; the limit is ${transactionWritesMaximum}`)
  }
  const [first] = transaction.writes
  if (first === undefined) throw new Error('BUG: a transaction without a write')
  const shardKey = shardKeyOf(first.kind, first.id)
  const seen = new Set<string>()
  for (const write of transaction.writes) {
    checkObjectName(write.kind, write.id)
    // Asked the cheap way at first: there can be hundreds.
    const own = isOfSameGroup(first, write) ? shardKey : shardKeyOf(write.kind, write.id)
    if (own !== shardKey) {
      throw new Error(
        `BUG: ${first.kind.name} ${first.id} and ${write.kind.name} ${write.id} lie at different points of the ring ` +
          `(${shardKey}, ${own}); a transaction takes one entity group`,
      )
    }
    const name = `${write.kind.name} ${write.id}`
    if (seen.has(name)) throw new Error(`BUG: a transaction that writes ${name} twice`)
    seen.add(name)
  }
  for (const event of transaction.events ?? []) checkEvent(event)
  return shardKey
}

/** False where it takes a closer look to tell. */
const isOfSameGroup = (first: Write, { kind, id }: Write) =>
  kind.dataType === first.kind.dataType && clientCharactersOf(id) === clientCharactersOf(first.id)

/** An object's kind and id become parts of a subject: neither may hold a dot, a blank or a wildcard. */
export function checkObjectName(kind: Kind<unknown>, id: string): void {
  if (!/^[a-z][a-z0-9-]*$/.test(kind.name) || reservedKinds.includes(kind.name)) {
    throw new Error(`BUG: '${kind.name}' is not a kind's name: lower-case words joined by dashes, not ${reservedKinds}`)
  }
  if (!idPattern.test(id) || !id.startsWith(`${kind.prefix}_`)) {
    throw new Error(`BUG: '${id}' is not an id of kind ${kind.name}: ${kind.prefix}_ and 25 characters of base 32`)
  }
}

/** Kinds of message that a microshard keeps beside its objects. */
const reservedKinds: readonly string[] = ['outbox', 'crate', 'seal']

function checkEvent(event: EventDraft): void {
  if (!eventTypePattern.test(event.type)) {
    throw new Error(`BUG: '${event.type}' is not an event type: a noun and a past participle, as in shard.deallocated`)
  }
  if (event.projectId !== null && !idPattern.test(event.projectId)) {
    throw new Error(`BUG: the event ${event.type} names the project '${event.projectId}', which is not an id`)
  }
}

function planObject(
  transaction: Transaction,
  write: Write,
  current: KnownObject | null,
  { shardKey, updatedAt }: Pick<PlannedObject, 'shardKey' | 'updatedAt'>,
): PlannedObject {
  const isAlive = current !== null && current.value !== null
  const { actionId, traceparent } = transaction
  const own = typeof actionId === 'string' ? [actionId] : (actionId ?? [])
  return {
    kind: write.kind.name,
    id: write.id,
    shardKey,
    version: (current?.version ?? 0) + 1,
    value: passThroughJson(write.value ?? null, `${write.kind.name} ${write.id}`),
    createdAt: isAlive ? current.createdAt : updatedAt,
    updatedAt,
    ...(traceparent === undefined ? {} : { traceparent }),
    actionIds: keepActionIds(current?.actionIds ?? [], own, Date.parse(updatedAt)),
  }
}

function planEvent(
  draft: EventDraft,
  transaction: Transaction,
  options: { readonly now: number; readonly random?: ((bytes: number) => Uint8Array) | undefined },
): CloudEvent {
  const data = passThroughJson(draft.data ?? null, `event ${draft.type}`)
  return createCloudEvent({ ...draft, data }, { ...options, traceparent: transaction.traceparent })
}

function passThroughJson(value: unknown, name: string): unknown {
  const text = JSON.stringify(value)
  const bytes = Buffer.byteLength(text)
  if (bytes > valueBytesMaximum) {
    throw new Error(`BUG: the value of ${name} takes ${bytes} bytes as JSON; the limit is ${valueBytesMaximum}`)
  }
  return JSON.parse(text)
}

export function describeConflict(write: Write, current: KnownObject | null): VersionConflict {
  return {
    kind: write.kind.name,
    id: write.id,
    expectedVersion: write.expect,
    actualVersion: visibleVersion(current),
  }
}
