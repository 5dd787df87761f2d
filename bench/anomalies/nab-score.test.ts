import { describe, expect, test } from 'bun:test'
import { findThreshold, normalize, probationOf, type ScoredFile, scoreFile } from './nab-score.ts'
import { complementaryError } from './peers.ts'

const weights = { tpWeight: 1, fnWeight: 1, fpWeight: 0.11 }
/** A hundred rows, of which 15 are for learning; rows 50 to 59 are an anomaly. */
const file = (...detected: readonly number[]): ScoredFile => ({
  name: 'file',
  stampsMs: Array.from({ length: 100 }, (_, row) => row * 1000),
  scores: Float64Array.from({ length: 100 }, (_, row) => (detected.includes(row) ? 1 : 0)),
  windows: [[50_000, 59_000]],
})
const scoreOf = (...detected: readonly number[]) => scoreFile(file(...detected), 0.5, weights)

describe('a file’s score', () => {
  test.each([
    ['nothing at all', [], -1],
    ['the first row of the window', [50], 1],
    ['that and more of the window', [50, 52, 59], 1],
    ['a row for learning', [10], -1],
    ['a row before any window', [30, 50], 1 - 0.11],
    ['a row long after the window', [50, 99], 1 - 0.11],
  ])('of %s', (_, detected, score) => {
    expect(scoreOf(...detected)).toBeCloseTo(score, 6)
  })

  test('is more for an earlier detection, and loses less just after a window than later', () => {
    expect(scoreOf(51)).toBeGreaterThan(scoreOf(58))
    expect(scoreOf(58)).toBeGreaterThan(0)
    expect(scoreOf(50, 61)).toBeGreaterThan(scoreOf(50, 70))
  })
})

test('the best threshold is found, and gives what the file’s score says', () => {
  const scores = Float64Array.from({ length: 100 }, (_, row) => (row === 53 ? 0.7 : row % 7 === 0 ? 0.6 : 0))
  const graded = { ...file(), scores }
  const { threshold, raw } = findThreshold([graded], weights)
  expect(threshold).toBe(0.7)
  expect(raw).toBeCloseTo(scoreFile(graded, threshold, weights), 9)
})

test.each([
  [100, 15],
  [5000, 750],
  [20_000, 750],
])('of %i rows %i are for learning', (rows, probation) => {
  expect(probationOf(rows)).toBe(probation)
})

test('nothing is 0 and all is 100', () => {
  expect([normalize(-4, 4, weights), normalize(4, 4, weights)]).toEqual([0, 100])
})

test.each([
  [0, 1],
  [0.5, 0.4795001221869535],
  [2, 0.004677734981047266],
  [3, 0.00002209049699858544],
  [5.5, 7.357847917974398e-15],
])('the complementary error function of %d is %d', (x, value) => {
  expect(complementaryError(x) / value).toBeCloseTo(1, 9)
})
