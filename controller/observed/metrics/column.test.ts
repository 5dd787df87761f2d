import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { ByteReader } from './bytes.ts'
import { decodeColumn, encodeColumn } from './column.ts'

const readBack = (values: readonly number[]) => decodeColumn(new ByteReader(encodeColumn([...values])), values.length)

describe('a column', () => {
  test('of any numbers is read as it was written', () => {
    fc.assert(fc.property(fc.array(fc.double()), (values) => expect(readBack(values)).toEqual(values)))
  })

  test('of decimals, counters and levels is read as it was written', () => {
    const whole = fc.array(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }))
    const decimals = whole.map((values) => values.map((value) => value / 1000))
    const counters = fc.array(fc.nat({ max: 5000 })).map((steps) => {
      let sum = 2 ** 33
      return steps.map((step) => {
        sum += step
        return sum
      })
    })
    fc.assert(fc.property(fc.oneof(whole, decimals, counters), (values) => expect(readBack(values)).toEqual(values)))
  })

  test('is as short as what is in it', () => {
    const times = Array.from({ length: 1000 }, (_, i) => 1_700_000_000_000 + 10_000 * i)
    expect(encodeColumn(times.map(() => 12.5)).length).toBeLessThan(6)
    expect(encodeColumn(times).length).toBeLessThan(1020)
    expect(encodeColumn(times.map((_, i) => (i % 50) / 10)).length).toBeLessThan(1100)
  })

  test('that ends too early is told so', () => {
    fc.assert(
      fc.property(fc.array(fc.double(), { minLength: 1 }), (values) => {
        const bytes = encodeColumn(values)
        expect(() => decodeColumn(new ByteReader(bytes.subarray(0, -1)), values.length)).toThrow(RangeError)
      }),
    )
  })
})
