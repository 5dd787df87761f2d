/**
 * The directory: which arc of the key ring is kept in which microshard, and in which epoch. It is one versioned
 * object in a key-value bucket of its own, which this file alone touches.
 */

import { JetStreamApiError, StorageType } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import type { NatsConnection } from '@nats-io/transport-node'
import * as v from 'valibot'
import type { ShardKey } from './shard-key.ts'

export interface MicroshardEntry {
  readonly id: string
  /** The first and the last point of its arc. */
  readonly from: ShardKey
  readonly to: ShardKey
  readonly epoch: number
}

export interface MicroshardDirectory {
  readonly format: number
  /** Counts up by one with each change of the directory. */
  readonly version: number
  /** In the order of the ring, without a gap. */
  readonly microshards: readonly MicroshardEntry[]
}

const directoryFormat = 1
const firstMicroshards = 4
const bucket = 'sluice_directory'
const key = 'directory'
const versionsKept = 16
const openAttemptsMaximum = 5

const shardKeySchema = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/))
const directorySchema = v.object({
  format: v.literal(directoryFormat),
  version: v.pipe(v.number(), v.integer(), v.minValue(1)),
  microshards: v.pipe(
    v.array(
      v.object({
        id: v.pipe(v.string(), v.regex(/^[0-9a-z]+$/)),
        from: shardKeySchema,
        to: shardKeySchema,
        epoch: v.pipe(v.number(), v.integer(), v.minValue(1)),
      }),
    ),
    v.minLength(1),
  ),
})

/** Reads the directory; the first store that ever opens makes it. */
export async function openDirectory(connection: NatsConnection, replicas: number): Promise<MicroshardDirectory> {
  const buckets = new Kvm(connection)
  // Read from the leader only: a follower that lags would make the directory seem absent.
  const options = { replicas, history: versionsKept, storage: StorageType.File, allow_direct: false }
  const directories = await buckets.create(bucket, options)
  for (let attempt = 1; attempt <= openAttemptsMaximum; attempt++) {
    const entry = await directories.get(key)
    if (entry !== null) return parseDirectory(entry.string())
    try {
      await directories.create(key, JSON.stringify(planFirstDirectory()))
    } catch (cause) {
      // Another controller made it in the meantime: read that one.
      if (!(cause instanceof JetStreamApiError)) throw cause
    }
  }
  throw new Error(`the directory of microshards could be neither read nor made in ${openAttemptsMaximum} attempts`)
}

/** Equal arcs of the whole ring, each in its first epoch. */
export function planFirstDirectory(): MicroshardDirectory {
  const arc = 2n ** 64n / BigInt(firstMicroshards)
  const toKey = (point: bigint): ShardKey => point.toString(16).padStart(16, '0')
  const microshards = Array.from({ length: firstMicroshards }, (_, i) => ({
    id: String(i + 1),
    from: toKey(BigInt(i) * arc),
    to: toKey(BigInt(i + 1) * arc - 1n),
    epoch: 1,
  }))
  return { format: directoryFormat, version: 1, microshards }
}

/** The microshard that keeps a point of the ring. */
export function findMicroshard(directory: MicroshardDirectory, shardKey: ShardKey): MicroshardEntry {
  const entry = directory.microshards.find(({ from, to }) => from <= shardKey && shardKey <= to)
  if (entry === undefined) throw new Error(`BUG: no microshard keeps ${shardKey}; directory ${directory.version}`)
  return entry
}

/** Reads a directory's JSON. A directory of another format is refused: writing by wrong rules would lose data. */
export function parseDirectory(text: string): MicroshardDirectory {
  const content: unknown = JSON.parse(text)
  const { format } = v.parse(v.object({ format: v.number() }), content)
  if (format !== directoryFormat) {
    throw new Error(
      `the store's directory has format ${format}, and this program knows format ${directoryFormat}: ` +
        'run the version of sluice that wrote it, or a newer one',
    )
  }
  return v.parse(directorySchema, content)
}
