import { describe, expect, test } from 'bun:test'
import { type Fields, integer, list, map, number, object, set, string } from '../attributes.ts'
import { unknown } from '../unknown.ts'
import { Decimal } from '../values/decimal.ts'
import type { RawObject } from '../values/raw.ts'
import { settleObject } from '../values/settle.ts'
import { findOverruled, findUnkept } from './conform.ts'

const fields: Fields = {
  name: string({ optional: true }),
  secret: string({ optional: true, sensitive: true }),
  size: integer({ optional: true, computed: true }),
  weight: number({ optional: true }),
  tags: set(string(), { optional: true }),
  parts: list(object({ port: integer({ required: true }), url: string({ computed: true }) }), { optional: true }),
  labels: map(string(), { optional: true }),
}
const value = (some: RawObject): RawObject => ({
  name: 'a',
  secret: null,
  size: null,
  weight: null,
  tags: null,
  parts: null,
  labels: null,
  ...some,
})

describe('a state keeps what was planned', () => {
  const rows: readonly (readonly [string, RawObject, RawObject, readonly object[]])[] = [
    ['when it is the same', {}, {}, []],
    ['when a set has another order', { tags: ['a', 'b'] }, { tags: ['b', 'a'] }, []],
    ['whatever was unknown', { size: unknown, parts: unknown }, { size: 3, parts: [] }, []],
    ['where an element of a set was unknown', { tags: ['a', unknown] }, { tags: ['a', 'c'] }, []],
    ['where two unknown elements became one', { tags: [unknown, 'c'] }, { tags: ['c'] }, []],
    ['but not with another name', { name: 'a' }, { name: 'b' }, [{ path: ['name'], promised: '"a"', actual: '"b"' }]],
    [
      'and a secret is not shown',
      { secret: 'x' },
      { secret: 'y' },
      [{ path: ['secret'], promised: '(sensitive)', actual: '(sensitive)' }],
    ],
    [
      'but not where null was planned',
      { size: null },
      { size: 1 },
      [{ path: ['size'], promised: 'null', actual: '1' }],
    ],
    [
      'but not with an element more',
      { tags: ['a'] },
      { tags: ['a', 'b'] },
      [{ path: ['tags'], promised: '["a"]', actual: '["a","b"]' }],
    ],
    [
      'but not within a list',
      { parts: [{ port: 1, url: unknown }] },
      { parts: [{ port: 2, url: 'u' }] },
      [{ path: ['parts', 0, 'port'], promised: '1', actual: '2' }],
    ],
    [
      'but not with another key',
      { labels: { a: 'x' } },
      { labels: { b: 'x' } },
      [{ path: ['labels'], promised: '{"a":"x"}', actual: '{"b":"x"}' }],
    ],
  ]
  for (const [what, planned, actual, broken] of rows) {
    test(what, () => expect(findUnkept(fields, value(planned), value(actual))).toEqual([...broken] as never))
  }
})

describe('a plan keeps what was configured', () => {
  test('and decides what was not', () => {
    expect(findOverruled(fields, value({ size: null }), value({ size: unknown }))).toEqual([])
    expect(findOverruled(fields, value({ size: 3 }), value({ size: unknown }))).toHaveLength(1)
    expect(findOverruled(fields, value({ name: null }), value({ name: 'b' }))).toHaveLength(1)
    expect(findOverruled(fields, value({ name: unknown }), value({ name: 'b' }))).toHaveLength(1)
  })
})

describe('the form of what is the same stays', () => {
  const rows: readonly (readonly [string, RawObject, RawObject, RawObject])[] = [
    [
      'the digits of a number',
      { weight: new Decimal('0.33333333333333333333') },
      { weight: new Decimal('0.3333333333333333') },
      { weight: new Decimal('0.33333333333333333333') },
    ],
    [
      'but not those of another',
      { weight: new Decimal('0.5') },
      { weight: new Decimal('0.25') },
      { weight: new Decimal('0.25') },
    ],
    [
      'the order of a set, new elements last, each once',
      { tags: ['c', 'a'] },
      { tags: ['a', 'b', 'c', 'b'] },
      { tags: ['c', 'a', 'b'] },
    ],
  ]
  for (const [what, before, now, settled] of rows) {
    test(what, () => expect(settleObject(fields, value(before), value(now))).toEqual(value(settled)))
  }
})
