/**
 * How objects and events are kept in a microshard's stream: subjects, and the JSON of an object's message. Pure.
 * Each message tells its place in its transaction, so that whoever follows the stream can apply transactions whole.
 */

import type { KnownObject, PlannedObject } from './plan-transaction.ts'
import type { ShardKey } from './shard-key.ts'

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
}

interface MessageBody {
  readonly format: number
  readonly version: number
  readonly shardKey: ShardKey
  readonly transaction: TransactionPlace
  readonly isFence?: true
  readonly createdAt: string
  readonly updatedAt: string
  readonly traceparent?: string
  readonly actionIds: readonly string[]
  readonly value: unknown
}

const messageFormat = 1
const outboxToken = 'outbox'

export const streamName = (microshardId: string): string => `ms_${microshardId}`
export const microshardSubjects = (place: MicroshardPlace): string => `ms.${place.id}.${place.epoch}.>`
export const outboxSubjects = (place: MicroshardPlace): string => `ms.${place.id}.${place.epoch}.${outboxToken}.>`

export function objectSubject(place: MicroshardPlace, kind: string, id: string): string {
  return `ms.${place.id}.${place.epoch}.${kind}.${id}`
}

export function outboxSubject(place: MicroshardPlace, eventId: string): string {
  return objectSubject(place, outboxToken, eventId)
}

/** True for a message of an object, false for an event that waits to be relayed. */
export function isObjectSubject(subject: string): boolean {
  return subject.split('.')[3] !== outboxToken
}

export function encodeObject(object: PlannedObject, transaction: TransactionPlace, isFence = false): string {
  const body: MessageBody = {
    format: messageFormat,
    version: object.version,
    shardKey: object.shardKey,
    transaction,
    ...(isFence ? { isFence } : {}),
    createdAt: object.createdAt,
    updatedAt: object.updatedAt,
    ...(object.traceparent === undefined ? {} : { traceparent: object.traceparent }),
    actionIds: object.actionIds,
    value: object.value,
  }
  return JSON.stringify(body)
}

/** Reads an object's message back. Throws when a newer program has written it. */
export function decodeObject(message: {
  readonly subject: string
  readonly sequence: number
  readonly data: Uint8Array
}): StoredMessage {
  const [, , epoch = '', kind = '', id = ''] = message.subject.split('.')
  const body = JSON.parse(Buffer.from(message.data).toString()) as MessageBody
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
  }
}
