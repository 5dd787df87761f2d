/**
 * Whom a cluster's bus lets in no more: one object in a bucket of the store's account, which all controllers read and
 * write. The servers are told of it by the accounts' tokens.
 */

import { JetStreamApiError, StorageType } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import type { NatsConnection } from '@nats-io/transport-node'
import * as v from 'valibot'
import type { Revocations } from '../accounts.ts'

export interface RevocationBucket {
  read(): Promise<Revocations>
  /** Adds to what is there, and answers with all that is there then. */
  add(users: Revocations): Promise<Revocations>
}

const bucket = 'sluice_bus'
const key = 'revocations'
const attemptsMaximum = 20
const usersSchema = v.object({ format: v.literal(1), users: v.record(v.string(), v.number()) })

export async function openRevocationBucket(connection: NatsConnection, replicas: number): Promise<RevocationBucket> {
  const options = { replicas, history: 1, storage: StorageType.File, allow_direct: false }
  const bus = await new Kvm(connection).create(bucket, options)

  async function readEntry(): Promise<{ readonly users: Revocations; readonly revision: number }> {
    const entry = await bus.get(key)
    if (entry === null) return { users: {}, revision: 0 }
    return { users: v.parse(usersSchema, JSON.parse(entry.string())).users, revision: entry.revision }
  }

  return {
    read: async () => (await readEntry()).users,
    async add(added) {
      for (let attempt = 0; attempt < attemptsMaximum; attempt++) {
        const { users, revision } = await readEntry()
        const next = mergeRevocations(users, added)
        if (Bun.deepEquals(next, users)) return users
        try {
          const text = JSON.stringify({ format: 1, users: next })
          await (revision === 0 ? bus.create(key, text) : bus.update(key, text, revision))
          return next
        } catch (cause) {
          // Another controller wrote meanwhile: begin with what it wrote.
          if (!(cause instanceof JetStreamApiError)) throw cause
        }
      }
      throw new Error(`the list of revoked users could not be written in ${attemptsMaximum} attempts`)
    },
  }
}

/** Of each user the latest. */
function mergeRevocations(one: Revocations, other: Revocations): Revocations {
  const merged: Record<string, number> = { ...one }
  for (const [user, atSeconds] of Object.entries(other)) merged[user] = Math.max(merged[user] ?? 0, atSeconds)
  return merged
}
