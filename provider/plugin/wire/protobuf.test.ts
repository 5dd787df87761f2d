import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { decodeMessage, encodeMessage, many, mapOf, message, one, optional } from './protobuf.ts'
import { providerCalls } from './tfplugin6.ts'

const inner = message({ text: one(1, 'string'), position: optional(2, 'integer') })
const outer = message({
  name: one(1, 'string'),
  count: one(2, 'integer'),
  isOn: one(3, 'bool'),
  content: one(4, 'bytes'),
  inner: optional(5, inner),
  parts: many(16, inner),
  byName: mapOf(17, inner),
})

const innerValue = fc.record({ text: fc.string(), position: fc.option(fc.maxSafeInteger(), { nil: undefined }) })
const outerValue = fc.record({
  name: fc.string({ unit: 'grapheme' }),
  count: fc.maxSafeInteger(),
  isOn: fc.boolean(),
  content: fc.uint8Array(),
  inner: fc.option(innerValue, { nil: undefined }),
  parts: fc.array(innerValue, { maxLength: 3 }),
  byName: fc.dictionary(fc.string(), innerValue, { maxKeys: 3 }).map((all) => ({ ...all })),
})

describe('bytes are as other implementations write them', () => {
  const rows = [
    ['a string', { name: 'testing' }, '0a0774657374696e67'],
    ['a number of two bytes', { count: 150 }, '109601'],
    ['a negative number', { count: -1 }, '10ffffffffffffffffff01'],
    ['nothing that is zero or empty', { name: '', count: 0, isOn: false }, ''],
    ['an optional zero', { inner: { position: 0 } }, '2a021000'],
    ['a message in a list, with a tag of two bytes', { parts: [{ text: 'a' }] }, '8201030a0161'],
    ['an entry of a map', { byName: { k: { text: 'a' } } }, '8a01080a016b12030a0161'],
  ] as const
  for (const [what, value, hex] of rows) {
    test(what, () => expect(Buffer.from(encodeMessage(outer, value)).toString('hex')).toBe(hex))
  }
})

test('messages come back as they were', () => {
  fc.assert(
    fc.property(outerValue, (value) => {
      const decoded = decodeMessage(outer, encodeMessage(outer, value))
      expect({ ...decoded, content: [...decoded.content] }).toEqual({ ...value, content: [...value.content] })
    }),
  )
})

test('fields that a message does not have are passed over', () => {
  const longer = message({ ...outer.fields, later: one(99, 'string'), more: optional(100, inner) })
  const bytes = encodeMessage(longer, { name: 'a', later: 'unknown', more: { text: 'b' } })
  expect(decodeMessage(outer, bytes).name).toBe('a')
})

test('a message that is cut off is an error or what came before, never a hang', () => {
  fc.assert(
    fc.property(outerValue, fc.nat(), (value, where) => {
      const bytes = encodeMessage(outer, value)
      const cut = bytes.subarray(0, bytes.length === 0 ? 0 : where % bytes.length)
      try {
        decodeMessage(outer, cut)
      } catch (error) {
        expect(String(error)).toContain('malformed message')
      }
    }),
  )
})

test('any bytes are a message or an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const { request } of Object.values(providerCalls)) {
        try {
          decodeMessage(request, bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
      }
    }),
  )
})
