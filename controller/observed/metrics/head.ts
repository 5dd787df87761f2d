/**
 * The readings of late, in memory, in the same pieces as their blocks: what has come and is not in a block yet, and what is
 * asked for most. Every controller has its own, from the same stream. Touches nothing but memory.
 */

import type { PointBatch } from '../../../agent/contract/points.ts'
import { addReading, createReadings, type Readings } from './readings.ts'
import { type Holder, holderOf, isPlainName, ownerOfBlock, type SeriesName, seriesKeyOf } from './series.ts'
import type { SeriesLimit } from './series-limit.ts'
import { readingsTier, startOfBlock } from './tiers.ts'

export interface HeadSeries {
  readonly name: SeriesName
  readonly readings: Readings
}

/** One holder's series of one type in one piece of time, by their keys. */
export interface HeadBlock {
  readonly series: Map<string, HeadSeries>
  /** When the last of its readings came that no block has, by the server's clock; null: blocks have all of them. */
  dirtyUntil: number | null
}

export const dropReasons = ['future', 'tooOld', 'malformed', 'tooManySeries'] as const
export type DropReason = (typeof dropReasons)[number]

export interface HeadCounts {
  readonly points: number
  /** Said before, and known. */
  readonly doubled: number
  readonly dropped: Readonly<Record<DropReason, number>>
}

export interface Head {
  /** `now` and `arrivedAt`: milliseconds since the epoch, by the controller's clock and the server's. */
  accept(batch: PointBatch, now: number, arrivedAt: number): void
  counts(): HeadCounts
  /** By the starts of the pieces, then by whose blocks they are. */
  readonly blocks: ReadonlyMap<number, ReadonlyMap<string, HeadBlock>>
  /** The latest reading of each series, of whatever holder. */
  readonly latest: ReadonlyMap<string, LatestReading>
  /** Counts up whenever a point of this holder is new; 0: none of late. */
  stampOf(holder: string): number
  /** Forgets pieces that begin before then, unless they have what no block has; and who has said nothing since then. */
  forget(before: number): void
}

export interface LatestReading {
  readonly name: SeriesName
  readonly holder: Holder
  readonly time: number
  readonly intervalSeconds: number
  readonly values: readonly number[]
}

/** A host's clock may be ahead by so much. */
export const aheadSecondsMaximum = 60

export function createHead(limit: SeriesLimit): Head {
  const blocks = new Map<number, Map<string, HeadBlock>>()
  const latest = new Map<string, LatestReading>()
  const holders = new Map<string, Holder>()
  const stamps = new Map<string, { stamp: number; time: number }>()
  const dropped: Record<DropReason, number> = { future: 0, tooOld: 0, malformed: 0, tooManySeries: 0 }
  let [points, doubled] = [0, 0]

  function findHolder(batch: PointBatch, name: SeriesName, key: string): Holder | DropReason {
    const known = holders.get(key)
    if (known !== undefined) return known
    if (!isPlainName(name)) return 'malformed'
    const holder = holderOf(batch.origin, name)
    if (!limit.admit(holder, name)) return 'tooManySeries'
    holders.set(key, holder)
    return holder
  }

  function findSeries(holder: Holder, time: number, name: SeriesName, key: string, width: number): Readings {
    const start = startOfBlock(readingsTier, time)
    const ofPiece = blocks.get(start) ?? new Map<string, HeadBlock>()
    blocks.set(start, ofPiece)
    const owner = ownerOfBlock(holder.name, name.type)
    const block = ofPiece.get(owner) ?? { series: new Map<string, HeadSeries>(), dirtyUntil: null }
    ofPiece.set(owner, block)
    const { host, plugin, pluginInstance, type, typeInstance } = name
    const series = block.series.get(key) ?? {
      name: { host, plugin, pluginInstance, type, typeInstance },
      readings: createReadings(width),
    }
    block.series.set(key, series)
    return series.readings
  }

  return {
    blocks,
    latest,
    stampOf: (holder) => stamps.get(holder)?.stamp ?? 0,
    counts: () => ({ points, doubled, dropped: { ...dropped } }),
    accept(batch, now, arrivedAt) {
      for (const point of batch.points) {
        points++
        const time = Math.round(point.timeSeconds * 1000)
        if (time > now + aheadSecondsMaximum * 1000) {
          dropped.future++
          continue
        }
        if (time < now - readingsTier.keptSeconds * 1000) {
          dropped.tooOld++
          continue
        }
        const ownKey = seriesKeyOf(point)
        // What projects name is theirs alone: the same name from two of them is two series.
        const key = batch.origin.kind === 'project' ? `${batch.origin.projectId}/${ownKey}` : ownKey
        const holder = findHolder(batch, point, key)
        if (typeof holder === 'string') {
          dropped[holder]++
          continue
        }
        const readings = findSeries(holder, time, point, ownKey, point.values.length)
        if (addReading(readings, time, point.values)) {
          markDirty(blocks, { time, owner: ownerOfBlock(holder.name, point.type), arrivedAt })
          stamps.set(holder.name, { stamp: points, time })
        } else doubled++
        const before = latest.get(key)
        if (before !== undefined && before.time >= time) continue
        const { intervalSeconds, values } = point
        latest.set(key, { name: point, holder, time, intervalSeconds, values })
      }
    },
    forget(before) {
      for (const [start, ofPiece] of blocks) {
        if (start >= before) continue
        for (const [owner, block] of ofPiece) if (block.dirtyUntil === null) ofPiece.delete(owner)
        if (ofPiece.size === 0) blocks.delete(start)
      }
      for (const [holder, { time }] of stamps) if (time < before) stamps.delete(holder)
      for (const [key, { time, holder }] of latest) {
        if (time >= before) continue
        latest.delete(key)
        holders.delete(key)
        limit.release(holder)
      }
    },
  }
}

function markDirty(
  blocks: ReadonlyMap<number, ReadonlyMap<string, HeadBlock>>,
  reading: { readonly time: number; readonly owner: string; readonly arrivedAt: number },
): void {
  const block = blocks.get(startOfBlock(readingsTier, reading.time))?.get(reading.owner)
  if (block !== undefined) block.dirtyUntil = Math.max(block.dirtyUntil ?? 0, reading.arrivedAt)
}
