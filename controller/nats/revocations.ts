/**
 * Whom the bus lets in no more: one file in the bus's folder, on the disk before anybody acts on it. nats-server is told
 * of it by the accounts' tokens.
 */

import { join } from 'node:path'
import * as v from 'valibot'
import type { Revocations } from './accounts.ts'
import { readFileOrNull, secretMode, writeDurableFile } from './durable-file.ts'

export interface RevocationList {
  current(): Revocations
  /** Resolves when it is on the disk. `atSeconds`: what was signed up to then is void. */
  add(publicKey: string, atSeconds: number): Promise<void>
}

const revocationFileSchema = v.strictObject({ format: v.literal(1), users: v.record(v.string(), v.number()) })

export async function openRevocations(folder: string): Promise<RevocationList> {
  const path = join(folder, 'revocations.json')
  const text = await readFileOrNull(path)
  let users: Revocations = text === null ? {} : parseRevocations(text, path)
  let writing: Promise<void> = Promise.resolve()

  return {
    current: () => users,
    async add(publicKey, atSeconds) {
      const known = users[publicKey]
      if (known === undefined || known < atSeconds) users = { ...users, [publicKey]: atSeconds }
      // One after the other, each with all that is known by then; one that failed does not stop the next.
      const write = () => writeDurableFile(path, `${JSON.stringify({ format: 1, users })}\n`, secretMode)
      writing = writing.then(write, write)
      await writing
    },
  }
}

function parseRevocations(text: string, path: string): Revocations {
  try {
    return v.parse(revocationFileSchema, JSON.parse(text)).users
  } catch (cause) {
    // An empty list in its place would let everybody in again.
    throw new Error(`${path} can't be read. Restore it from a backup`, { cause })
  }
}
