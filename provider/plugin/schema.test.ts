import { describe, expect, test } from 'bun:test'
import { type Attribute, list, object, string } from './attributes.ts'
import { defineSchema } from './schema.ts'
import { unknown } from './unknown.ts'
import {
  allOrNone,
  atLeastOneOf,
  atMostOneOf,
  between,
  exactlyOneOf,
  lengthBetween,
  matches,
  portNumber,
  sizeBetween,
} from './validators.ts'

describe('a mistake in a schema is told when it is declared', () => {
  const optional = string({ optional: true })
  const deep = Array.from({ length: 9 }).reduce<Attribute>((inner) => object({ inner }, { optional: true }), optional)
  const rows: readonly (readonly [string, () => unknown, string])[] = [
    [
      'nobody decides',
      () => defineSchema({ attributes: { a: string() } }),
      'a of a schema is neither required nor optional nor computed',
    ],
    [
      'within an object',
      () => defineSchema({ attributes: { a: object({ b: string() }, { optional: true }) } }),
      'a.b of a schema is neither',
    ],
    ['snake_case', () => defineSchema({ attributes: { a_b: optional } }), 'is not named in camelCase'],
    [
      'two names that are one',
      () => defineSchema({ attributes: { aB: optional }, blocks: { aB: optional, a_b: optional } }),
      'is not named in camelCase',
    ],
    [
      'write-only and computed',
      () => defineSchema({ attributes: { a: string({ optional: true, computed: true, writeOnly: true }) } }),
      'is write-only',
    ],
    ['required with a default', () => string({ required: true, default: 'a' }), 'has no default'],
    [
      'lists of lists of objects',
      () => defineSchema({ attributes: { a: list(list(object({ b: optional })), { optional: true }) } }),
      'collections of collections',
    ],
    ['too deep', () => defineSchema({ attributes: { a: deep } }), 'nested too deeply'],
  ]
  for (const [what, declare, message] of rows) test(what, () => expect(declare).toThrow(message))
})

describe('validators', () => {
  const rows = [
    [between(1, 3), 2, 4],
    [portNumber(), 65_535, 65_536],
    [lengthBetween(1, 2), 'é😀', 'abc'],
    [matches(/^[a-z]+$/g, 'have small letters only'), 'abc', 'aBc'],
    [sizeBetween(1, 1), { a: 1 }, []],
  ] as const
  for (const [validator, good, bad] of rows) {
    test(`must ${validator.must}`, () => {
      const holds = (value: unknown) => validator.holds(value as never)
      // Twice, since a pattern with a flag would remember where it was.
      expect([holds(good), holds(good), holds(bad)]).toEqual([true, true, false])
    })
  }
})

describe('rules count what is not known as what may be there', () => {
  const none = { aB: null, c: null }
  const one = { aB: 1, c: null }
  const maybe = { aB: unknown, c: null }
  const both = { aB: 1, c: 2 }
  const oneAndMaybe = { aB: 1, c: unknown }
  const rows = [
    [exactlyOneOf('aB', 'c'), [false, true, true, false, true]],
    [atMostOneOf('aB', 'c'), [true, true, true, false, true]],
    [atLeastOneOf('aB', 'c'), [false, true, true, true, true]],
    [allOrNone('aB', 'c'), [true, false, true, true, true]],
  ] as const
  for (const [rule, holds] of rows) {
    test(`must ${rule.must}`, () => {
      expect(rule.must).toContain('a_b')
      expect([none, one, maybe, both, oneAndMaybe].map((values) => rule.holds(values))).toEqual([...holds])
    })
  }
})
