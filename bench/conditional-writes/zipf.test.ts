import { expect, test } from 'bun:test'
import { createZipf } from './zipf.ts'

test("numbers come as often as Zipf's law has it", () => {
  const draws = 10_000
  // Evenly through the whole range, in place of chance.
  let drawn = 0
  const draw = createZipf(4, 1, () => (drawn++ + 0.5) / draws)
  const counts = [0, 0, 0, 0]
  for (let i = 0; i < draws; i++) {
    const number = draw()
    counts[number] = (counts[number] ?? 0) + 1
  }
  const sum = 1 + 1 / 2 + 1 / 3 + 1 / 4
  expect(counts).toEqual([1, 1 / 2, 1 / 3, 1 / 4].map((weight) => Math.round((draws * weight) / sum)))
})
