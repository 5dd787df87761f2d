/** Numbers to the last digit: what a 64-bit float can't carry, as its decimal text. */

/** Far beyond the 512 bits that the CLI computes with; bounds what a hostile exponent can make of a few bytes. */
const digitsMaximum = 5_000

/** A number that is not a whole number between -2^53 and 2^53. */
export class Decimal {
  /** Canonical: an optional minus, digits without leading zeros, and a fraction without trailing zeros. */
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** A whole number that JavaScript is sure of is a `number`, and all else a Decimal: one form for each number. */
export type ExactNumber = number | Decimal

/** Undefined when the text is no number, or has too many digits. */
export function parseDecimal(text: string): ExactNumber | undefined {
  const parts = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,6}))?$/.exec(text)
  if (parts === null) return undefined
  const [, sign, whole = '', fraction = '', exponent = '0'] = parts
  if (whole === '' && fraction === '') return undefined
  const point = whole.length + Number(exponent)
  if (text.length > digitsMaximum || Math.abs(point) > digitsMaximum) return undefined
  const digits = (whole + fraction)
    .padEnd(Math.max(point, 0), '0')
    .padStart(whole.length + fraction.length - Math.min(point, 0), '0')
  const split = Math.max(point, 0)
  const before = digits.slice(0, split).replace(/^0+/, '')
  const after = digits.slice(split).replace(/0+$/, '')
  if (before === '' && after === '') return 0
  const canonical = `${sign === '-' ? '-' : ''}${before === '' ? '0' : before}${after === '' ? '' : `.${after}`}`
  const value = Number(canonical)
  return after === '' && Number.isSafeInteger(value) ? value : new Decimal(canonical)
}

/** The number as JavaScript writes it: 0.1 is 0.1, and not the binary fraction next to it. */
export function decimalOf(value: number | bigint): ExactNumber | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value + 0
  return parseDecimal(String(value))
}

/** Every digit of a float that came as such: the float next to 0.1 is not 0.1. */
export function exactDecimalOf(value: number): ExactNumber | undefined {
  if (!Number.isFinite(value)) return undefined
  if (Number.isSafeInteger(value)) return value + 0
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, Math.abs(value))
  const bits = view.getBigUint64(0)
  const biased = Number(bits >> 52n)
  const mantissa = (bits & 0xfffffffffffffn) | (biased === 0 ? 0n : 1n << 52n)
  const exponent = Math.max(biased, 1) - 1075
  // m × 2^-n is m × 5^n × 10^-n.
  const text =
    exponent >= 0 ? String(mantissa << BigInt(exponent)) : `${mantissa * 5n ** BigInt(-exponent)}e${exponent}`
  return parseDecimal(value < 0 ? `-${text}` : text)
}

export const decimalText = (value: ExactNumber): string => (typeof value === 'number' ? String(value) : value.text)
