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
export async function ensureBuckets(
  connections: { readonly control: NatsConnection; readonly hosts: NatsConnection },
  replicas = 1,
): Promise<Buckets> {
  // On the disk, so that it is there after a restart, but not awaited: each host says its status again within a second.
  // What is kept by several servers is always awaited.
  const unhurried = replicas === 1 ? { persist_mode: PersistMode.Async } : {}
  const shape = { num_replicas: replicas }
  await ensureStream(connections.control, {
    ...describeBucket(desiredBucket),
    ...shape,
    max_bytes: desiredBytesMaximum,
  })
  await ensureStream(connections.hosts, {
    ...describeBucket(statusBucket),
    ...shape,
    max_bytes: statusBytesMaximum,
    ...unhurried,
  })
  const { subjects: _, ...mirror } = describeBucket(desiredBucket)
  await ensureStream(connections.hosts, { ...mirror, ...shape, mirror: mirrorSource, ...unhurried })
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
  } satisfies Partial<StreamConfig>
}

/** One that is there keeps its limits: they are the operator's to change. How many servers keep it is not. */
async function ensureStream(
  connection: NatsConnection,
  config: Partial<StreamConfig> & { name: string; num_replicas: number },
): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  try {
    const { config: known } = await manager.streams.info(config.name)
    if (known.num_replicas === config.num_replicas) return
    await manager.streams.update(config.name, { ...known, num_replicas: config.num_replicas })
  } catch (cause) {
    if (!(cause instanceof JetStreamApiError && cause.status === 404)) throw cause
    await manager.streams.add(config)
  }
}
