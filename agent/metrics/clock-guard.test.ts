import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createClockGuard } from './clock-guard.ts'

function createClock() {
  const clock = { unix: 1_000_000, steady: 50 }
  const guard = createClockGuard({ unixSeconds: () => clock.unix, steadySeconds: () => clock.steady })
  return {
    clock,
    guard,
    /** So many seconds go by, and then the clock is set by so many more. */
    pass: (seconds: number, setBy = 0) => {
      clock.steady += seconds
      clock.unix += seconds + setBy
      return guard.isAhead()
    },
  }
}

describe('what is measured', () => {
  test('is later than what was before, while the clock goes as it should or is set ahead', () => {
    const { pass } = createClock()
    expect([pass(10), pass(10, 0.3), pass(10, -0.3), pass(10, 3600), pass(10)]).toEqual([true, true, true, true, true])
  })

  test('is left out until a clock that was set back is where it was', () => {
    const { pass } = createClock()
    expect([pass(10), pass(10, -25), pass(10), pass(10), pass(10)]).toEqual([true, false, false, true, true])
  })

  test('is left out for ten minutes at most', () => {
    const { pass } = createClock()
    pass(10, -7200)
    const passes = Array.from({ length: 60 }, () => pass(10))
    expect(passes.indexOf(true)).toBe(59)
    expect(pass(10)).toBe(true)
  })

  test('has never an earlier time than what was kept before, however the clock is set within ten minutes', () => {
    const step = fc.record({ seconds: fc.integer({ min: 1, max: 20 }), setBy: fc.integer({ min: -20, max: 20 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const { pass, clock } = createClock()
        let kept = Number.NEGATIVE_INFINITY
        for (const { seconds, setBy } of steps) {
          if (!pass(seconds, setBy)) continue
          // A set by less than a second is none.
          expect(clock.unix).toBeGreaterThanOrEqual(kept - 1)
          kept = clock.unix
        }
      }),
    )
  })
})
