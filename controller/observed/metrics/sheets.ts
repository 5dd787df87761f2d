/** What blocks hold, as it is worked with: readings and windows by the keys of their series, from bytes and to them. Pure. */

import { type BlockEntry, decodeBlock, encodeBlock } from './block.ts'
import { type Column, createReadings, type Readings } from './readings.ts'
import { type Windows, windowColumns } from './rollup.ts'
import { type SeriesName, seriesKeyOf } from './series.ts'

export interface SeriesReadings {
  readonly name: SeriesName
  readonly readings: Readings
}

export interface SeriesWindows {
  readonly name: SeriesName
  /** By data source. */
  readonly windows: readonly Windows[]
}

/** By the keys of their series. */
export type ReadingsSheet = ReadonlyMap<string, SeriesReadings>
export type WindowsSheet = ReadonlyMap<string, SeriesWindows>

const byKey = <Value>(a: readonly [string, Value], b: readonly [string, Value]) => (a[0] < b[0] ? -1 : 1)

/** The same for the same readings, whatever the order in which their series came. */
export function encodeReadings(sheet: ReadingsSheet): Uint8Array {
  return encodeBlock(
    [...sheet].toSorted(byKey).map(([, { name, readings }]): BlockEntry => {
      const { times, columns } = readings
      return { name, parts: columns.map((column) => ({ times, columns: [column] })) }
    }),
  )
}

/** A block that is broken is one that is not there: the next one of that time is written in its place. */
export function decodeOr<Value>(empty: Value, decode: () => Value): Value {
  try {
    return decode()
  } catch (cause) {
    if (cause instanceof RangeError) return empty
    throw cause
  }
}

export function decodeReadings(bytes: Uint8Array | null): ReadingsSheet {
  if (bytes === null) return new Map()
  const block = decodeBlock(bytes)
  return new Map(
    block.names.map(({ name, partCount }, series) => {
      const parts = Array.from({ length: partCount }, (_, part) => block.read(series, part))
      const readings: Readings = parts[0] === undefined ? createReadings(0) : takeReadings(parts[0].times, parts)
      return [seriesKeyOf(name), { name, readings }]
    }),
  )
}

function takeReadings(times: readonly number[], parts: readonly { readonly columns: readonly Column[] }[]): Readings {
  return { times: [...times], columns: parts.map(({ columns }) => columns[0] ?? Number.NaN) }
}

export function encodeWindows(sheet: WindowsSheet): Uint8Array {
  return encodeBlock(
    [...sheet].toSorted(byKey).map(
      ([, { name, windows }]): BlockEntry => ({
        name,
        parts: windows.map((one) => ({ times: one.starts, columns: windowColumns.map((column) => one[column]) })),
      }),
    ),
  )
}

export function decodeWindows(bytes: Uint8Array | null): WindowsSheet {
  if (bytes === null) return new Map()
  const block = decodeBlock(bytes)
  return new Map(
    block.names.map(({ name, partCount }, series) => {
      const windows = Array.from({ length: partCount }, (_, part) => toWindows(block.read(series, part)))
      return [seriesKeyOf(name), { name, windows }]
    }),
  )
}

export function toWindows({ times, columns }: BlockEntry['parts'][number]): Windows {
  const column = (name: (typeof windowColumns)[number]) => {
    const values = columns[windowColumns.indexOf(name)] ?? 0
    return typeof values === 'number' ? new Array<number>(times.length).fill(values) : values
  }
  return {
    starts: [...times],
    count: column('count'),
    least: column('least'),
    greatest: column('greatest'),
    last: column('last'),
    sum: column('sum'),
    weight: column('weight'),
  }
}

/** A series of readings of which only what is asked for is unpacked. */
export interface ReadableSeries {
  readonly name: SeriesName
  readonly width: number
  read(column: number): { readonly times: readonly number[]; readonly column: Column }
}

export function listReadable(bytes: Uint8Array): ReadonlyMap<string, ReadableSeries> {
  const block = decodeBlock(bytes)
  return new Map(
    block.names.map(({ name, partCount }, series) => {
      const read = (part: number) => {
        const { times, columns } = block.read(series, part)
        return { times, column: columns[0] ?? Number.NaN }
      }
      return [seriesKeyOf(name), { name, width: partCount, read }]
    }),
  )
}

export function asReadable({ name, readings }: SeriesReadings): ReadableSeries {
  const { times, columns } = readings
  return { name, width: columns.length, read: (column) => ({ times, column: columns[column] ?? Number.NaN }) }
}
