import { expect, test } from 'bun:test'
import { amount, milliseconds, percent } from './figures.ts'
import { condense, latest } from './measured.ts'
import { sparkline } from './sparkline.ts'
import { readKeys } from './terminal.ts'

test.each([
  [0, '0'],
  [0.04, '0'],
  [0.4, '0.4'],
  [9.96, '10'],
  [999.4, '999'],
  [999.6, '1k'],
  [1234, '1.2k'],
  [99_960, '100k'],
  [1e6, '1M'],
  [123_456_789_000, '123G'],
  [1e30, 'much'],
  [null, '-'],
  [Number.NaN, '-'],
])('%p is %s', (value, text) => {
  expect(amount(value)).toBe(text)
})

test('figures with units', () => {
  expect([percent(0.04), percent(31.4), percent(null)]).toEqual(['0%', '31%', '-'])
  expect([milliseconds(0.4), milliseconds(999), milliseconds(2040), milliseconds(null)]).toEqual([
    '0.4ms',
    '999ms',
    '2s',
    '-',
  ])
})

test('a sparkline is as high as its highest value, and tells nothing from little', () => {
  expect(sparkline([0, 1, null, 400], 6)).toBe('  ▁▂ █')
  expect(sparkline([1, 2, 3, 4], 2)).toBe('▇█')
  expect(sparkline([0, 0], 2)).toBe('▁▁')
  expect(sparkline([], 3)).toBe('   ')
})

test('what is now is what was measured last, unless that is long ago', () => {
  expect(latest([1, 2, null])).toBe(2)
  expect(latest([1, null, null, null, null])).toBeNull()
  expect(latest(undefined)).toBeNull()
})

test('a trend is of means, the newest whole', () => {
  expect(condense([0, 2, 4, null, 5, 7], 3)).toEqual([1, 4, 6])
  expect(condense([1, null, null], 3)).toEqual([1, null, null])
  expect(condense([5, 1, 3], 2)).toEqual([5, 2])
  expect(condense(undefined, 3)).toEqual([])
})

test('keys are told apart though they come at once', () => {
  expect(readKeys('sq\u001b[A\u001b[6~\u0003\u001b')).toEqual(['s', 'q', 'up', 'page-down', 'ctrl-c', '\u001b'])
})
