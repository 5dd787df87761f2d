/** The stream of points as they come from hosts, bounded by age and bytes; it makes the stream and reads it. */

import { PersistMode } from '@nats-io/jetstream'
import { type NatsConnection, nanos } from '@nats-io/transport-node'
import { pointStream, pointSubjects, pointsHeldSecondsMaximum } from '../../../agent/contract/points.ts'
import { ensureStream } from '../../nats/ensure-stream.ts'

/** All controllers may be away for so long, and nothing is missing afterwards. */
const keptSeconds = 24 * 3600
const bytesMaximum = 512 * 1024 ** 2
/** An agent that did not hear that a message is stored sends it again: after an outage as well, while it holds it. */
const duplicateSeconds = pointsHeldSecondsMaximum + 60

/** Makes it in the account of hosts, or brings the one that is there to the limits above. */
export async function ensurePointStream(connection: NatsConnection, replicas: number): Promise<void> {
  await ensureStream(connection, pointStream, {
    kept: {
      subjects: [pointSubjects],
      max_age: nanos(1000 * keptSeconds),
      max_bytes: bytesMaximum,
      duplicate_window: nanos(1000 * duplicateSeconds),
      num_replicas: replicas,
    },
    // A power cut of a single server may cost the last seconds of measures; awaiting the disk would cost each host more.
    first: replicas === 1 ? { persist_mode: PersistMode.Async } : {},
  })
}
