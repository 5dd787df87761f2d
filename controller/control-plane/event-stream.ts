/**
 * The stream in which events come out to other programs: its name, its limits, its subjects. It makes the stream and
 * touches nothing else.
 */

import { type NatsConnection, nanos } from '@nats-io/transport-node'
import { ensureStream } from '../nats/ensure-stream.ts'
import { type CloudEvent, systemClient } from './cloud-event.ts'

export const eventStream = 'EVENTS'
export const messageIdHeader = 'Nats-Msg-Id'

/** How long the server itself drops an event that is published a second time. */
export const eventDuplicateSeconds = 600

const eventsKeptSecondsMaximum = 7 * 24 * 3600
const eventsKeptBytesMaximum = 1024 ** 3
const subjectRoot = 'sluice.events'

export function eventSubject(event: Pick<CloudEvent, 'projectid' | 'type'>): string {
  return `${subjectRoot}.${event.projectid ?? systemClient}.${event.type}`
}

/** The subjects of one project's events, or of all. */
export function eventSubjects(projectId?: string): string {
  return projectId === undefined ? `${subjectRoot}.>` : `${subjectRoot}.${projectId}.>`
}

/** Makes the stream, or brings the one that is there to the limits above. */
export async function ensureEventStream(connection: NatsConnection, replicas: number): Promise<void> {
  await ensureStream(connection, eventStream, {
    kept: {
      subjects: [eventSubjects()],
      max_age: nanos(1000 * eventsKeptSecondsMaximum),
      max_bytes: eventsKeptBytesMaximum,
      duplicate_window: nanos(1000 * eventDuplicateSeconds),
      num_replicas: replicas,
    },
    first: { allow_direct: true },
  })
}
