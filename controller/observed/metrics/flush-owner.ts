/**
 * Writes what has come of one owner for one piece of time into its blocks, and makes the windows of that time anew from
 * all its readings. Doing it twice is as good as once: readings are united, windows replaced, and the readings are written
 * last, on the condition that nobody wrote them since they were read. Touches the block store alone.
 */

import type { BlockStore } from './block-store.ts'
import { lastBefore, type Readings, uniteReadings } from './readings.ts'
import { coarsen, createWindows, pauseSecondsMaximum, replaceWindows, rollUp, type Windows } from './rollup.ts'
import { kindsOf } from './series.ts'
import {
  decodeOr,
  decodeReadings,
  decodeWindows,
  encodeReadings,
  encodeWindows,
  type ReadingsSheet,
  type SeriesReadings,
  type SeriesWindows,
  type WindowsSheet,
} from './sheets.ts'
import { readingsTier, rollupTiers, startOfBlock, type Tier } from './tiers.ts'

export interface Flushing {
  readonly owner: string
  /** Of the piece of time. */
  readonly start: number
  /** What has come of it. */
  readonly fresh: ReadingsSheet
  /** No later piece is written yet. Else what came late at the end of this one changes the first rates of the next. */
  readonly isLast: boolean
}

/** Others may write the same block at the same time; each round one of them gets through. */
const attemptsMaximum = 20
const pieceMilliseconds = readingsTier.blockSeconds * 1000

const noReadings: ReadingsSheet = new Map()
const readSheet = (bytes: Uint8Array | null) => decodeOr(noReadings, () => decodeReadings(bytes))
const readWindows = (bytes: Uint8Array | null) => decodeOr<WindowsSheet>(new Map(), () => decodeWindows(bytes))

/** Answers how many bytes it wrote. */
export async function flushOwner(store: BlockStore, flushing: Flushing): Promise<number> {
  const { owner, start, fresh, isLast } = flushing
  for (let attempt = 0; attempt < attemptsMaximum; attempt++) {
    const read = async (time: number) => store.read(readingsTier, owner, time)
    const { bytes, revision } = await read(start)
    const previous = readSheet((await read(start - pieceMilliseconds)).bytes)
    const next = isLast ? noReadings : readSheet((await read(start + pieceMilliseconds)).bytes)
    // At one moment: what is written is made of the very same readings, though more of them come meanwhile.
    const united = unite(readSheet(bytes), fresh)
    if (!united.isChanged) return 0
    const encoded = encodeReadings(united.sheet)
    const ranges = [makeRange(united.sheet, previous, start, start + pieceMilliseconds)]
    if (next.size > 0) {
      const from = start + pieceMilliseconds
      ranges.push(makeRange(next, united.sheet, from, from + pauseSecondsMaximum * 1000))
    }
    let written = encoded.length
    for (const range of ranges) written += await writeRange(store, owner, range)
    if (await store.write(readingsTier, owner, start, encoded, revision)) return written
  }
  throw new Error(`others kept writing the block of ${owner} from ${new Date(start).toISOString()} on`)
}

function unite(
  kept: ReadingsSheet,
  fresh: ReadingsSheet,
): { readonly sheet: ReadingsSheet; readonly isChanged: boolean } {
  if (kept.size === 0) return { sheet: fresh, isChanged: fresh.size > 0 }
  const sheet = new Map(kept)
  let isChanged = false
  for (const [key, series] of fresh) {
    const before = kept.get(key)
    if (before === undefined) sheet.set(key, series)
    else {
      const readings = uniteReadings(before.readings, series.readings)
      if (Bun.deepEquals(spread(readings), spread(before.readings))) continue
      sheet.set(key, { name: series.name, readings })
    }
    isChanged = true
  }
  return { sheet, isChanged }
}

/** A column of the same numbers may be written in two ways. */
const spread = ({ times, columns }: Readings) => [
  times,
  ...columns.map((column) => (typeof column === 'number' ? times.map(() => column) : column)),
]

