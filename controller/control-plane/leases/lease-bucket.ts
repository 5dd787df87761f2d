/**
 * Where sessions and leases are written: one key-value bucket, `sluice_leases`, which this file alone touches. Every
 * write is conditional, so of two controllers that take a lease at once one is told that it came too late.
 */

import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  StorageType,
} from '@nats-io/jetstream'
import { headers, type NatsConnection } from '@nats-io/transport-node'
import { watchConnection } from '../connection-watch.ts'
import { followStream } from '../follow-stream.ts'

export interface LeaseEntry {
  readonly key: string
  /** Grows with each write to the bucket, so that it orders the holders of a lease. */
  readonly revision: number
  /** Null: it was deleted. */
  readonly text: string | null
}

export interface LeaseBucket {
  /** Calls back with all that there is, then with each change, in order, until the signal aborts. Resolves once it has. */
  follow(listener: (entry: LeaseEntry) => void, signal: AbortSignal): Promise<void>
  /** As its leader has it. */
  read(key: string): Promise<LeaseEntry | null>
  /**
   * Writes on the condition that the key's last revision is that one (0: it has none; null: whatever it is), and answers
   * the new one; null: another stood there. Rejects where the outcome is unknown: then what follows tells it.
   */
  write(key: string, text: string | null, revision: number | null): Promise<number | null>
}

const bucket = 'sluice_leases'
const stream = `KV_${bucket}`
const subjectRoot = `$KV.${bucket}.`
const operationHeader = 'KV-Operation'
const writeMilliseconds = 2_000
/** JetStream's words for a conditional write that came too late, or together with another. */
const lostRaceCodes: ReadonlySet<number> = new Set([10071, 10164])

/** Opens the bucket, and makes it where it is missing. */
export async function openLeaseBucket(options: {
  readonly connection: NatsConnection
  readonly replicas: number
  readonly onTrouble: (trouble: Error) => void
}): Promise<LeaseBucket> {
  const { connection, replicas, onTrouble } = options
  const watch = watchConnection(connection)
  const manager = await jetstreamManager(connection, { checkAPI: false })
  await ensureBucket(manager, replicas)
  const client = jetstream(connection, { timeout: writeMilliseconds })
  return {
    async follow(listener, signal) {
      const caughtUp = Promise.withResolvers<void>()
      const start = { kind: 'lastOfEachSubject' } as const
      const run = async () => {
        const items = followStream({ connection, stream, filterSubject: `${subjectRoot}>`, start, signal, onTrouble })
        for await (const item of items) {
          if (item.kind === 'caughtUp') caughtUp.resolve()
          if (item.kind !== 'message') continue
          const isDeleted = (item.headers?.get(operationHeader) ?? '') !== ''
          const text = isDeleted ? null : Buffer.from(item.data).toString()
          listener({ key: item.subject.slice(subjectRoot.length), revision: item.sequence, text })
        }
        caughtUp.reject(new Error('nobody waits for the leases any more'))
      }
      run().catch((cause: unknown) => {
        caughtUp.reject(cause)
        onTrouble(new Error("the leases can't be followed any more", { cause }))
      })
      await caughtUp.promise
    },

    async read(key) {
      const reading = manager.streams.getMessage(stream, { last_by_subj: `${subjectRoot}${key}` })
      const message = await watch.unlessDisconnected(reading).catch(nullIfAbsent)
      if (message === null) return null
      const isDeleted = message.header.get(operationHeader) !== ''
      return { key, revision: message.seq, text: isDeleted ? null : message.string() }
    },

    async write(key, text, revision) {
      const fields = headers()
      if (text === null) fields.set(operationHeader, 'DEL')
      const expect = revision === null ? {} : { expect: { lastSubjectSequence: revision } }
      try {
        const publishing = client.publish(`${subjectRoot}${key}`, text ?? '', { ...expect, headers: fields })
        return (await watch.unlessDisconnected(publishing)).seq
      } catch (cause) {
        if (cause instanceof JetStreamApiError && lostRaceCodes.has(cause.code)) return null
        throw cause
      }
    },
  }
}

async function ensureBucket(manager: JetStreamManager, replicas: number): Promise<void> {
  const known = await manager.streams.info(stream).catch(nullIfAbsent)
  if (known === null) {
    await manager.streams.add({
      name: stream,
      subjects: [`${subjectRoot}>`],
      storage: StorageType.File,
      max_msgs_per_subject: 1,
      discard: DiscardPolicy.New,
      allow_rollup_hdrs: true,
      deny_delete: true,
      // Read from the leader alone: a follower that lags would show a holder that is no more.
      allow_direct: false,
      num_replicas: replicas,
    })
  } else if (known.config.num_replicas !== replicas) {
    await manager.streams.update(stream, { ...known.config, num_replicas: replicas })
  }
}

function nullIfAbsent(cause: unknown): null {
  if (cause instanceof JetStreamApiError && cause.status === 404) return null
  throw cause
}
