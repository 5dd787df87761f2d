/**
 * Transaction signatures (RFC 8945) with hmac-sha256, of requests and of answers of one or many messages. Nothing in a
 * message may be believed before its signature has been verified. Pure: the time is an argument.
 */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { decodeName, encodeName } from './domain-name.ts'
import {
  classes,
  concatBytes,
  decodeMessage,
  encodeNumbers,
  encodeRecord,
  type Message,
  messageBytesMaximum,
  types,
} from './message.ts'
import { WireFault } from './wire-fault.ts'

export interface TsigKey {
  readonly name: string
  readonly secret: Uint8Array
}

export const tsigAlgorithm = 'hmac-sha256'
/** How far two clocks may be apart: what the RFC recommends. */
export const fudgeSeconds = 300
/** RFC 8945, 5.3.1: so many messages of a long answer may go unsigned before one that is signed. */
const unsignedMaximum = 99
const macBytes = 32

export const tsigErrors = { badSignature: 16, badKey: 17, badTime: 18, badTruncation: 22 } as const

export interface Signed {
  readonly bytes: Uint8Array
  /** What the signature of the answer covers as well. */
  readonly mac: Uint8Array
}

export interface SignOptions {
  readonly key: TsigKey
  /** Seconds since the epoch. */
  readonly now: number
  /** Of the request, where an answer is signed. */
  readonly requestMac?: Uint8Array
  /** Of an answer: why the request's signature was not accepted, with the server's time for `badTime`. */
  readonly error?: number
  readonly otherData?: Uint8Array
}

/** Puts a signature at the end of a message. */
export function signMessage(message: Uint8Array, options: SignOptions): Signed {
  const { key, now, requestMac, error = 0, otherData = new Uint8Array() } = options
  const id = message.subarray(0, 2)
  const stamp = { time: now, fudge: fudgeSeconds, error, otherData }
  const covered = [...lengthAndBytes(requestMac), message, describeStamp(key.name, stamp)]
  const mac = computeMac(key, covered)
  const data = concatBytes([
    encodeName(tsigAlgorithm),
    encodeTime(now),
    encodeNumbers([fudgeSeconds, mac.length]),
    mac,
    id,
    encodeNumbers([error, otherData.length]),
    otherData,
  ])
  const record = encodeRecord({ name: key.name, type: types.tsig, class: classes.any, ttlSeconds: 0, data })
  const bytes = concatBytes([message, record])
  if (bytes.length > messageBytesMaximum) throw new WireFault('the message is longer than one can be')
  changeAdditionals(bytes, 1)
  return { bytes, mac }
}

export type Verdict =
  /** The message is whose key signed it, whatever it says. */
  | { readonly kind: 'verified'; readonly message: Message }
  /** One of a long answer that a later one vouches for. */
  | { readonly kind: 'pending'; readonly message: Message }
  /** The server says that it did not accept the request's signature: verified for `badTime`, never for the others. */
  | {
      readonly kind: 'signatureRefused'
      readonly error: number
      /** Of the server's clock, seconds since the epoch; null: it does not say. */
      readonly serverTime: number | null
    }
  /** It refuses without a signature: that alone may be believed of it, as nothing follows from it but another try. */
  | { readonly kind: 'unsignedRefusal'; readonly message: Message }
  | { readonly kind: 'forged'; readonly reason: string }

export interface AnswerVerifier {
  /** The next message of the answer, in the order in which they came. */
  take(bytes: Uint8Array, now: number): Verdict
}

/** @param requestMac of the request that is answered */
export function createAnswerVerifier(key: TsigKey, requestMac: Uint8Array): AnswerVerifier {
  let priorMac = requestMac
  let isFirst = true
  let unsigned: Uint8Array[] = []

  return {
    take(bytes, now) {
      const opened = openMessage(bytes)
      if (opened.kind === 'malformed') return forged(opened.reason)
      const { message, signature } = opened
      if (signature === null) {
        if (isFirst)
          return message.responseCode === 0 ? forged('it is not signed') : { kind: 'unsignedRefusal', message }
        if (unsigned.length >= unsignedMaximum) return forged('too many of its messages are not signed')
        unsigned.push(bytes)
        return { kind: 'pending', message }
      }
      const { stamp, mac } = signature
      if (
        isFirst &&
        mac.length === 0 &&
        (stamp.error === tsigErrors.badSignature || stamp.error === tsigErrors.badKey)
      ) {
        return { kind: 'signatureRefused', error: stamp.error, serverTime: null }
      }
      if (signature.keyName !== key.name.toLowerCase()) return forged('it is signed with another key')
      if (signature.algorithm !== tsigAlgorithm) return forged('it is signed with another algorithm')
      // A shortened signature is one that is easier to guess.
      if (mac.length !== macBytes) return forged('its signature is shortened')
      const stampBytes = isFirst ? describeStamp(key.name, stamp) : describeTimers(stamp)
      const expected = computeMac(key, [...lengthAndBytes(priorMac), ...unsigned, signature.covered, stampBytes])
      if (!timingSafeEqual(expected, mac)) return forged('its signature is wrong')
      priorMac = mac
      isFirst = false
      unsigned = []
      if (stamp.error === tsigErrors.badTime) {
        return { kind: 'signatureRefused', error: stamp.error, serverTime: decodeServerTime(stamp.otherData) }
      }
      if (stamp.error !== 0) return { kind: 'signatureRefused', error: stamp.error, serverTime: null }
      const apart = Math.abs(now - stamp.time)
      if (apart > stamp.fudge) return forged(`it was signed ${apart} seconds away from now`)
      return { kind: 'verified', message }
    },
  }
}

