import { expect, test } from 'bun:test'
import { parseDuration } from './durations.ts'

const rows = [
  ['90s', 90],
  ['1h30m', 5400],
  ['1.5h', 5400],
  ['250ms', 0.25],
  ['0s', undefined],
  ['', undefined],
  ['5', undefined],
  ['-5s', undefined],
  ['5 s', undefined],
] as const
for (const [text, seconds] of rows) {
  test(`${JSON.stringify(text)} is ${seconds === undefined ? 'no duration' : `${seconds} s`}`, () =>
    expect(parseDuration(text)).toBe(seconds))
}
