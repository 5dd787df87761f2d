import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createForecaster, type ForecasterOptions, restoreForecaster } from './create-forecaster.ts'
import { isWorthUsing, type Observation } from './forecaster.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const begin = Date.parse('2030-01-07T00:00:00Z')
const options: ForecasterOptions = {
  stepMs: hourMs,
  seasonsMs: [24 * hourMs],
  horizonsMs: [hourMs, 3 * hourMs, 20 * hourMs],
}

const atHour = (hour: number, value: number): Observation => ({ atMs: begin + hour * hourMs, value })
const daily = (hour: number) => 100 + 80 * Math.sin((2 * Math.PI * hour) / 24)
const follow = (count: number, valueAt: (hour: number) => number) => {
  const forecaster = createForecaster(options)
  for (let hour = 0; hour < count; hour++) forecaster.observe(atHour(hour, valueAt(hour)))
  return forecaster
}

describe('a forecast', () => {
  test('of a day’s rhythm is right hours ahead, and worth using', () => {
    const expectation = follow(24 * 14, daily).expect(begin + 24 * 14 * hourMs, 3 * hourMs)
    expect(expectation?.value).toBeCloseTo(daily(24 * 14 + 3), -1)
    expect(expectation?.skill).toBeGreaterThan(0.8)
    expect(isWorthUsing(expectation)).toBe(true)
  })

  test('of what goes up and down by chance is not worth using', () => {
    let last = 100
    let seed = 1
    const walk = () => {
      seed = (seed * 16_807) % 2_147_483_647
      last += seed % 2 === 0 ? 1 : -1
      return last
    }
    expect(isWorthUsing(follow(24 * 30, walk).expect(begin + 24 * 30 * hourMs, 3 * hourMs))).toBe(false)
  })

  test.each([
    ['nothing', 0, 0, hourMs],
    ['a single step', 2, 2, hourMs],
    ['a silence longer than the longest horizon', 100, 130, hourMs],
    ['a horizon beyond the longest', 100, 100, 31 * hourMs],
    ['a moment that is over', 100, 50, hourMs],
    ['a horizon that is none', 100, 100, Number.NaN],
  ])('is none after %s', (_, hours, atHours, horizonMs) => {
    expect(follow(hours, daily).expect(begin + atHours * hourMs, horizonMs)).toBeUndefined()
  })
})

const numbers = fc.oneof(fc.double(), fc.double({ min: 0, max: 1000 }), fc.constant(100))
const gaps = fc.oneof(fc.constant(1), fc.integer({ min: -50, max: 50 }), fc.double(), fc.constant(0.4))
const series = fc.array(fc.record({ value: numbers, gap: gaps }), { maxLength: 200 }).map((rows) => {
  let hour = 0
  return rows.map(({ value, gap }): Observation => {
    hour += Number.isFinite(gap) ? gap : 0
    return { atMs: Number.isFinite(gap) ? begin + hour * hourMs : gap, value }
  })
})
const askAll = (forecaster: ReturnType<typeof createForecaster>, atMs: number) =>
  [0, 0.5, 1, 2, 3, 12, 24].map((hours) => forecaster.expect(atMs, hours * hourMs))

describe('whatever comes', () => {
  test('nothing throws, no figure is other than finite, in order and not below the least', () => {
    fc.assert(
      fc.property(series, (observations) => {
        const forecaster = createForecaster(options)
        for (const observation of observations) {
          forecaster.observe(observation)
          for (const expectation of askAll(forecaster, observation.atMs)) {
            if (expectation === undefined) continue
            const { value, low, high, skill } = expectation
            expect([value, low, high, skill].every(Number.isFinite)).toBe(true)
            expect(0 <= low && low <= value && value <= high && skill <= 1).toBe(true)
          }
        }
      }),
    )
  })

  test('one that was saved and restored goes on as if nothing had been, and is no larger', () => {
    fc.assert(
      fc.property(series, fc.nat(200), (observations, cut) => {
        const forecaster = createForecaster(options)
        for (const observation of observations.slice(0, cut)) forecaster.observe(observation)
        const saved = forecaster.save()
        expect(saved.byteLength).toBe(createForecaster(options).save().byteLength)
        const restored = restoreForecaster(options, saved)
        for (const observation of observations.slice(cut)) {
          forecaster.observe(observation)
          restored?.observe(observation)
          expect(restored && askAll(restored, observation.atMs)).toEqual(askAll(forecaster, observation.atMs))
        }
        expect(restored?.save()).toEqual(forecaster.save())
      }),
    )
  })

  test('what is expected rests on nothing that comes later or goes on beside it', () => {
    fc.assert(
      fc.property(series, series, (past, future) => {
        const along = createForecaster(options)
        const tell = (forecaster: typeof along) => (observation: Observation) => {
          forecaster.observe(observation)
          return askAll(forecaster, observation.atMs)
        }
        const told = [...past, ...future].map(tell(along))
        expect(past.map(tell(createForecaster(options)))).toEqual(told.slice(0, past.length))
      }),
    )
  })
})

test('a step that is over counts as soon as somebody asks, and what comes of it later does not', () => {
  const forecaster = follow(101, daily)
  const after = forecaster.expect(begin + 101 * hourMs, 0.9 * hourMs)
  expect(after?.measured).toBe(100)
  forecaster.observe(atHour(100, 1e9))
  expect(forecaster.expect(begin + 101 * hourMs, 0.9 * hourMs)).toEqual(after)
})

test.each([
  ['another format', (saved: Uint8Array) => new Float64Array(saved.buffer).fill(9, 2, 3)],
  ['a bit that fell over', (saved: Uint8Array) => saved.fill((saved[1000] ?? 0) ^ 4, 1000, 1001)],
])('what was saved with %s is refused', (_, damage) => {
  const saved = follow(100, daily).save()
  damage(saved)
  expect(restoreForecaster(options, saved)).toBeUndefined()
})

test('what was saved with other options, or cut short, is refused', () => {
  const saved = follow(100, daily).save()
  expect(restoreForecaster({ ...options, stepMs: 2 * hourMs }, saved)).toBeUndefined()
  expect(restoreForecaster({ ...options, least: 1 }, saved)).toBeUndefined()
  expect(restoreForecaster(options, saved.slice(0, -8))).toBeUndefined()
})
