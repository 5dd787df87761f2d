import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { fitLine, median, percentile, show, summarize } from './statistics.ts'

describe('percentile', () => {
  const rows: readonly [string, readonly number[], number, number][] = [
    ['the median of three is the middle one', [5, 1, 3], 0.5, 3],
    ['the median of four is the second', [4, 3, 2, 1], 0.5, 2],
    ['the p99 of twenty is the largest', Array.from({ length: 20 }, (_, index) => index), 0.99, 19],
    ['the p99 of two hundred leaves two out', Array.from({ length: 200 }, (_, index) => index), 0.99, 197],
    ['one sample is all percentiles', [7], 0.01, 7],
  ]
  for (const [sentence, samples, share, expected] of rows) {
    test(sentence, () => expect(percentile(samples, share)).toBe(expected))
  }

  test('it is a sample, between the least and the largest, and grows with the share', () => {
    const samplesOf = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 })
    const shares = fc.double({ noNaN: true, min: 0, max: 1 })
    fc.assert(
      fc.property(samplesOf, shares, shares, (samples, a, b) => {
        const low = percentile(samples, Math.min(a, b))
        const high = percentile(samples, Math.max(a, b))
        expect(samples).toContain(low)
        expect(low).toBeLessThanOrEqual(high)
      }),
    )
  })

  test('of nothing there is none', () => expect(() => median([])).toThrow('BUG'))
})

test('a summary says count, least, p50, p99, largest and mean', () => {
  expect(summarize([1, 2, 3, 10])).toEqual({ count: 4, minimum: 1, p50: 2, p99: 10, maximum: 10, mean: 4 })
})

test('a line is found again from its points', () => {
  const { slope, intercept } = fitLine([1, 10, 100].map((x) => ({ x, y: 3 * x + 2 })))
  expect(slope).toBeCloseTo(3)
  expect(intercept).toBeCloseTo(2)
})

test('numbers are shown with three digits that count', () => {
  expect([0.1234, 1.234, 12.34, 1234.5].map(show)).toEqual(['0.123', '1.23', '12.3', '1,235'])
})
