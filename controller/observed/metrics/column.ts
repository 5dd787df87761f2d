/**
 * A column of numbers in few bytes, exactly as they were: nothing but the first where all are the same; differences, or
 * differences of differences, of whole numbers, where a power of ten makes them whole; else their own bits, each held
 * against the one before, highest bytes first, so that what does not change lies together. Pure.
 */

import { type ByteReader, ByteWriter, integerMaximum } from './bytes.ts'
import type { Column } from './readings.ts'

const forms = { same: 0, differences: 1, bends: 2, bits: 3, sameBits: 4 } as const
const decimalsMaximum = 6
const scales = Array.from({ length: decimalsMaximum + 1 }, (_, decimals) => 10 ** decimals)

/** How many there are is said elsewhere; in place of as many that are the same, one of them. */
export function encodeColumn(column: Readonly<Column>): Uint8Array {
  const values = typeof column === 'number' ? [column] : column
  const [first] = values
  if (first === undefined) return new Uint8Array()
  const isSame = values.every((value) => Object.is(value, first))
  const decimals = findDecimals(isSame ? [first] : values)
  if (isSame) {
    if (decimals === null) return encodeBits(forms.sameBits, [first])
    return encodeDifferences(forms.same, decimals, [Math.round(first * (scales[decimals] ?? 1))])
  }
  if (decimals === null) return encodeBits(forms.bits, values)
  const scale = scales[decimals] ?? 1
  const whole = values.map((value) => Math.round(value * scale))
  const differences = encodeDifferences(forms.differences, decimals, takeDifferences(whole))
  const bends = encodeDifferences(forms.bends, decimals, takeDifferences(takeDifferences(whole)))
  return bends.length < differences.length ? bends : differences
}

export function decodeColumn(reader: ByteReader, count: number): number[] {
  if (count === 0) return []
  const form = reader.byte()
  switch (form) {
    case forms.same:
      return new Array<number>(count).fill(readScale(reader, (scale) => reader.signed() / scale))
    case forms.sameBits:
      return new Array<number>(count).fill(decodeBits(reader, 1)[0] ?? 0)
    case forms.bits:
      return decodeBits(reader, count)
    case forms.differences:
    case forms.bends:
      return readScale(reader, (scale) => decodeDifferences(reader, count, scale, form === forms.bends))
    default:
      throw new RangeError(`there is no form ${form} of a column`)
  }
}

function readScale<Read>(reader: ByteReader, read: (scale: number) => Read): Read {
  const scale = scales[reader.byte()]
  if (scale === undefined) throw new RangeError('a column has more decimals than there can be')
  return read(scale)
}

function decodeDifferences(reader: ByteReader, count: number, scale: number, areBends: boolean): number[] {
  const values = new Array<number>(count)
  let [sum, step] = [0, 0]
  for (let i = 0; i < count; i++) {
    const read = reader.signed()
    step = areBends ? step + read : read
    sum += step
    values[i] = scale === 1 ? sum : sum / scale
  }
  return values
}

/** The fewest decimals with which all are exact; null: there are none. */
function findDecimals(values: readonly number[]): number | null {
  let decimals = 0
  for (const value of values) {
    if (!Number.isFinite(value) || Object.is(value, -0)) return null
    while (!isWhole(value, scales[decimals] ?? 1)) {
      decimals++
      if (decimals > decimalsMaximum) return null
    }
    if (Math.abs(value) * (scales[decimals] ?? 1) >= integerMaximum / 4) return null
  }
  // One that was whole with few decimals need not be exact with more.
  const scale = scales[decimals] ?? 1
  return values.every((value) => isWhole(value, scale) && Math.abs(value) * scale < integerMaximum / 4)
    ? decimals
    : null
}

const isWhole = (value: number, scale: number) => Math.round(value * scale) / scale === value

function takeDifferences(values: readonly number[]): number[] {
  return values.map((value, i) => value - (i === 0 ? 0 : (values[i - 1] ?? 0)))
}

function encodeDifferences(form: number, decimals: number, values: readonly number[]): Uint8Array {
  const writer = new ByteWriter()
  writer.byte(form)
  writer.byte(decimals)
  for (const value of values) writer.signed(value)
  return writer.finish()
}

const doubleBytes = 8

function encodeBits(form: number, values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(1 + doubleBytes * values.length)
  bytes[0] = form
  const view = new DataView(new ArrayBuffer(2 * doubleBytes))
  for (const [i, value] of values.entries()) {
    view.setFloat64(0, value)
    for (let plane = 0; plane < doubleBytes; plane++) {
      const byte = view.getUint8(plane)
      bytes[1 + plane * values.length + i] = byte ^ view.getUint8(doubleBytes + plane)
      view.setUint8(doubleBytes + plane, byte)
    }
  }
  return bytes
}

function decodeBits(reader: ByteReader, count: number): number[] {
  const bytes = reader.bytes(doubleBytes * count)
  const view = new DataView(new ArrayBuffer(doubleBytes))
  return Array.from({ length: count }, (_, i) => {
    for (let plane = 0; plane < doubleBytes; plane++) {
      view.setUint8(plane, view.getUint8(plane) ^ (bytes[plane * count + i] ?? 0))
    }
    return view.getFloat64(0)
  })
}
