import { describe, expect, test } from 'bun:test'
import { createStaleOdds } from './stale-odds.ts'

/** Others write it so often, for three seconds. */
function watch(writesPerSecond: number, own = 0) {
  const odds = createStaleOdds()
  const stepMilliseconds = 100
  let version = 0
  for (let now = 0; now <= 3000; now += stepMilliseconds) {
    const written = Math.round((writesPerSecond * stepMilliseconds) / 1000)
    version += written
    odds.note('x', version, own === 0 ? 0 : written, now)
  }
  return odds
}

describe('the odds that a read is stale', () => {
  test('are 1 − exp(−λ · age), by the rate at which others write', () => {
    const odds = watch(100)
    // Three seconds of watching tell the rate to within a quarter.
    const rate = 100 * (1 - Math.exp(-3000 / 2000))
    expect(odds.probability('x', 10, 3000)).toBeCloseTo(1 - Math.exp((-rate * 10) / 1000), 1)
  })

  test('are none for what nobody else writes, and for what is not known', () => {
    expect(watch(100, 1).probability('x', 1000, 3000)).toBe(0)
    expect(watch(100).probability('y', 1000, 3000)).toBe(0)
  })

  test('fade once others write no more', () => {
    const odds = watch(100)
    expect(odds.probability('x', 10, 13_000)).toBeLessThan(0.01)
  })

  test('make a probe worth its time only where a wasted write would cost more', () => {
    expect(watch(1000).isProbeWorth('x', 5, 3000)).toBe(true)
    expect(watch(10).isProbeWorth('x', 1, 3000)).toBe(false)
    const dear = watch(1000)
    for (let i = 0; i < 200; i++) dear.noteCost('probe', 50)
    expect(dear.isProbeWorth('x', 5, 3000)).toBe(false)
  })

  test('call that contended which a write would probably meet', () => {
    expect(watch(1000).isContended('x', 3000)).toBe(true)
    expect(watch(10).isContended('x', 3000)).toBe(false)
  })
})
