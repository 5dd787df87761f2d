import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createLoadHistory } from './load-history.ts'

const load = (connections: number, isComplete = true) => ({
  levels: { connections },
  servingCount: 1,
  heardCount: 1,
  isComplete,
})

function fill(
  seconds: number,
  keepSeconds: number,
  levelAt: (second: number) => number,
  isCompleteAt = (_: number) => true,
) {
  const history = createLoadHistory()
  for (let second = 0; second <= seconds; second++) {
    history.note('lb', load(levelAt(second), isCompleteAt(second)), keepSeconds, second * 1000)
  }
  return history.peak('lb', keepSeconds, seconds * 1000)
}

describe('the peak', () => {
  test('is not known before there is as much of the past as is asked for', () => {
    expect(fill(59, 60, () => 1)).toBeNull()
    expect(fill(60, 60, () => 1)).toEqual({ connections: 1 })
  })

  test('begins anew after a time of which something is not known, or nothing was noted', () => {
    expect(
      fill(
        100,
        60,
        () => 1,
        (second) => second !== 50,
      ),
    ).toBeNull()
    expect(
      fill(
        111,
        60,
        () => 1,
        (second) => second !== 50,
      ),
    ).toEqual({ connections: 1 })
    const history = createLoadHistory()
    for (const second of [0, 1, 2, 60, 61]) history.note('lb', load(1), 10, second * 1000)
    expect(history.peak('lb', 10, 61_000)).toBeNull()
  })

  test('is forgotten with its balancer', () => {
    const history = createLoadHistory()
    for (let second = 0; second <= 10; second++) history.note('lb', load(1), 5, second * 1000)
    history.keep(new Set(['other']))
    expect(history.peak('lb', 5, 10_000)).toBeNull()
  })

  test('is never less than the greatest of the window, nor more than that of little longer', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1000), { minLength: 121, maxLength: 400 }),
        fc.integer({ min: 5, max: 120 }),
        (levels, window) => {
          const peak = fill(levels.length - 1, window, (second) => levels[second] ?? 0)?.connections ?? Number.NaN
          expect(peak).toBeGreaterThanOrEqual(Math.max(...levels.slice(-window)))
          expect(peak).toBeLessThanOrEqual(Math.max(...levels.slice(-window - Math.ceil(window / 60) - 2)))
        },
      ),
    )
  })
})
