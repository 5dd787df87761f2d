import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { decodeName, encodeName } from './domain-name.ts'
import {
  classes,
  decodeMessage,
  emptyMessage,
  encodeMessage,
  type Message,
  type ResourceRecord,
  types,
} from './message.ts'
import { serialOf } from './record-data.ts'
import { createAnswerVerifier, openMessage } from './tsig.ts'

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'))

const label = fc.string({ unit: fc.constantFrom(...'abz09-_'), minLength: 1, maxLength: 63 })
const name = fc.array(label, { maxLength: 3 }).map((labels) => labels.join('.'))
const record: fc.Arbitrary<ResourceRecord> = fc.record({
  name,
  type: fc.constantFrom(types.a, types.txt, 28),
  class: fc.constantFrom(classes.in, classes.none, classes.any),
  ttlSeconds: fc.nat(2 ** 32 - 1),
  data: fc.uint8Array({ maxLength: 40 }),
})
const message: fc.Arbitrary<Message> = fc.record({
  id: fc.nat(0xffff),
  isAnswer: fc.boolean(),
  opcode: fc.nat(15),
  isAuthoritative: fc.boolean(),
  isTruncated: fc.boolean(),
  responseCode: fc.nat(15),
  questions: fc.array(fc.record({ name, type: fc.nat(0xffff), class: fc.nat(0xffff) }), { maxLength: 2 }),
  answers: fc.array(record, { maxLength: 4 }),
  authorities: fc.array(record, { maxLength: 4 }),
  additionals: fc.array(record, { maxLength: 2 }),
})

test('a message is read as it was written', () => {
  fc.assert(
    fc.property(message, (given) => {
      const decoded = decodeMessage(encodeMessage(given))
      if (decoded.kind === 'malformed') throw new Error(decoded.reason)
      expect(decoded.message).toEqual(given)
    }),
  )
})

test('whatever the bytes are, reading them ends and throws nothing', () => {
  const mangled = fc
    .tuple(message, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }), fc.nat())
    .map(([given, changes, cut]) => {
      const bytes = encodeMessage(given)
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte
      return cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes
    })
  const key = { name: 'k', secret: new Uint8Array(32) }
  fc.assert(
    fc.property(fc.oneof(mangled, fc.uint8Array({ maxLength: 600 })), (bytes) => {
      expect(['message', 'malformed']).toContain(decodeMessage(bytes).kind)
      expect(['opened', 'malformed']).toContain(openMessage(bytes).kind)
      expect(createAnswerVerifier(key, new Uint8Array(32)).take(bytes, 0).kind).not.toBe('verified')
    }),
    { numRuns: 2000 },
  )
})

describe('names', () => {
  test('are read by way of pointers, as RFC 1035 4.1.4 shows', () => {
    const bytes = new Uint8Array(100)
    bytes.set(bytesOf('01 46 03 495349 04 41525041 00'), 20)
    bytes.set(bytesOf('03 464f4f c014'), 40)
    bytes.set(bytesOf('c01a'), 64)
    expect(decodeName(bytes, 20)).toEqual({ name: 'f.isi.arpa', next: 32 })
    expect(decodeName(bytes, 40)).toEqual({ name: 'foo.f.isi.arpa', next: 46 })
    expect(decodeName(bytes, 64)).toEqual({ name: 'arpa', next: 66 })
    expect(decodeName(bytes, 92)).toEqual({ name: '', next: 93 })
  })

  const bad: readonly (readonly [string, string])[] = [
    ['a pointer to itself', 'c000'],
    ['a pointer ahead', 'c002 0161 00'],
    ['a label beyond the message', '0561'],
    ['a label of an unknown kind', '41 00'],
    ['half a pointer', 'c0'],
    ['no end', '0161'],
    ['more than 255 bytes', `${`3f${'61'.repeat(63)}`.repeat(4)}00`],
  ]
  for (const [what, hex] of bad) test(`${what} is refused`, () => expect(() => decodeName(bytesOf(hex), 0)).toThrow())

  for (const text of ['a..b', '.', 'a'.repeat(64), 'ä.b', Array(64).fill('abc').join('.')]) {
    test(`'${text.slice(0, 20)}' can't be written`, () => expect(() => encodeName(text)).toThrow())
  }

  test('are the same whatever their case, and odd bytes come back as they were', () => {
    expect(encodeName('Web.EXAMPLE')).toEqual(encodeName('web.example'))
    const odd = bytesOf('03 61 2e ff 00')
    expect(decodeName(odd, 0).name).toBe('a\\046\\255')
    expect(encodeName('a\\046\\255')).toEqual(odd)
  })
})

test('the start of authority of an answer with compressed names tells its serial', () => {
  // To `sluice.test SOA`, as servers compress it.
  const answer = bytesOf(`1234 8400 0001 0001 0000 0000 06736c75696365 0474657374 00 0006 0001
    c00c 0006 0001 0000003c 0026 026e73c00c 0a686f73746d6173746572c00c 00000005 00000e10 00000258 00015180 00000001`)
  const decoded = decodeMessage(answer)
  if (decoded.kind === 'malformed') throw new Error(decoded.reason)
  expect(decoded.message.answers.map(serialOf)).toEqual([5])
  expect(decoded.message.isAuthoritative).toBe(true)
})

test('what is longer than its records, or shorter, is refused', () => {
  const bytes = encodeMessage({ ...emptyMessage, questions: [{ name: 'a', type: 1, class: 1 }] })
  expect(decodeMessage(Uint8Array.of(...bytes, 0)).kind).toBe('malformed')
  for (let length = 0; length < bytes.length; length++) {
    expect(decodeMessage(bytes.subarray(0, length)).kind).toBe('malformed')
  }
})
