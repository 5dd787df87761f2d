import { describe, expect, test } from 'bun:test'
import type { Span, Watched } from './messages.ts'
import { measureOutage } from './outage.ts'

const watched = (successes: Span[], failures: Watched['failures'] = []): Watched => ({
  kind: 'watched',
  from: 0,
  to: 100,
  successes,
  failures,
  longestStallMilliseconds: 2,
})

describe('the longest gap', () => {
  const rows: readonly [string, Watched, number][] = [
    [
      'is between the ends of two answers',
      watched([
        [0, 10],
        [8, 20],
        [50, 60],
        [70, 80],
      ]),
      40,
    ],
    [
      'does not care for the order in which answers are told',
      watched([
        [70, 80],
        [0, 10],
        [50, 60],
        [8, 20],
      ]),
      40,
    ],
    ['is the whole watch where nothing answers', watched([]), 100],
    ['may reach to the end of the watch', watched([[0, 10]]), 90],
    [
      'does not count an answer of after the watch',
      watched([
        [0, 10],
        [95, 120],
      ]),
      90,
    ],
  ]
  for (const [sentence, given, expected] of rows) {
    test(sentence, () => expect(measureOutage(given).gapMilliseconds).toBe(expected))
  }
})

test('failed probes are counted by their reason', () => {
  const failures = ['timeout', 'timeout', 'status 503'].map((why) => ({ span: [0, 1] as Span, why }))
  const outage = measureOutage(watched([[0, 1]], failures))
  expect(outage).toMatchObject({ probes: 4, failedProbes: 3, reasons: { timeout: 2, 'status 503': 1 } })
})
