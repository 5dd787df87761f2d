import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createHeavyHitters } from './heavy-hitters.ts'
import {
  bucketCount,
  createLatencySketch,
  leastMilliseconds,
  mostMilliseconds,
  quantileOf,
  relativeError,
} from './latency-sketch.ts'

const latencies = fc.array(fc.double({ min: leastMilliseconds, max: mostMilliseconds, noNaN: true }), { minLength: 1 })

test('a quantile is wrong by at most the relative error', () =>
  fc.assert(
    fc.property(latencies, fc.double({ min: 0.01, max: 1, noNaN: true }), (values, share) => {
      const sketch = createLatencySketch()
      for (const value of values) sketch.note(value)
      const exact = values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1] ?? 0
      const near = quantileOf(sketch.list(), share) ?? 0
      expect(Math.abs(near - exact) / exact).toBeLessThanOrEqual(relativeError + 1e-9)
    }),
  ))

test('what several have counted is the same as what one would have', () =>
  fc.assert(
    fc.property(latencies, latencies, (some, others) => {
      const [one, other, all] = [createLatencySketch(), createLatencySketch(), createLatencySketch()]
      for (const value of some) one.note(value)
      for (const value of others) other.note(value)
      for (const value of [...some, ...others]) all.note(value)
      one.add(other.list())
      expect(one.list()).toEqual(all.list())
    }),
  ))

test('nothing has no quantile, and what can not be measured counts as the least or the most', () => {
  const sketch = createLatencySketch()
  expect(quantileOf(sketch.list(), 0.5)).toBeNull()
  for (const value of [Number.NaN, -1, 0]) sketch.note(value)
  sketch.note(Number.POSITIVE_INFINITY)
  expect(sketch.list()).toEqual([
    [0, 3],
    [bucketCount - 1, 1],
  ])
  sketch.clear()
  expect(sketch.list()).toEqual([])
})

test('whoever makes more than one in the capacity of all is kept, and no count is too low', () =>
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 30 }).map(String)),
      fc.integer({ min: 1, max: 10 }),
      (names, capacity) => {
        const hitters = createHeavyHitters(capacity)
        const exact = new Map<string, number>()
        for (const name of names) {
          hitters.note(name)
          exact.set(name, (exact.get(name) ?? 0) + 1)
        }
        const found = new Map(hitters.list().map((one) => [one.name, one]))
        expect(found.size).toBeLessThanOrEqual(capacity)
        for (const [name, count] of exact) {
          if (count > names.length / capacity) expect(found.has(name)).toBeTrue()
        }
        for (const [name, { count, overestimate }] of found) {
          expect(count).toBeGreaterThanOrEqual(exact.get(name) ?? 0)
          expect(count - overestimate).toBeLessThanOrEqual(exact.get(name) ?? 0)
        }
      },
    ),
  ))
