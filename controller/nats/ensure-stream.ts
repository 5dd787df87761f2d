/** A stream of JetStream that is there and within its limits. It makes and updates the one it is told, and nothing else. */

import { DiscardPolicy, JetStreamApiError, jetstreamManager, StorageType, type StreamConfig } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'

/**
 * Makes a stream on the disk from which the oldest goes first, or brings the one that is there to `kept`. `first` is what
 * it begins with, and nobody changes afterwards but an operator.
 */
export async function ensureStream(
  connection: NatsConnection,
  name: string,
  { kept, first = {} }: { readonly kept: Partial<StreamConfig>; readonly first?: Partial<StreamConfig> },
): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  try {
    await manager.streams.update(name, kept)
  } catch (cause) {
    if (!(cause instanceof JetStreamApiError && cause.status === 404)) throw cause
    await manager.streams.add({ name, storage: StorageType.File, discard: DiscardPolicy.Old, ...first, ...kept })
  }
}
