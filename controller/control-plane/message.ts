/**
 * How objects and events are kept in a microshard's stream: subjects, and the text of an object's message. Pure.
 * Each message tells its place in its transaction, so that whoever follows the stream can apply transactions whole.
 *
 * A message is a line of JSON with the object. What the object carries follows, a line of JSON for each version of a
 * carried object, those written by this very transaction last.
 */

import type { KnownObject, PlannedObject } from './plan-transaction.ts'
import type { ShardKey } from './shard-key.ts'
import type { Revision } from './store.ts'

export interface MicroshardPlace {
  readonly id: string
  readonly epoch: number
}

/** The place of an object's message among the objects that its transaction writes. */
export interface TransactionPlace {
  readonly id: string
  readonly index: number
  readonly count: number
}

export interface StoredMessage {
  readonly object: KnownObject
  readonly transaction: TransactionPlace
  /** It copies the object without changing it, so that a write whose outcome is in doubt can never land after it. */
  readonly isFence: boolean
  /** It copies the object without changing it, since what the object carries has changed. */
  readonly isCopy: boolean
  readonly cargo: Cargo
  /** How many of the last lines of the cargo were written by this transaction. */
  readonly fresh: number
}

/** What a carrier's message carries. */
export interface Cargo {
  /** Counts the messages of the carrier, since a copy does not raise its version; 0: it has never carried anything. */
  readonly turn: number
  /** A version of a carried object each, oldest first. */
  readonly lines: readonly string[]
}

export const noCargo: Cargo = { turn: 0, lines: [] }

interface MessageBody {
  readonly format: number
  readonly version: number
  readonly shardKey: ShardKey
  readonly transaction: TransactionPlace
  readonly isFence?: true
  readonly isCopy?: true
  readonly turn?: number
  readonly fresh?: number
  readonly createdAt: string
  readonly updatedAt: string
  readonly traceparent?: string
  readonly actionIds: readonly string[]
  readonly value: unknown
}

const messageFormat = 1
const outboxToken = 'outbox'
const crateToken = 'crate'
const sealToken = 'seal'

export const streamName = (microshardId: string): string => `ms_${microshardId}`
export const microshardSubjects = (place: MicroshardPlace): string => `ms.${place.id}.${place.epoch}.>`
/** All that a sealed stream takes: barriers, each of which says where it ends. */
export const sealSubject = (place: MicroshardPlace): string => `ms.${place.id}.${place.epoch}.${sealToken}`
export const outboxSubjects = (place: MicroshardPlace): string => `ms.${place.id}.${place.epoch}.${outboxToken}.>`

export function objectSubject(place: MicroshardPlace, kind: string, id: string): string {
  return `ms.${place.id}.${place.epoch}.${kind}.${id}`
}

export function outboxSubject(place: MicroshardPlace, eventId: string): string {
  return objectSubject(place, outboxToken, eventId)
}

/** Lines that a carrier has carried long enough lie in crates: messages of their own, which nobody ever changes. */
export function crateSubject(place: MicroshardPlace, carrier: Carrier, crateId: string): string {
  return `ms.${place.id}.${place.epoch}.${crateToken}.${carrier.kind}.${carrier.id}.${crateId}`
}

export interface Carrier {
  readonly kind: string
  readonly id: string
}

/** What a message is: of an object, an event that waits to be relayed, a crate with whose it is, or the end of all. */
export type SubjectMeaning =
  | { readonly kind: 'object' }
  | { readonly kind: 'event' }
  | { readonly kind: 'crate'; readonly carrier: Carrier }
  | { readonly kind: 'seal' }

export function readSubject(subject: string): SubjectMeaning {
  const [, , , token, kind = '', id = ''] = subject.split('.')
  if (token === outboxToken) return { kind: 'event' }
  if (token === sealToken) return { kind: 'seal' }
  return token === crateToken ? { kind: 'crate', carrier: { kind, id } } : { kind: 'object' }
}

/** The same message's subject in another microshard. */
export function subjectIn(place: MicroshardPlace, subject: string): string {
  return ['ms', place.id, place.epoch, ...subject.split('.').slice(3)].join('.')
}

