import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Decimal, decimalOf, decimalText, exactDecimalOf, parseDecimal } from './decimal.ts'

describe('a number is read to its last digit', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['0.10', '0.1'],
    ['-0', '0'],
    ['1e3', '1000'],
    ['12.5e-3', '0.0125'],
    ['.5', '0.5'],
    ['00012', '12'],
    ['-1.50', '-1.5'],
    ['123456789012345678901234567890', '123456789012345678901234567890'],
    ['1e20', '100000000000000000000'],
  ]
  for (const [text, canonical] of rows) {
    test(`${text} is ${canonical}`, () => {
      const value = parseDecimal(text)
      expect(value === undefined ? undefined : decimalText(value)).toBe(canonical)
    })
  }
  for (const text of ['', '.', '-', '1e', 'NaN', 'Infinity', '0x10', '1 ', '1e999999', '9'.repeat(6_000)]) {
    test(`${JSON.stringify(text.slice(0, 10))} is none`, () => expect(parseDecimal(text)).toBeUndefined())
  }
})

test('a whole number that JavaScript is sure of is a number, and nothing else is', () => {
  expect(parseDecimal('9007199254740991')).toBe(Number.MAX_SAFE_INTEGER)
  expect(parseDecimal('9007199254740992')).toEqual(new Decimal('9007199254740992'))
})

test('the float next to 0.1 is not 0.1', () => {
  expect(decimalOf(0.1)).toEqual(new Decimal('0.1'))
  expect(exactDecimalOf(0.1)).toEqual(new Decimal('0.1000000000000000055511151231257827021181583404541015625'))
  expect(exactDecimalOf(0.5)).toEqual(decimalOf(0.5))
})

test('every float has its digits, and comes back from them', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      for (const decimal of [decimalOf(value), exactDecimalOf(value)]) {
        expect(decimal === undefined ? undefined : Number(decimalText(decimal)) + 0).toBe(value + 0)
      }
    }),
  )
})

test('what is canonical stays as it is', () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.integer({ min: 0, max: 400 }), (digits, places) => {
      const value = parseDecimal(`${digits}e-${places}`)
      expect(value === undefined ? undefined : parseDecimal(decimalText(value))).toEqual(value)
    }),
  )
})
