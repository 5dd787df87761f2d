/** Random schemas, configurations of them, and resources that keep what they are told: for properties. */

import fc from 'fast-check'
import type { Attribute, Fields, ValueType } from '../attributes.ts'
import {
  bigInteger,
  bool,
  decimal,
  integer,
  list,
  listBlock,
  map,
  number,
  object,
  set,
  setBlock,
  singleBlock,
  string,
} from '../attributes.ts'
import { defineSchema, type Schema } from '../schema.ts'
import { unknown } from '../unknown.ts'
import { parseDecimal } from '../values/decimal.ts'
import { isRawList, isRawObject, mapObject, type Raw, type RawObject } from '../values/raw.ts'

type Options = Readonly<
  Partial<Record<'required' | 'optional' | 'computed' | 'useStateForUnknown' | 'sensitive', true>>
>
const presences: readonly Options[] = [
  { required: true },
  { optional: true },
  { computed: true },
  { computed: true, useStateForUnknown: true },
  { optional: true, computed: true },
  { optional: true, computed: true, useStateForUnknown: true },
  { optional: true, sensitive: true },
]

const presence = fc.constantFrom(...presences)
type Build = (options?: Options) => Attribute
const builders: readonly Build[] = [string, bool, number, integer, bigInteger, decimal] as const
const primitive = fc.constantFrom(...builders).map((build) => build())

/** Elements of sets must differ in what the user says, or the CLI makes them one. */
const inSet = fc.record({
  key: fc.constant(string({ required: true })),
  more: fc.constantFrom(...presences).map((one) => string(one)),
})

type Collect = (of: Attribute, options: Options) => Attribute

const attribute = (depth: number): fc.Arbitrary<Attribute> => {
  const simple = fc.tuple(fc.constantFrom(...builders), presence).map(([build, one]): Attribute => build(one))
  const defaulted = fc.constantFrom<Attribute>(
    string({ default: 'd' }),
    number({ default: 0.1 }),
    bool({ default: true }),
    list(string(), { default: ['x'] }),
  )
  const writeOnly = fc.constant<Attribute>(string({ optional: true, writeOnly: true }))
  const ofPrimitives = fc
    .tuple(fc.constantFrom<Collect[]>(list, set, map), primitive, presence)
    .map(([collect, of, one]): Attribute => collect(of, one))
  if (depth === 0) return fc.oneof(simple, defaulted, writeOnly, ofPrimitives)
  const nested = fc.oneof(
    fc.tuple(fields(depth - 1), presence).map(([inner, one]): Attribute => object(inner, one)),
    fc.tuple(fields(depth - 1), presence).map(([inner, one]): Attribute => list(object(inner), one)),
    fc.tuple(fields(depth - 1), presence).map(([inner, one]): Attribute => map(object(inner), one)),
    fc.tuple(inSet, presence).map(([inner, one]): Attribute => set(object(inner), one)),
  )
  return fc.oneof({ weight: 3, arbitrary: simple }, defaulted, writeOnly, ofPrimitives, nested)
}

const named = <T>(values: readonly T[], prefix: string): Readonly<Record<string, T>> =>
  Object.fromEntries(values.map((value, index) => [`${prefix}Of${index}`, value]))

const fields = (depth: number): fc.Arbitrary<Fields> =>
  fc.array(attribute(depth), { minLength: 1, maxLength: 4 }).map((all) => named(all, 'a'))

const block = fc.oneof(
  fields(0).map((attributes): Attribute => listBlock({ attributes })),
  fields(0).map((attributes): Attribute => singleBlock({ attributes })),
  inSet.map((attributes): Attribute => setBlock({ attributes })),
)

/** Whatever is computed in what is computed as a whole follows from it, and isn't the user's. */
export const randomSchema: fc.Arbitrary<Schema> = fc
  .tuple(fields(2), fc.array(block, { maxLength: 2 }))
  .map(([attributes, blocks]) => defineSchema({ attributes, blocks: named(blocks, 'block') }))

const text = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.constantFrom('__proto__', 'constructor', ''))
const name = fc.oneof(fc.stringMatching(/^[a-z]{1,4}$/), fc.constantFrom('constructor', 'a-b', ''))

const rawOf = (type: ValueType): fc.Arbitrary<Raw> => {
  switch (type.kind) {
    case 'string':
      return text.map((one) => one.toWellFormed().normalize('NFC'))
    case 'bool':
      return fc.boolean()
    case 'integer':
      return fc.maxSafeInteger().map((one) => one + 0)
    case 'bigInteger':
      return fc.bigInt({ min: -(2n ** 100n), max: 2n ** 100n }).map((one) => parseDecimal(String(one)) ?? 0)
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => parseDecimal(String(one)) ?? 0)
    case 'decimal':
      return fc
        .tuple(fc.bigInt({ min: -(2n ** 90n), max: 2n ** 90n }), fc.integer({ min: 0, max: 40 }))
        .map(([digits, places]) => parseDecimal(`${digits}e-${places}`) ?? 0)
    case 'list':
      return fc.array(rawOf(type.of.type), { maxLength: 3 })
    case 'set':
      return fc.uniqueArray(rawOf(type.of.type), { maxLength: 3, selector: userKey })
    case 'map':
      return fc
        .uniqueArray(fc.tuple(name, rawOf(type.of.type)), { maxLength: 3, selector: ([key]) => key })
        .map(Object.fromEntries)
    case 'object':
      return configOf(type.fields)
    default:
      return type satisfies never
  }
}

const userKey = (raw: Raw): string => (isRawObject(raw) ? String(raw.key) : JSON.stringify(raw))

/** What a user may write. The library for MessagePack refuses `__proto__` as a name. */
export const configOf = (all: Fields): fc.Arbitrary<RawObject> =>
  fc.record(Object.fromEntries(Object.entries(all).map(([key, one]) => [key, configured(one)])))

function configured({ presence: who, type }: Attribute): fc.Arbitrary<Raw> {
  if (who === 'computed') return fc.constant(null)
  if (who === 'required' || who === 'blocks') return rawOf(type)
  return fc.oneof(fc.constant(null), rawOf(type))
}

/** The same with some values not known yet; never an element of a set or a whole block, which the CLI does otherwise. */
export const withUnknowns = (all: Fields, config: RawObject, chosen: () => boolean): RawObject =>
  Object.fromEntries(
    Object.entries(config).map(([key, raw]) => {
      const one = all[key]
      if (one === undefined || raw === null) return [key, raw]
      return [key, chosen() && one.block === null ? unknown : unknownsIn(one.type, raw, chosen)]
    }),
  )

function unknownsIn(type: ValueType, raw: Raw, chosen: () => boolean): Raw {
  if (type.kind === 'object' && isRawObject(raw)) return withUnknowns(type.fields, raw, chosen)
  if (type.kind === 'list' && isRawList(raw)) {
    return raw.map((element) => (chosen() ? unknown : unknownsIn(type.of.type, element, chosen)))
  }
  if (type.kind === 'map' && isRawObject(raw)) {
    return mapObject(raw, (element) => (chosen() ? unknown : unknownsIn(type.of.type, element, chosen)))
  }
  return raw
}
