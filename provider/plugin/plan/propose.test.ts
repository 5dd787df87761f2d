import { describe, expect, test } from 'bun:test'
import { type Fields, integer, list, listBlock, map, object, set, string, timeouts } from '../attributes.ts'
import { unknown } from '../unknown.ts'
import type { RawObject } from '../values/raw.ts'
import { proposeObject } from './propose.ts'
import { findReplacing } from './replace.ts'

const member = object({
  address: string({ required: true }),
  weight: integer({ default: 1 }),
  port: integer({ optional: true, computed: true }),
  id: string({ computed: true, useStateForUnknown: true }),
})
const fields: Fields = {
  id: string({ computed: true, useStateForUnknown: true }),
  name: string({ required: true }),
  size: integer({ optional: true, computed: true }),
  revision: integer({ computed: true }),
  password: string({ optional: true, writeOnly: true }),
  inOrder: list(member, { optional: true }),
  byName: map(member, { optional: true }),
  unordered: set(member, { optional: true }),
  rules: listBlock({ attributes: { path: string({ required: true }), order: integer({ computed: true }) } }),
  timeouts: timeouts({ createSeconds: 1 }),
}
const nothing: RawObject = { ...Object.fromEntries(Object.keys(fields).map((name) => [name, null])), rules: [] }
const config = (some: RawObject): RawObject => ({ ...nothing, ...some })
const state = (some: RawObject): RawObject => ({ ...nothing, id: 'i', name: 'a', size: 1, revision: 1, ...some })
const asked = (address: string, some: RawObject = {}): RawObject => ({
  address,
  weight: null,
  port: null,
  id: null,
  ...some,
})
const there = (address: string, id: string, port = 80): RawObject => ({ address, weight: 1, port, id })

describe('the plan of an object', () => {
  const rows: readonly (readonly [string, RawObject, RawObject | null, RawObject])[] = [
    [
      'that is new: what the provider decides is unknown',
      config({ name: 'a' }),
      null,
      { id: unknown, name: 'a', size: unknown, revision: unknown },
    ],
    ['that is as it was: nothing is unknown', config({ name: 'a' }), state({}), state({})],
    [
      'of which a name changes: the id stays, the rest may change',
      config({ name: 'b' }),
      state({}),
      { id: 'i', name: 'b', size: unknown, revision: unknown },
    ],
    [
      'whose size is said from now on',
      config({ name: 'a', size: 2 }),
      state({}),
      { size: 2, revision: unknown, id: 'i' },
    ],
    ['whose size is said as it was decided', config({ name: 'a', size: 1 }), state({}), state({})],
    [
      'with a password: it is in no plan, and changes nothing',
      config({ name: 'a', password: 'p' }),
      state({}),
      state({}),
    ],
    [
      'with other timeouts: nothing else changes',
      config({ name: 'a', timeouts: { create: '1s' } }),
      state({}),
      { revision: 1, timeouts: { create: '1s' } },
    ],
    [
      'with a name that is not known yet',
      config({ name: unknown }),
      state({}),
      { name: unknown, revision: unknown, id: 'i' },
    ],
    [
      'elements of a list go on by position',
      config({ name: 'a', inOrder: [asked('x'), asked('y')] }),
      state({ inOrder: [there('x', '1')] }),
      {
        inOrder: [
          { ...there('x', '1'), port: unknown },
          { address: 'y', weight: 1, port: unknown, id: unknown },
        ],
      },
    ],
    [
      'elements of a map go on by name',
      config({ name: 'a', byName: { k: asked('x'), m: asked('y') } }),
      state({ byName: { k: there('z', '1') } }),
      {
        byName: {
          k: { address: 'x', weight: 1, port: unknown, id: '1' },
          m: { address: 'y', weight: 1, port: unknown, id: unknown },
        },
      },
    ],
    [
      'elements of a set go on in whatever order',
      config({ name: 'a', unordered: [asked('y'), asked('x')] }),
      state({ unordered: [there('x', '1'), there('y', '2')] }),
      state({ unordered: [there('y', '2'), there('x', '1')] }),
    ],
    [
      'an element of a set that says more takes its own',
      config({ name: 'a', unordered: [asked('x'), asked('x', { port: 80 })] }),
      state({ unordered: [there('x', '1', 80), there('x', '2', 81)] }),
      { unordered: [there('x', '2', 81), there('x', '1', 80)] },
    ],
    [
      'another element of a set is new',
      config({ name: 'a', unordered: [asked('z')] }),
      state({ unordered: [there('x', '1')] }),
      { unordered: [{ address: 'z', weight: 1, port: unknown, id: unknown }] },
    ],
    [
      'blocks go on by position',
      config({ name: 'a', rules: [{ path: '/', order: null }] }),
      state({ rules: [{ path: '/', order: 7 }] }),
      state({ rules: [{ path: '/', order: 7 }] }),
    ],
  ]
  for (const [what, wanted, prior, expected] of rows) {
    test(what, () => expect(proposeObject(fields, wanted, prior)).toMatchObject(expected))
  }
})

describe('what needs a new object', () => {
  const replacing = {
    zone: string({ required: true, requiresReplace: true }),
    size: integer({ required: true, requiresReplace: ({ prior, planned }) => Number(planned) < Number(prior) }),
    disks: list(object({ kind: string({ required: true, requiresReplace: true }) }), { optional: true }),
    labels: map(object({ kind: string({ required: true, requiresReplace: true }) }), { optional: true }),
    ports: set(object({ number: integer({ required: true, requiresReplace: true }) }), { optional: true }),
    note: string({ optional: true }),
  }
  const before: RawObject = {
    zone: 'a',
    size: 2,
    disks: [{ kind: 'fast' }],
    labels: { k: { kind: 'x' } },
    ports: [{ number: 1 }],
    note: null,
  }
  const rows: readonly (readonly [string, RawObject, readonly (readonly (string | number)[])[]])[] = [
    ['nothing, when nothing changes', {}, []],
    ['an attribute that says so', { zone: 'b' }, [['zone']]],
    ['one that is not known yet', { zone: unknown }, [['zone']]],
    ['one that says so of some changes: of this one', { size: 1 }, [['size']]],
    ['and of that one not', { size: 3 }, []],
    ['an attribute within a list', { disks: [{ kind: 'slow' }] }, [['disks', 0, 'kind']]],
    ['but not an element that is new', { disks: [{ kind: 'fast' }, { kind: 'slow' }] }, []],
    ['an attribute within a map', { labels: { k: { kind: 'y' } } }, [['labels', 'k', 'kind']]],
    ['a set as a whole, whose elements have no address', { ports: [{ number: 2 }] }, [['ports']]],
    ['what may change in place does not', { note: 'n' }, []],
  ]
  for (const [what, changes, paths] of rows) {
    test(what, () => expect(findReplacing(replacing, before, { ...before, ...changes }, true)).toEqual([...paths]))
  }
  test('everything, where there is no update', () => {
    expect(findReplacing(replacing, before, { ...before, note: 'n' }, false)).toEqual([['note']])
  })
})
