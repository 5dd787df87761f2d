/**
 * The two buckets through which controller and agents speak: what each host must have, and what it reports. Makes them
 * and touches nothing else.
 *
 * The instructions are written in the account `control`, and mirrored into the account `hosts`, where agents read them.
 * A mirror takes no messages but its origin's, so no agent can put anything in the place of another's instructions:
 * without it one could, by naming that subject as the place for an answer.
 */

import {
  DiscardPolicy,
  JetStreamApiError,
  jetstreamManager,
  PersistMode,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream'
import { type KV, Kvm } from '@nats-io/kv'
import type { NatsConnection } from '@nats-io/transport-node'
import { desiredBucket, payloadMaximumBytes, statusBucket } from '../../agent/contract/subjects.ts'
import { mirrorSource } from './accounts.ts'

export interface Buckets {
  /** By `instructionsKey`. */
  readonly desired: KV
  /** By `reportKey`. */
  readonly status: KV
}

const desiredBytesMaximum = 768 * 1024 ** 2
const statusBytesMaximum = 192 * 1024 ** 2

/** Opens them, and makes what is missing. */
export async function ensureBuckets(connections: {
  readonly control: NatsConnection
  readonly hosts: NatsConnection
}): Promise<Buckets> {
  await ensureStream(connections.control, {
    ...describeBucket(desiredBucket),
    max_bytes: desiredBytesMaximum,
  })
  await ensureStream(connections.hosts, {
    ...describeBucket(statusBucket),
    max_bytes: statusBytesMaximum,
    // On the disk, so that it is there after a restart, but not awaited: each host says it again within a second.
    persist_mode: PersistMode.Async,
  })
  const { subjects: _, ...mirror } = describeBucket(desiredBucket)
  await ensureStream(connections.hosts, { ...mirror, mirror: mirrorSource, persist_mode: PersistMode.Async })
  return {
    desired: await new Kvm(connections.control).open(desiredBucket, { allow_direct: true }),
    status: await new Kvm(connections.hosts).open(statusBucket, { allow_direct: true }),
  }
}

/** As the key-value clients expect a bucket's stream to be, with one value a key. */
function describeBucket(bucket: string) {
  return {
    name: `KV_${bucket}`,
    subjects: [`$KV.${bucket}.>`],
    storage: StorageType.File,
    max_msgs_per_subject: 1,
    max_msg_size: payloadMaximumBytes,
    discard: DiscardPolicy.New,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
    num_replicas: 1,
  } satisfies Partial<StreamConfig>
}

/** One that is there keeps its limits: they are the operator's to change. */
async function ensureStream(
  connection: NatsConnection,
  config: Partial<StreamConfig> & { name: string },
): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  try {
    await manager.streams.info(config.name)
  } catch (cause) {
    if (!(cause instanceof JetStreamApiError && cause.status === 404)) throw cause
    await manager.streams.add(config)
  }
}
