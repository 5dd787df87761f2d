import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Change } from '../store.ts'
import { chooseSplit, createKeyLoads } from './key-loads.ts'

const key = (digits: string) => digits.padEnd(16, '0')
const arc = { from: key('2'), to: key('9') }
const mapOf = (counts: Readonly<Record<string, number>>) =>
  new Map(Object.entries(counts).map(([digits, count]) => [key(digits), count]))
const none = new Map<string, number>()

describe('a microshard is cut', () => {
  test.each([
    ['where its writes halve, and not in the middle of its arc', { '3': 10, '31': 10, '8': 1 }, {}, '31'],
    ['before its one hot key', { '3': 1, '5': 100, '8': 1 }, {}, '5'],
    ['by its objects when nothing is written', {}, { '3': 1, '4': 1, '7': 2 }, '7'],
    ['by what lies in its arc alone', { '1': 1000, '3': 1, '4': 1, f: 1000 }, {}, '4'],
    ['also where a key has no objects any more', { '3': 1 }, { '6': 1 }, '6'],
  ] as const)('%s', (_, writes, objects, at) => {
    expect(chooseSplit(arc, { writes: mapOf(writes), objects: mapOf(objects) })?.at).toBe(key(at))
  })

  test('never with fewer than two keys', () => {
    expect(chooseSplit(arc, { writes: mapOf({ '5': 9 }), objects: mapOf({ '5': 3, f: 2 }) })).toBeNull()
    expect(chooseSplit(arc, { writes: none, objects: none })).toBeNull()
  })

  test('so that no other cut is better', () => {
    const keys = fc.uniqueArray(fc.integer({ min: 0x20, max: 0x9f }), { minLength: 2, maxLength: 20 })
    fc.assert(
      fc.property(
        keys,
        fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 20, maxLength: 20 }),
        (points, weights) => {
          const pairs = points.map((point, i) => [key(point.toString(16)), weights[i] ?? 0] as const)
          const writes = new Map(pairs.map(([at, weight], i) => [at, i === 0 ? weight + 1 : weight]))
          const total = [...writes.values()].reduce((sum, weight) => sum + weight, 0)
          const cut = chooseSplit({ from: key('2'), to: key('a') }, { writes, objects: none })
          const shareBelow = (at: string) =>
            [...writes].filter(([own]) => own < at).reduce((sum, [, weight]) => sum + weight, 0) / total
          const best = Math.min(
            ...[...writes.keys()]
              .toSorted()
              .slice(1)
              .map((at) => Math.abs(shareBelow(at) - 0.5)),
          )
          expect(Math.abs((cut?.lowerShare ?? 0) - 0.5)).toBeCloseTo(best)
        },
      ),
    )
  })
})

test('writes of long ago count for less, and are forgotten in the end', () => {
  let now = 0
  const loads = createKeyLoads(() => now)
  const change = { object: { shardKey: key('3') } } as Change
  loads.note(Array.from({ length: 8 }, () => change))
  now = 600_000
  expect(loads.list().get(key('3'))).toBeCloseTo(4)
  now = 600_000 * 20
  expect(loads.list().size).toBe(0)
})