/** All windows that begin between two times, by tier; longer ones than a piece are made of these. */
interface Range {
  readonly from: number
  readonly to: number
  readonly sheets: ReadonlyMap<Tier, WindowsSheet>
}

function makeRange(sheet: ReadingsSheet, previous: ReadingsSheet, from: number, to: number): Range {
  const sheets = new Map<Tier, WindowsSheet>()
  for (const tier of rollupTiers) {
    if (tier.seconds > readingsTier.blockSeconds) continue
    const made = new Map<string, SeriesWindows>()
    for (const [key, series] of sheet) {
      const windows = rollUpSeries(series, previous.get(key)?.readings, from, tier.seconds)
      made.set(key, { name: series.name, windows })
    }
    sheets.set(tier, made)
  }
  return { from, to, sheets }
}

async function writeRange(store: BlockStore, owner: string, { from, to, sheets }: Range): Promise<number> {
  let written = 0
  for (const tier of rollupTiers) {
    const made = sheets.get(tier)
    if (made === undefined) written += await coarsenTier(store, tier, owner, from, to)
    else written += await updateWindows(store, tier, owner, from, (kept) => replaceSheet(kept, made, from, to))
  }
  return written
}

/** The windows of each data source; `previous` are readings before `start`, if there are any. */
export function rollUpSeries(
  { name, readings }: SeriesReadings,
  previous: Readings | undefined,
  start: number,
  windowSeconds: number,
): Windows[] {
  const kinds = kindsOf(name.type, readings.columns.length)
  return readings.columns.map((column, i) => {
    const before = previous === undefined ? null : lastBefore(previous.times, previous.columns[i], start)
    return rollUp(readings.times, column, { kind: kinds[i] ?? 'gauge', windowSeconds, before })
  })
}

/** Windows longer than a piece are made of the shorter ones within them, from the tier below. */
async function coarsenTier(store: BlockStore, tier: Tier, owner: string, start: number, end: number): Promise<number> {
  const finer = rollupTiers[rollupTiers.indexOf(tier) - 1]
  if (finer === undefined) throw new Error('BUG: the first tier is made of readings')
  const milliseconds = tier.seconds * 1000
  const from = Math.floor(start / milliseconds) * milliseconds
  const to = Math.ceil(end / milliseconds) * milliseconds
  const below = readWindows((await store.read(finer, owner, startOfBlock(finer, from))).bytes)
  const made = new Map<string, SeriesWindows>()
  for (const [key, { name, windows }] of below) {
    made.set(key, { name, windows: windows.map((one) => coarsen(cut(one, from, to), tier.seconds)) })
  }
  return updateWindows(store, tier, owner, from, (kept) => replaceSheet(kept, made, from, to))
}

const cut = (windows: Windows, from: number, to: number): Windows => replaceWindows(createWindows(), windows, from, to)

function replaceSheet(kept: WindowsSheet, made: WindowsSheet, from: number, to: number): WindowsSheet {
  const sheet = new Map<string, SeriesWindows>(kept)
  for (const [key, { name, windows }] of made) {
    const before = kept.get(key)?.windows ?? []
    sheet.set(key, {
      name,
      windows: windows.map((one, i) => replaceWindows(before[i] ?? createWindows(), one, from, to)),
    })
  }
  return sheet
}

async function updateWindows(
  store: BlockStore,
  tier: Tier,
  owner: string,
  time: number,
  change: (kept: WindowsSheet) => WindowsSheet,
): Promise<number> {
  const start = startOfBlock(tier, time)
  for (let attempt = 0; attempt < attemptsMaximum; attempt++) {
    const { bytes, revision } = await store.read(tier, owner, start)
    const encoded = encodeWindows(change(readWindows(bytes)))
    if (await store.write(tier, owner, start, encoded, revision)) return encoded.length
  }
  throw new Error(`others kept writing the ${tier.name} block of ${owner} from ${new Date(start).toISOString()} on`)
}