const forged = (reason: string): Verdict => ({ kind: 'forged', reason })

interface Stamp {
  readonly time: number
  readonly fudge: number
  readonly error: number
  readonly otherData: Uint8Array
}

interface Signature {
  readonly keyName: string
  readonly algorithm: string
  readonly stamp: Stamp
  readonly mac: Uint8Array
  /** The message as it was before it was signed. */
  readonly covered: Uint8Array
}

type Opened =
  | { readonly kind: 'opened'; readonly message: Message; readonly signature: Signature | null }
  | { readonly kind: 'malformed'; readonly reason: string }

/** Takes a message apart from its signature, which says nothing yet of whether that is right. */
export function openMessage(bytes: Uint8Array): Opened {
  const decoded = decodeMessage(bytes)
  if (decoded.kind === 'malformed') return decoded
  const { message, lastRecordOffset } = decoded
  const records = [...message.answers, ...message.authorities, ...message.additionals]
  const signatures = records.filter(({ type }) => type === types.tsig)
  if (signatures.length === 0) return { kind: 'opened', message, signature: null }
  const last = message.additionals.at(-1)
  if (signatures.length > 1 || last === undefined || last.type !== types.tsig) {
    return { kind: 'malformed', reason: 'its signature is not its last record' }
  }
  if (last.class !== classes.any || last.ttlSeconds !== 0) {
    return { kind: 'malformed', reason: 'its signature is not of the form that a signature has' }
  }
  try {
    const covered = bytes.slice(0, lastRecordOffset)
    const fields = decodeSignature(last.data)
    changeAdditionals(covered, -1)
    covered.set(fields.originalId, 0)
    const signature = { keyName: last.name, algorithm: fields.algorithm, stamp: fields, mac: fields.mac, covered }
    return { kind: 'opened', message: { ...message, additionals: message.additionals.slice(0, -1) }, signature }
  } catch (error) {
    if (error instanceof WireFault) return { kind: 'malformed', reason: error.message }
    throw error
  }
}

function decodeSignature(data: Uint8Array) {
  // The name of the algorithm is never compressed, so the record can be read by itself.
  const { name: algorithm, next } = decodeName(data, 0)
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const takeNumber = (offset: number) => {
    if (offset + 2 > data.length) throw new WireFault('its signature is cut off')
    return view.getUint16(offset)
  }
  const time = takeNumber(next) * 2 ** 32 + takeNumber(next + 2) * 2 ** 16 + takeNumber(next + 4)
  const fudge = takeNumber(next + 6)
  const macBegin = next + 10
  const macEnd = macBegin + takeNumber(next + 8)
  takeNumber(macEnd)
  const error = takeNumber(macEnd + 2)
  const otherBegin = macEnd + 6
  if (otherBegin + takeNumber(macEnd + 4) !== data.length) throw new WireFault('its signature has the wrong length')
  const mac = data.slice(macBegin, macEnd)
  const originalId = data.slice(macEnd, macEnd + 2)
  return { algorithm, time, fudge, mac, originalId, error, otherData: data.slice(otherBegin) }
}

/** RFC 8945, 4.3.3: what of the signature's own record is covered. */
function describeStamp(keyName: string, { time, fudge, error, otherData }: Stamp): Uint8Array {
  return concatBytes([
    encodeName(keyName),
    encodeNumbers([classes.any, 0, 0]),
    encodeName(tsigAlgorithm),
    encodeTime(time),
    encodeNumbers([fudge, error, otherData.length]),
    otherData,
  ])
}

/** From the second message of a long answer on, the timers alone. */
const describeTimers = ({ time, fudge }: Stamp): Uint8Array => concatBytes([encodeTime(time), encodeNumbers([fudge])])

const encodeTime = (seconds: number): Uint8Array =>
  encodeNumbers([Math.floor(seconds / 2 ** 32), (seconds >>> 16) & 0xffff, seconds & 0xffff])

const decodeServerTime = (data: Uint8Array): number | null =>
  data.length === 6 ? data.reduce((sum, byte) => sum * 256 + byte, 0) : null

const lengthAndBytes = (bytes: Uint8Array | undefined): readonly Uint8Array[] =>
  bytes === undefined ? [] : [encodeNumbers([bytes.length]), bytes]

function computeMac(key: TsigKey, parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac('sha256', key.secret)
  for (const part of parts) hmac.update(part)
  return hmac.digest()
}

const additionalsOffset = 10

function changeAdditionals(bytes: Uint8Array, by: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  view.setUint16(additionalsOffset, view.getUint16(additionalsOffset) + by)
}
