/**
 * DNS messages (RFC 1035, RFC 2136), to and from bytes. Written without compression, read with it. Names within the data of
 * a record are made whole for the types that are used here. Pure.
 */

import { decodeName, encodeName } from './domain-name.ts'
import { WireFault } from './wire-fault.ts'

export const messageBytesMaximum = 65_535
const headerBytes = 12

export const opcodes = { query: 0, update: 5 } as const
export const classes = { in: 1, none: 254, any: 255 } as const
export const types = {
  a: 1,
  cname: 5,
  soa: 6,
  txt: 16,
  rrsig: 46,
  nsec: 47,
  nsec3: 50,
  tsig: 250,
  axfr: 252,
  any: 255,
} as const

export interface Question {
  readonly name: string
  readonly type: number
  readonly class: number
}

export interface ResourceRecord {
  readonly name: string
  readonly type: number
  readonly class: number
  readonly ttlSeconds: number
  readonly data: Uint8Array
}

/** In an update (RFC 2136) the sections are the zone, what must be so, what is changed, and the rest. */
export interface Message {
  readonly id: number
  readonly isAnswer: boolean
  readonly opcode: number
  readonly isAuthoritative: boolean
  readonly isTruncated: boolean
  readonly responseCode: number
  readonly questions: readonly Question[]
  readonly answers: readonly ResourceRecord[]
  readonly authorities: readonly ResourceRecord[]
  readonly additionals: readonly ResourceRecord[]
}

export type Decoded =
  | {
      readonly kind: 'message'
      readonly message: Message
      /** Where the last record of the message begins, which is where a signature is. */
      readonly lastRecordOffset: number
    }
  | { readonly kind: 'malformed'; readonly reason: string }

export const emptyMessage: Message = {
  id: 0,
  isAnswer: false,
  opcode: opcodes.query,
  isAuthoritative: false,
  isTruncated: false,
  responseCode: 0,
  questions: [],
  answers: [],
  authorities: [],
  additionals: [],
}

export function encodeMessage(message: Message): Uint8Array {
  const { questions, answers, authorities, additionals } = message
  const flags =
    (message.isAnswer ? 0x8000 : 0) |
    (message.opcode << 11) |
    (message.isAuthoritative ? 0x0400 : 0) |
    (message.isTruncated ? 0x0200 : 0) |
    message.responseCode
  const counts = [questions, answers, authorities, additionals].map((section) => section.length)
  const parts = [
    encodeNumbers([message.id, flags, ...counts]),
    ...questions.flatMap(({ name, type, class: klass }) => [encodeName(name), encodeNumbers([type, klass])]),
    ...[...answers, ...authorities, ...additionals].map(encodeRecord),
  ]
  const bytes = concatBytes(parts)
  if (bytes.length > messageBytesMaximum) throw new WireFault('the message is longer than one can be')
  return bytes
}

export function encodeRecord({ name, type, class: klass, ttlSeconds, data }: ResourceRecord): Uint8Array {
  return concatBytes([
    encodeName(name),
    encodeNumbers([type, klass, ttlSeconds >>> 16, ttlSeconds & 0xffff, data.length]),
    data,
  ])
}

/** Big-endian, two bytes each. */
export function encodeNumbers(numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * 2)
  const view = new DataView(bytes.buffer)
  for (const [i, number] of numbers.entries()) view.setUint16(i * 2, number)
  return bytes
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

/** Whatever the bytes are, it ends, and says what they are or what is wrong with them. */
export function decodeMessage(bytes: Uint8Array): Decoded {
  try {
    return decode(bytes)
  } catch (error) {
    if (error instanceof WireFault) return { kind: 'malformed', reason: error.message }
    throw error
  }
}

function decode(bytes: Uint8Array): Decoded {
  if (bytes.length < headerBytes) throw new WireFault('it is shorter than a header')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const flags = view.getUint16(2)
  const [questionCount = 0, ...recordCounts] = [4, 6, 8, 10].map((offset) => view.getUint16(offset))
  let offset = headerBytes
  let lastRecordOffset = bytes.length
  const questions = Array.from({ length: questionCount }, () => {
    const { question, next } = decodeQuestion(bytes, view, offset)
    offset = next
    return question
  })
  const [answers = [], authorities = [], additionals = []] = recordCounts.map((count) =>
    Array.from({ length: count }, () => {
      lastRecordOffset = offset
      const { record, next } = decodeRecord(bytes, view, offset)
      offset = next
      return record
    }),
  )
  if (offset !== bytes.length) throw new WireFault('it is longer than its records')
  const message: Message = {
    id: view.getUint16(0),
    isAnswer: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 0xf,
    isAuthoritative: (flags & 0x0400) !== 0,
    isTruncated: (flags & 0x0200) !== 0,
    responseCode: flags & 0xf,
    questions,
    answers,
    authorities,
    additionals,
  }
  return { kind: 'message', message, lastRecordOffset }
}

function decodeQuestion(bytes: Uint8Array, view: DataView, offset: number) {
  const { name, next } = decodeName(bytes, offset)
  if (next + 4 > bytes.length) throw new WireFault('a question ends beyond the message')
  return { question: { name, type: view.getUint16(next), class: view.getUint16(next + 2) }, next: next + 4 }
}

function decodeRecord(bytes: Uint8Array, view: DataView, offset: number) {
  const { name, next } = decodeName(bytes, offset)
  if (next + 10 > bytes.length) throw new WireFault('a record ends beyond the message')
  const type = view.getUint16(next)
  const begin = next + 10
  const end = begin + view.getUint16(next + 8)
  if (end > bytes.length) throw new WireFault('a record ends beyond the message')
  const data = type === types.soa ? decompressSoa(bytes, begin, end) : bytes.slice(begin, end)
  const record = { name, type, class: view.getUint16(next + 2), ttlSeconds: view.getUint32(next + 4), data }
  return { record, next: end }
}

const soaNumbersBytes = 20

function decompressSoa(bytes: Uint8Array, begin: number, end: number): Uint8Array {
  // An update may name a type without data.
  if (begin === end) return new Uint8Array()
  const primary = decodeName(bytes, begin)
  const mailbox = decodeName(bytes, primary.next)
  if (mailbox.next + soaNumbersBytes !== end) throw new WireFault('a start of authority has the wrong length')
  return concatBytes([encodeName(primary.name), encodeName(mailbox.name), bytes.slice(mailbox.next, end)])
}
