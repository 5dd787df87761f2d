/**
 * Signs, encrypts, verifies and opens packets of collectd: HMAC-SHA-256, or AES-256 in output feedback mode with a SHA-1
 * within. It touches nothing; the initial vector of an encrypted packet is given to it.
 */

import { createCipheriv, createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { headBytes, partType } from './packet-parts.ts'

/** How a packet was protected, in rising order; also what is asked of packets at least. */
export const protections = ['none', 'signed', 'encrypted'] as const
export type Protection = (typeof protections)[number]

export type Opened =
  | {
      readonly kind: 'open'
      readonly payload: Uint8Array
      readonly protection: Protection
      readonly user: string | undefined
    }
  | { readonly kind: 'refused'; readonly reason: OpenFault }

/**
 * `malformed`: it is cut off, or no packet; `unknownUser`: nobody of that name has a password; `badSignature`: it was
 * changed on its way, or the password is another; `unprotected`: more is asked of packets here.
 */
export type OpenFault = 'malformed' | 'unknownUser' | 'badSignature' | 'unprotected'

const hashBytes = 32
const checksumBytes = 20
export const vectorBytes = 16
/** What a packet grows by, besides the user's name. */
export const signatureBytes = headBytes + hashBytes
export const encryptionBytes = headBytes + 2 + vectorBytes + checksumBytes

export interface OpenOptions {
  readonly passwordOf: (user: string) => string | undefined
  readonly least: Protection
}

export function openPacket(packet: Uint8Array, options: OpenOptions): Opened {
  const buffer = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength)
  const opened = takeOff(buffer, options)
  if (opened.kind === 'refused') return opened
  const isEnough = protections.indexOf(opened.protection) >= protections.indexOf(options.least)
  return isEnough ? opened : refuse('unprotected')
}

/** What protects is around all of the packet, and so its first part. */
function takeOff(buffer: Buffer, options: OpenOptions): Opened {
  if (buffer.length < headBytes) return refuse('malformed')
  switch (buffer.readUInt16BE(0)) {
    case partType.signature:
      return verify(buffer, options)
    case partType.encryption:
      return decrypt(buffer, options)
    default:
      return { kind: 'open', payload: buffer, protection: 'none', user: undefined }
  }
}

const refuse = (reason: OpenFault): Opened => ({ kind: 'refused', reason })

/** Head, hash, user; then what is signed: the user and all that follows. */
function verify(buffer: Buffer, { passwordOf }: OpenOptions): Opened {
  const end = buffer.readUInt16BE(2)
  if (end <= signatureBytes || end > buffer.length) return refuse('malformed')
  const user = buffer.toString('utf8', signatureBytes, end)
  const password = passwordOf(user)
  if (password === undefined) return refuse('unknownUser')
  const hash = createHmac('sha256', password).update(buffer.subarray(signatureBytes)).digest()
  if (!timingSafeEqual(hash, buffer.subarray(headBytes, signatureBytes))) return refuse('badSignature')
  return { kind: 'open', payload: buffer.subarray(end), protection: 'signed', user }
}

/** Head, the length of the user, the user, the vector; then encrypted a checksum and what it is of. */
function decrypt(buffer: Buffer, { passwordOf }: OpenOptions): Opened {
  // Nothing may follow that is not encrypted.
  if (buffer.length <= encryptionBytes || buffer.readUInt16BE(2) !== buffer.length) return refuse('malformed')
  const vectorAt = headBytes + 2 + buffer.readUInt16BE(headBytes)
  const encryptedAt = vectorAt + vectorBytes
  if (vectorAt === headBytes + 2 || encryptedAt + checksumBytes >= buffer.length) return refuse('malformed')
  const user = buffer.toString('utf8', headBytes + 2, vectorAt)
  const password = passwordOf(user)
  if (password === undefined) return refuse('unknownUser')
  const decipher = createDecipheriv(cipher, keyOf(password), buffer.subarray(vectorAt, encryptedAt))
  const plain = Buffer.concat([decipher.update(buffer.subarray(encryptedAt)), decipher.final()])
  const payload = plain.subarray(checksumBytes)
  const checksum = createHash('sha1').update(payload).digest()
  if (!timingSafeEqual(checksum, plain.subarray(0, checksumBytes))) return refuse('badSignature')
  return { kind: 'open', payload, protection: 'encrypted', user }
}

const cipher = 'aes-256-ofb'
const keyOf = (password: string) => createHash('sha256').update(password).digest()

export interface Credentials {
  readonly user: string
  readonly password: string
}

export function signPacket(payload: Uint8Array, { user, password }: Credentials): Buffer {
  const signed = Buffer.concat([Buffer.from(user, 'utf8'), payload])
  const head = Buffer.alloc(headBytes)
  head.writeUInt16BE(partType.signature, 0)
  head.writeUInt16BE(signatureBytes + Buffer.byteLength(user), 2)
  return Buffer.concat([head, createHmac('sha256', password).update(signed).digest(), signed])
}

/** The vector must be another, at random, for each packet. */
export function encryptPacket(payload: Uint8Array, { user, password }: Credentials, vector: Uint8Array): Buffer {
  const name = Buffer.from(user, 'utf8')
  const head = Buffer.alloc(headBytes + 2)
  head.writeUInt16BE(partType.encryption, 0)
  head.writeUInt16BE(encryptionBytes + name.length + payload.length, 2)
  head.writeUInt16BE(name.length, headBytes)
  const encipher = createCipheriv(cipher, keyOf(password), vector)
  const checksum = createHash('sha1').update(payload).digest()
  return Buffer.concat([head, name, vector, encipher.update(checksum), encipher.update(payload), encipher.final()])
}
