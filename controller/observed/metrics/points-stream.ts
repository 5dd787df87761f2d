/** The stream of points as they come from hosts, bounded by age and bytes; it makes the stream and reads it. */

import {
  DiscardPolicy,
  JetStreamApiError,
  jetstreamManager,
  PersistMode,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream'
import { type NatsConnection, nanos } from '@nats-io/transport-node'
import { pointStream, pointSubjects, pointsHeldSecondsMaximum } from '../../../agent/contract/points.ts'

/** All controllers may be away for so long, and nothing is missing afterwards. */
const keptSeconds = 24 * 3600
const bytesMaximum = 512 * 1024 ** 2
/** An agent that did not hear that a message is stored sends it again: after an outage as well, while it holds it. */
const duplicateSeconds = pointsHeldSecondsMaximum + 60

/** Makes it in the account of hosts, or brings the one that is there to the limits above. */
export async function ensurePointStream(connection: NatsConnection, replicas: number): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const limits = {
    subjects: [pointSubjects],
    max_age: nanos(1000 * keptSeconds),
    max_bytes: bytesMaximum,
    duplicate_window: nanos(1000 * duplicateSeconds),
    num_replicas: replicas,
  } satisfies Partial<StreamConfig>
  try {
    await manager.streams.update(pointStream, limits)
  } catch (cause) {
    if (!(cause instanceof JetStreamApiError && cause.status === 404)) throw cause
    await manager.streams.add({
      name: pointStream,
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
      // A power cut of a single server may cost the last seconds of measures; awaiting the disk would cost each host more.
      ...(replicas === 1 ? { persist_mode: PersistMode.Async } : {}),
      ...limits,
    })
  }
}
