/**
 * The two buckets through which controller and agents speak: what each host must have, on the disk, and what it reports,
 * in memory, since every host says it again within a second. Makes them and touches nothing else.
 */

import { StorageType } from '@nats-io/jetstream'
import { type KV, Kvm } from '@nats-io/kv'
import type { NatsConnection } from '@nats-io/transport-node'
import { desiredBucket, payloadMaximumBytes, statusBucket } from '../../agent/contract/subjects.ts'

export interface Buckets {
  readonly desired: KV
  readonly status: KV
}

const desiredBytesMaximum = 768 * 1024 ** 2
const statusBytesMaximum = 192 * 1024 ** 2

/** Opens them, and makes what is missing. */
export async function ensureBuckets(connection: NatsConnection): Promise<Buckets> {
  const manager = new Kvm(connection)
  const common = { history: 1, replicas: 1, maxValueSize: payloadMaximumBytes, allow_direct: true }
  return {
    desired: await manager.create(desiredBucket, {
      ...common,
      storage: StorageType.File,
      max_bytes: desiredBytesMaximum,
    }),
    status: await manager.create(statusBucket, {
      ...common,
      storage: StorageType.Memory,
      max_bytes: statusBytesMaximum,
    }),
  }
}