/** What a message says beside its object and the place in its transaction. */
export interface MessageExtras {
  readonly isFence?: boolean
  readonly isCopy?: boolean
  readonly cargo?: Cargo
  readonly fresh?: number
}

export function encodeObject(object: PlannedObject, transaction: TransactionPlace, extras: MessageExtras = {}): string {
  const { isFence = false, isCopy = false, cargo = noCargo, fresh = 0 } = extras
  const body: MessageBody = {
    format: messageFormat,
    version: object.version,
    shardKey: object.shardKey,
    transaction,
    ...(isFence ? { isFence } : {}),
    ...(isCopy ? { isCopy } : {}),
    ...(cargo.turn === 0 ? {} : { turn: cargo.turn }),
    ...(fresh === 0 ? {} : { fresh }),
    createdAt: object.createdAt,
    updatedAt: object.updatedAt,
    ...(object.traceparent === undefined ? {} : { traceparent: object.traceparent }),
    actionIds: object.actionIds,
    value: object.value,
  }
  const head = JSON.stringify(body)
  return cargo.lines.length === 0 ? head : `${head}\n${encodeCrate(cargo.lines)}`
}

/** A version of a carried object as a line. */
export const encodeCarried = (object: PlannedObject): string => JSON.stringify(object)

/** Its place is that of the message that it came in. */
export function decodeCarried(line: string, revision: Revision): KnownObject {
  return { ...(JSON.parse(line) as PlannedObject), revision }
}

export const encodeCrate = (lines: readonly string[]): string => lines.join('\n')

export const decodeCrate = (data: Uint8Array): readonly string[] => Buffer.from(data).toString().split('\n')

/** Far enough to reach the transaction, which comes before all that has no bound. */
const transactionCharacters = 200
const transactionPattern = /"transaction":\{"id":"([^"]+)","index":(\d+),"count":(\d+)\}/

/** The place of a message in its transaction, without reading the rest; null: it has to be read. */
export function peekTransaction(data: Uint8Array): TransactionPlace | null {
  const beginning = Buffer.from(data.buffer, data.byteOffset, Math.min(data.length, transactionCharacters))
  const [, id, index, count] = transactionPattern.exec(beginning.toString('latin1')) ?? []
  return id === undefined ? null : { id, index: Number(index), count: Number(count) }
}

const shardKeyPattern = /"shardKey":"([0-9a-f]{16})"/

/** The point on the ring of an object's message or of a crate, which holds lines of one carrier; null: it names none. */
export function peekShardKey(data: Uint8Array): ShardKey | null {
  const beginning = Buffer.from(data.buffer, data.byteOffset, Math.min(data.length, transactionCharacters))
  return shardKeyPattern.exec(beginning.toString('latin1'))?.[1] ?? null
}

/** The last of a crate's lines. */
export function peekLastLine(data: Uint8Array): string {
  return Buffer.from(data.subarray(data.lastIndexOf(10) + 1)).toString()
}

/** Reads an object's message back. Throws when a newer program has written it. */
export function decodeObject(message: {
  readonly subject: string
  readonly sequence: number
  readonly data: Uint8Array
}): StoredMessage {
  const [, , epoch = '', kind = '', id = ''] = message.subject.split('.')
  const [head = '', ...lines] = decodeCrate(message.data)
  const body = JSON.parse(head) as MessageBody
  if (body.format !== messageFormat) {
    throw new Error(
      `${kind} ${id} is stored in format ${body.format}, and this program reads format ${messageFormat}: ` +
        'run the version of sluice that wrote it, or a newer one',
    )
  }
  return {
    object: {
      kind,
      id,
      shardKey: body.shardKey,
      version: body.version,
      revision: { epoch: Number(epoch), sequence: message.sequence },
      value: body.value,
      createdAt: body.createdAt,
      updatedAt: body.updatedAt,
      ...(body.traceparent === undefined ? {} : { traceparent: body.traceparent }),
      actionIds: body.actionIds,
    },
    transaction: body.transaction,
    isFence: body.isFence === true,
    isCopy: body.isCopy === true,
    cargo: body.turn === undefined ? noCargo : { turn: body.turn, lines },
    fresh: body.fresh ?? 0,
  }
}
