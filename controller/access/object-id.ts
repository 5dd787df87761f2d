/**
 * Ids of objects that a request makes: from the request's seed, so that its repetition makes the same again. Pure.
 *
 * A seed is `<milliseconds since the epoch>.<hex>`: made when the request first came, kept with its Idempotency-Key.
 */

import { createClientId, createId } from '../control-plane/shard-key.ts'
import type { Kind } from '../control-plane/store.ts'

/** A new request's seed. */
export function createSeed(now: number, random: (bytes: number) => Uint8Array): string {
  return `${now}.${Buffer.from(random(16)).toString('hex')}`
}

/**
 * The id of an object that a request makes for a client (a project's id, or `system`). Where one request makes several
 * objects of one kind, `words` tell them apart.
 * @example createObjectId(networkKind, input.projectId, request.seed)
 */
export function createObjectId(
  kind: Kind<unknown>,
  clientId: string,
  seed: string,
  ...words: readonly string[]
): string {
  return createId(kind.prefix, clientId, timeOfSeed(seed), randomOfSeed(seed, kind.name, ...words))
}

/** The id of a new client, that is, of a project: its place on the ring is its own. */
export function createObjectClientId(kind: Kind<unknown>, seed: string): string {
  return createClientId(kind.prefix, timeOfSeed(seed), randomOfSeed(seed, kind.name))
}

function timeOfSeed(seed: string): number {
  const time = Number(seed.slice(0, seed.indexOf('.')))
  if (!Number.isSafeInteger(time) || time <= 0) throw new Error(`BUG: '${seed}' is not a seed: <milliseconds>.<hex>`)
  return time
}

/** Bytes that look random and follow from the seed and the words; each call goes on where the last one ended. */
function randomOfSeed(seed: string, ...words: readonly string[]): (bytes: number) => Uint8Array {
  let calls = 0
  return (bytes) => {
    const text = JSON.stringify([seed, ...words, calls++])
    return new Bun.CryptoHasher('sha256').update(text).digest().subarray(0, bytes)
  }
}
