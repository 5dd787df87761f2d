import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Observation } from '../forecast/forecaster.ts'
import { createAnomalyDetector, restoreAnomalyDetector } from './create-anomaly-detector.ts'

/** A rhythm with some noise, the same in each run. */
const usualAt = (row: number) => 100 + 20 * Math.sin(row / 7) + ((row * 7919) % 13)
const judgeAll = (values: readonly number[]) => {
  const detector = createAnomalyDetector()
  return values.map((value, row) => detector.observe({ atMs: row, value }))
}
const rowsOf = (count: number, valueAt: (row: number) => number) =>
  Array.from({ length: count }, (_, row) => valueAt(row))

describe('an anomaly', () => {
  test.each<readonly [string, (row: number) => number]>([
    ['a level that was never there', () => 400],
    ['a level far below', () => -300],
    ['a series that stands still', () => 100],
    ['one that goes up and down far faster', (row) => (row % 2 === 0 ? 80 : 132)],
  ])('is %s, told within a window of its beginning', (_, strangeAt) => {
    const judged = judgeAll(rowsOf(1400, (row) => (row < 1200 ? usualAt(row) : strangeAt(row))))
    const first = judged.findIndex(({ isAnomaly }, row) => isAnomaly && row >= 1000)
    expect(first).toBeGreaterThanOrEqual(1200)
    expect(first).toBeLessThan(1300)
  })

  test('is not told again as long as it becomes no worse', () => {
    const judged = judgeAll(rowsOf(1300, (row) => (row < 1200 ? usualAt(row) : 400)))
    const told = judged.slice(1200).filter(({ isAnomaly }) => isAnomaly)
    expect(told.map(({ score }) => score)).toEqual(told.map(({ score }) => score).toSorted((a, b) => a - b))
  })

  test('is none while all is as ever, nor before enough was seen', () => {
    expect(judgeAll(rowsOf(3000, usualAt)).some(({ isAnomaly }, row) => isAnomaly && row > 400)).toBe(false)
    expect(judgeAll(rowsOf(150, (row) => 10 ** (row % 9))).some(({ isAnomaly }) => isAnomaly)).toBe(false)
  })
})

const series = fc.array(
  fc.record({
    atMs: fc.oneof(fc.double(), fc.integer()),
    value: fc.oneof(fc.double(), fc.double({ min: 0, max: 1000, noNaN: true }), fc.constantFrom(1, 2)),
  }),
  { maxLength: 400 },
)

describe('whatever comes', () => {
  test('nothing throws, each score is from 0 to 1, and memory stays as it is', () => {
    const { byteLength } = createAnomalyDetector().save()
    fc.assert(
      fc.property(series, (observations) => {
        const detector = createAnomalyDetector()
        for (const observation of observations) {
          const { score } = detector.observe(observation)
          expect(score >= 0 && score <= 1).toBe(true)
        }
        expect(detector.save().byteLength).toBe(byteLength)
      }),
    )
  })

  test('one that was saved and restored goes on as if nothing had been, and another beside it changes nothing', () => {
    fc.assert(
      fc.property(series, fc.nat(400), (observations, cut) => {
        const detector = createAnomalyDetector()
        const observe = (observation: Observation) => detector.observe(observation)
        observations.slice(0, cut).map(observe)
        const restored = restoreAnomalyDetector(detector.save())
        for (const observation of observations.slice(cut)) {
          expect(restored?.observe(observation)).toEqual(observe(observation))
        }
      }),
    )
  })

  test('what was saved and is damaged, or of something else, is refused', () => {
    const saved = createAnomalyDetector().save()
    expect(restoreAnomalyDetector(saved.slice(8))).toBeUndefined()
    saved[100] = 1
    expect(restoreAnomalyDetector(saved)).toBeUndefined()
  })
})
