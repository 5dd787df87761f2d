/**
 * Tells programs of what an operation has done: an event, published as often as it takes and taken once, since its id is
 * made of the operation's. It writes to the stream EVENTS and touches nothing else.
 */

import { headers, type NatsConnection } from '@nats-io/transport-node'
import type { EventData, EventType } from '../../contract/events.ts'
import { type CloudEvent, systemClient } from '../cloud-event.ts'
import { watchConnection } from '../connection-watch.ts'
import { eventSubject, messageIdHeader } from '../event-stream.ts'
import type { MicroshardOperation, OperationKind } from '../microshard-directory.ts'
import { createNamedId } from '../shard-key.ts'

type Announced = Extract<EventType, `microshard.${string}`>

const types: Readonly<Record<OperationKind, Announced>> = {
  split: 'microshard.split',
  merge: 'microshard.merged',
  migrate: 'microshard.migrated',
  reshard: 'microshard.resharded',
}
const publishMilliseconds = 5_000

/** `version` of the directory, `now` in milliseconds since the epoch. */
export function describeOperationEvent(operation: MicroshardOperation, version: number, now: number): CloudEvent {
  const hasHandedOver = operation.phase === 'dropping' || operation.phase === 'leading'
  const isDone = hasHandedOver && !operation.isReturning
  const data: EventData<Announced> = {
    operationId: operation.id,
    sources: operation.sources.map(({ id }) => id),
    targets: hasHandedOver ? operation.targets.map(({ id }) => id) : [],
    version,
  }
  return {
    specversion: '1.0',
    id: createNamedId('evt', systemClient, operation.id),
    source: 'sluice',
    type: isDone ? types[operation.kind] : 'microshard.restored',
    subject: data.sources[0] ?? operation.id,
    time: new Date(now).toISOString(),
    datacontenttype: 'application/json',
    data,
  }
}

export async function announceOperation(connection: NatsConnection, event: CloudEvent): Promise<void> {
  const fields = headers()
  fields.set(messageIdHeader, event.id)
  fields.set('Content-Type', 'application/cloudevents+json')
  const options = { headers: fields, timeout: publishMilliseconds }
  const request = connection.request(eventSubject(event), JSON.stringify(event), options)
  const answer = await watchConnection(connection).unlessDisconnected(request)
  const { error } = answer.json<{ readonly error?: { readonly description?: string } }>()
  if (error !== undefined) throw new Error(`event ${event.id} was refused: ${error.description}`)
}
