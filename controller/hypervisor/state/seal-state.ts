/**
 * A state as it is kept: compressed, encrypted, and cut into parts that fit a message. Pure.
 *
 * AES-256-GCM with a random nonce: 12 bytes of nonce, the text, 16 bytes of tag. The stack's id is authenticated with
 * it, so that one stack's state can't be put in the place of another's. Keys have versions: the newest seals, all open.
 */

import { createCipheriv, createDecipheriv, type DecipherGCM } from 'node:crypto'

export interface StateKeys {
  /** The one that seals. */
  readonly current: number
  /** 32 bytes each, by version. */
  readonly keys: ReadonlyMap<number, Uint8Array>
}

export interface SealedState {
  readonly keyVersion: number
  /** Base64, cut. */
  readonly parts: readonly string[]
}

/** A value of the store takes 900,000 bytes as JSON. */
export const partCharactersMaximum = 800_000
/** So many parts fit one transaction well: some 12 MB, into which a state of a hundred usually goes. */
export const partsMaximum = 20

const nonceBytes = 12
const tagBytes = 16
const algorithm = 'aes-256-gcm'

/** Null: even compressed it is larger than a transaction takes. */
export function sealState(
  text: string,
  stackId: string,
  { current, keys }: StateKeys,
  random: (bytes: number) => Uint8Array,
): SealedState | null {
  const key = keys.get(current)
  if (key === undefined) throw new Error(`BUG: there is no key ${current} to seal with`)
  const nonce = random(nonceBytes)
  const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(stackId))
  const compressed = Bun.zstdCompressSync(Buffer.from(text))
  const sealed = Buffer.concat([nonce, cipher.update(compressed), cipher.final(), cipher.getAuthTag()])
  const parts = cut(sealed.toString('base64'))
  return parts.length > partsMaximum ? null : { keyVersion: current, parts }
}

/** Throws when the key is not there, or when what is kept is not what was sealed for this stack. */
export function openState({ keyVersion, parts }: SealedState, stackId: string, { keys }: StateKeys): string {
  const key = keys.get(keyVersion)
  if (key === undefined) {
    throw new Error(`the state of ${stackId} is sealed with key ${keyVersion}, which this controller does not have`)
  }
  const sealed = Buffer.from(parts.join(''), 'base64')
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes)).setAAD(Buffer.from(stackId))
  decipher.setAuthTag(sealed.subarray(-tagBytes))
  return Buffer.from(Bun.zstdDecompressSync(decrypt(decipher, sealed, stackId))).toString()
}

function decrypt(decipher: DecipherGCM, sealed: Buffer, stackId: string): Buffer {
  try {
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()])
  } catch (cause) {
    const why =
      'it is damaged, or this controller has another key of that version; all controllers need one file of keys'
    throw new Error(`what is kept is not the state of one stack, ${stackId}, sealed with this key: ${why}`, { cause })
  }
}

function cut(text: string): readonly string[] {
  const count = Math.ceil(text.length / partCharactersMaximum)
  return Array.from({ length: count }, (_, i) => text.slice(i * partCharactersMaximum, (i + 1) * partCharactersMaximum))
}
