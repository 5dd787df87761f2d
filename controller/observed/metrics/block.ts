/**
 * A block: what one holder's series were in one stretch of time, as bytes. The names come first, then the times, each
 * sequence of them once, since what is read in one pass has the same; then, data source by data source, the columns of all
 * series together, so that one measure is read without the others. Pure.
 */

import { ByteReader, ByteWriter } from './bytes.ts'
import { decodeColumn, encodeColumn } from './column.ts'
import type { Column } from './readings.ts'
import type { SeriesName } from './series.ts'

/** Columns with a value for each of the times. */
export interface Part {
  readonly times: readonly number[]
  readonly columns: readonly Column[]
}

/** A series with a part for each data source of its type. */
export interface BlockEntry {
  readonly name: SeriesName
  readonly parts: readonly Part[]
}

export interface Block {
  readonly names: readonly { readonly name: SeriesName; readonly partCount: number }[]
  /** The part of one series; what was read once is read again at once. */
  read(series: number, part: number): Part
}

const magic = 0x53
const format = 1
const compressionLevel = 3
/** A block that says that it is larger is not ours. */
const frameBytesMaximum = 64 * 1024 * 1024

export function encodeBlock(entries: readonly BlockEntry[]): Uint8Array {
  const axes = collectAxes(entries)
  const head = new ByteWriter()
  head.unsigned(entries.length)
  for (const { name, parts } of entries) {
    for (const text of [name.type, name.plugin, name.pluginInstance, name.typeInstance, name.host]) head.text(text)
    head.unsigned(parts.length)
  }
  head.unsigned(axes.list.length)
  for (const times of axes.list) {
    head.unsigned(times.length)
    head.bytes(encodeColumn(times))
  }
  const writer = new ByteWriter()
  writer.byte(magic)
  writer.byte(format)
  writeFrame(writer, head.finish())
  for (const { series, part } of listFrames(entries.map(({ name, parts }) => ({ name, partCount: parts.length })))) {
    const frame = new ByteWriter()
    for (const i of series) {
      const entry = entries[i]?.parts[part]
      if (entry === undefined) throw new Error('BUG: a frame names a part that is not there')
      frame.unsigned(axes.indexOf(entry.times))
      frame.unsigned(entry.columns.length)
      const columns = new ByteWriter()
      for (const column of entry.columns) columns.bytes(encodeFor(column, entry.times.length))
      frame.part(columns.finish())
    }
    writeFrame(writer, frame.finish())
  }
  return writer.finish()
}

const encodeFor = (column: Column, length: number) => (length === 0 ? new Uint8Array() : encodeColumn(column))

/** A RangeError: it is no block, or a broken one. */
export function decodeBlock(bytes: Uint8Array): Block {
  const reader = new ByteReader(bytes)
  if (reader.byte() !== magic || reader.byte() !== format) throw new RangeError('these bytes are no block')
  const head = new ByteReader(readFrame(reader))
  const names = Array.from({ length: head.unsigned() }, () => {
    const [type, plugin, pluginInstance, typeInstance, host] = [0, 1, 2, 3, 4].map(() => head.text())
    if (type === undefined || plugin === undefined || pluginInstance === undefined) throw new Error('BUG: five names')
    if (typeInstance === undefined || host === undefined) throw new Error('BUG: five names')
    return { name: { host, plugin, pluginInstance, type, typeInstance }, partCount: head.unsigned() }
  })
  const axes = Array.from({ length: head.unsigned() }, () => decodeColumn(head, head.unsigned()))
  const frames = new Map<string, { readonly packed: Uint8Array; readonly series: readonly number[] }>()
  for (const { type, part, series } of listFrames(names))
    frames.set(`${type} ${part}`, { packed: skipFrame(reader), series })
  const open = new Map<string, ReadonlyMap<number, Part>>()
  return {
    names,
    read(series, part) {
      const key = `${names[series]?.name.type} ${part}`
      const known = open.get(key) ?? openFrame(frames.get(key), axes)
      open.set(key, known)
      const found = known.get(series)
      if (found === undefined) throw new RangeError(`a block has no part ${part} of its series ${series}`)
      return found
    },
  }
}

type Frame = { readonly packed: Uint8Array; readonly series: readonly number[] }

/** Each part is read when it is asked for. */
function openFrame(frame: Frame | undefined, axes: readonly number[][]): ReadonlyMap<number, Part> {
  const parts = new Map<number, Part>()
  if (frame === undefined) return parts
  const reader = new ByteReader(readFrame(new ByteReader(frame.packed)))
  for (const series of frame.series) {
    const times = axes[reader.unsigned()]
    if (times === undefined) throw new RangeError('a block names times that it does not have')
    const count = reader.unsigned()
    const bytes = reader.part()
    parts.set(series, readLazily(times, count, bytes))
  }
  return parts
}

function readLazily(times: readonly number[], count: number, bytes: Uint8Array): Part {
  let columns: readonly Column[] | null = null
  return {
    times,
    get columns() {
      if (columns === null) {
        const reader = new ByteReader(bytes)
        columns = Array.from({ length: count }, () => decodeColumn(reader, times.length))
      }
      return columns
    },
  }
}

/** In which order the frames are, and which series each has: the same for who writes and who reads. */
function listFrames(names: readonly { readonly name: SeriesName; readonly partCount: number }[]) {
  const frames = new Map<string, { readonly type: string; readonly part: number; readonly series: number[] }>()
  for (const [i, { name, partCount }] of names.entries()) {
    for (let part = 0; part < partCount; part++) {
      const key = `${name.type} ${part}`
      const frame = frames.get(key) ?? { type: name.type, part, series: [] }
      frame.series.push(i)
      frames.set(key, frame)
    }
  }
  return frames.values()
}

function collectAxes(entries: readonly BlockEntry[]) {
  const list: (readonly number[])[] = []
  const bySketch = new Map<string, number[]>()
  const byIdentity = new Map<readonly number[], number>()
  for (const { times } of entries.flatMap(({ parts }) => parts)) {
    if (byIdentity.has(times)) continue
    const sketch = `${times.length} ${times[0]} ${times.at(-1)}`
    const alike = bySketch.get(sketch) ?? []
    bySketch.set(sketch, alike)
    let index = alike.find((one) => list[one]?.every((time, i) => time === times[i]))
    if (index === undefined) {
      index = list.push(times) - 1
      alike.push(index)
    }
    byIdentity.set(times, index)
  }
  return { list, indexOf: (times: readonly number[]) => byIdentity.get(times) ?? 0 }
}

/** As it is where compression would not make it shorter. */
function writeFrame(writer: ByteWriter, bytes: Uint8Array<ArrayBuffer>): void {
  const packed = Bun.zstdCompressSync(bytes, { level: compressionLevel })
  const isShorter = packed.length < bytes.length
  writer.unsigned(isShorter ? bytes.length : 0)
  writer.part(isShorter ? packed : bytes)
}

function readFrame(reader: ByteReader): Uint8Array {
  const length = reader.unsigned()
  const bytes = reader.part()
  if (length === 0) return bytes
  if (length > frameBytesMaximum) throw new RangeError('a frame of a block is too large')
  try {
    return Bun.zstdDecompressSync(new Uint8Array(bytes))
  } catch (cause) {
    throw new RangeError('a frame of a block is broken', { cause })
  }
}

/** The bytes of a whole frame, unread. */
function skipFrame(reader: ByteReader): Uint8Array {
  const length = reader.unsigned()
  const writer = new ByteWriter()
  writer.unsigned(length)
  writer.part(reader.part())
  return writer.finish()
}
