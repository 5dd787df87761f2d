import { describe, expect, test } from 'bun:test'
import { ExtData, encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { bigInteger, decimal, integer, list, listBlock, map, number, object, string } from '../attributes.ts'
import { ProviderError } from '../diagnostics.ts'
import { configOf, randomSchema } from '../testing/random-schemas.ts'
import { unknown } from '../unknown.ts'
import { Decimal } from './decimal.ts'
import { decodeObject, encodeObject, fromJson, readJson } from './wire.ts'

const fields = {
  projectId: string({ optional: true }),
  amount: number({ optional: true }),
  size: bigInteger({ optional: true }),
  price: decimal({ optional: true }),
  tags: map(string(), { optional: true }),
  parts: list(object({ port: integer({ required: true }) }), { optional: true }),
  rules: listBlock({ attributes: { name: string({ required: true }) } }),
}
const nothing = { projectId: null, amount: null, size: null, price: null, tags: null, parts: null, rules: [] }
const written = (value: unknown) => ({ msgpack: encode(value), json: new Uint8Array() })
const asJson = (text: string) => ({ msgpack: new Uint8Array(), json: Buffer.from(text) })

describe('a value is read as it was written', () => {
  const rows = [
    ['names are in snake_case', { project_id: 'p' }, { projectId: 'p' }],
    ['an unknown value', { project_id: new ExtData(0, Uint8Array.of(0)) }, { projectId: unknown }],
    [
      'an unknown value about which something is known',
      { project_id: new ExtData(12, encode(new Map([[1, false]]))) },
      { projectId: unknown },
    ],
    [
      'an unknown value of an extension that comes later',
      { tags: new ExtData(77, new Uint8Array()) },
      { tags: unknown },
    ],
    ['unknown values within', { tags: { a: new ExtData(0, Uint8Array.of(0)) } }, { tags: { a: unknown } }],
    ['a number as text', { amount: '0.1' }, { amount: new Decimal('0.1') }],
    ['a number as a float, to its last digit', { amount: 0.5 }, { amount: new Decimal('0.5') }],
    ['a whole number as a float', { amount: 3.0 }, { amount: 3 }],
    [
      'a number beyond 2^53',
      { size: '340282366920938463463374607431768211456' },
      { size: new Decimal('340282366920938463463374607431768211456') },
    ],
    ['a number of 64 bits', { size: 2n ** 63n - 1n }, { size: new Decimal('9223372036854775807') }],
    ['blocks that are not there', { rules: null }, { rules: [] }],
  ] as const
  for (const [what, value, raw] of rows) {
    test(what, () => {
      const bytes = { msgpack: encode(value, { useBigInt64: true }), json: new Uint8Array() }
      expect(decodeObject(fields, bytes)).toEqual({ ...nothing, ...raw })
    })
  }
  test('JSON, where there is no MessagePack', () => {
    expect(decodeObject(fields, asJson('{"project_id":"p","price":0.10,"size":12345678901234567890}'))).toEqual({
      ...nothing,
      projectId: 'p',
      price: new Decimal('0.1'),
      size: new Decimal('12345678901234567890'),
    })
  })
  test('no object is null', () => {
    expect(decodeObject(fields, written(null))).toBeNull()
    expect(decodeObject(fields, undefined)).toBeNull()
  })
})

describe('a value that is not of the schema is told with its path', () => {
  const rows = [
    ['text for a number', { amount: 'many' }, ['amount'], 'a number belongs here'],
    ['a number for text', { project_id: 7 }, ['projectId'], 'text belongs here, and not the number "7"'],
    ['a list for a map', { tags: [] }, ['tags'], 'a map belongs here, and not a list'],
    ['within a list', { parts: [{ port: 1 }, { port: true }] }, ['parts', 1, 'port'], 'a whole number belongs here'],
    ['an attribute that is not there', { other: 1 }, [], 'the schema has no "other"'],
  ] as const
  for (const [what, value, path, detail] of rows) {
    test(what, () => {
      const problem = diagnosticOf(() => decodeObject(fields, written(value)))
      expect(problem?.path).toEqual(path)
      expect(problem?.detail).toContain(detail)
    })
  }
})

test('a state loses what the schema has no more, and gets null for what is new', () => {
  const state = readJson(Buffer.from('{"project_id":"p","gone":{"a":1},"parts":[{"port":1,"also_gone":2}]}'))
  expect(fromJson(fields, state)).toEqual({ ...nothing, projectId: 'p', parts: [{ port: 1 }] })
})

test('bytes that are cut off are an error for the user', () => {
  fc.assert(
    fc.property(
      randomSchema.chain((schema) => fc.tuple(fc.constant(schema), configOf(schema.fields))),
      fc.nat(),
      ([schema, config], where) => {
        const { msgpack } = encodeObject(schema.fields, config)
        const cut = { msgpack: msgpack.subarray(0, 1 + (where % (msgpack.length - 1 || 1))), json: new Uint8Array() }
        if (cut.msgpack.length === msgpack.length) return
        expect(diagnosticOf(() => decodeObject(schema.fields, cut))?.severity).toBe('error')
      },
    ),
  )
})

test('any bytes are a value or an error for the user', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 })
  fc.assert(
    fc.property(randomSchema, bytes, fc.boolean(), (schema, content, isJson) => {
      const value = isJson ? { msgpack: new Uint8Array(), json: content } : { msgpack: content, json: new Uint8Array() }
      diagnosticOf(() => decodeObject(schema.fields, value))
    }),
    { numRuns: 1_000 },
  )
}, 30_000)

test('brackets without end are an error, and soon', () => {
  const deep = { msgpack: new Uint8Array(200_000).fill(0x91), json: new Uint8Array() }
  expect(diagnosticOf(() => decodeObject(fields, deep))?.summary).toBe('A value is not well-formed MessagePack')
  expect(diagnosticOf(() => decodeObject(fields, asJson('['.repeat(200_000))))?.severity).toBe('error')
})

/** Whatever goes wrong is a ProviderError. */
function diagnosticOf(run: () => unknown) {
  try {
    run()
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error
    return error.diagnostics[0]
  }
  return undefined
}
