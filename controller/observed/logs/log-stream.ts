/**
 * The stream in which hosts put what their instances say: its name, its limits. What is beyond them goes, the oldest first.
 * It makes the stream and touches nothing else.
 */

import { PersistMode } from '@nats-io/jetstream'
import { type NatsConnection, nanos } from '@nats-io/transport-node'
import { logStream, logSubjects } from '../../../agent/contract/log-lines.ts'
import { ensureStream } from '../../nats/ensure-stream.ts'

export const logBytesMaximum = 256 * 1024 ** 2
export const logSecondsMaximum = 3 * 24 * 3600
const messageBytesMaximum = 2 * 1024 ** 2
/** A host that has not heard that its lines were taken says them again within this time. */
const duplicateSeconds = 120

/** Makes the stream, or brings the one that is there to the limits above. `hosts`: the account in which agents are. */
export async function ensureLogStream(hosts: NatsConnection, replicas: number): Promise<void> {
  await ensureStream(hosts, logStream, {
    kept: {
      subjects: [logSubjects],
      max_age: nanos(1000 * logSecondsMaximum),
      max_bytes: logBytesMaximum,
      max_msg_size: messageBytesMaximum,
      duplicate_window: nanos(1000 * duplicateSeconds),
      num_replicas: replicas,
    },
    // On the disk, but not awaited: a power cut may take the last moments of a log. Several servers always await it.
    first: replicas === 1 ? { persist_mode: PersistMode.Async } : {},
  })
}
