/**
 * Takes points from the bus into the head, and from the head into blocks. The stream of points is the log of what is not in
 * a block yet: who begins reads it from where blocks end, so a restart loses and doubles nothing. Any number of controllers
 * keep a head; who writes is decided outside, and two who write at once do no harm.
 */

import type { Logger } from 'pino'
import { decodePoints } from '../../../agent/contract/points.ts'
import type { BlockStore, Progress } from './block-store.ts'
import { type Flushing, flushOwner } from './flush-owner.ts'
import { aheadSecondsMaximum, type Head, type HeadBlock } from './head.ts'
import { readingsTier, startOfBlock } from './tiers.ts'

/** A host that could not reach the bus says it all afterwards: who is away for less makes no block to be written twice. */
export const graceSeconds = 12 * 60
const pieceMilliseconds = readingsTier.blockSeconds * 1000
/** How far back late points may have to be read again, beyond what is not in blocks anyway. */
const recordMilliseconds = 5 * 60_000

export interface MetricsKeeper {
  /** A message of the stream of points; `storedAt` is the server's clock. */
  take(message: { readonly subject: string; readonly data: Uint8Array; readonly storedAt: number }): void
  /**
   * Writes what is due into blocks, as long as it makes sense to go on; false: something is left, and the next turn tries
   * it again.
   */
  flush(goesOn?: () => boolean): Promise<boolean>
  /** In place of it where another controller writes: forgets what that one has written. */
  follow(): Promise<void>
  /** From when on the stream has what is not in blocks, milliseconds since the epoch: where to begin. */
  readonly replayFrom: number
  /** What begins then or later is in the head, and what ends by then in blocks. */
  readonly headFrom: number
  counts(): KeeperCounts
}

export interface KeeperCounts {
  readonly messages: number
  readonly bytes: number
  /** Messages that nobody could read. */
  readonly malformed: number
  readonly blocksWritten: number
  readonly bytesWritten: number
}

export interface KeeperOptions {
  readonly blocks: BlockStore
  readonly head: Head
  readonly now: () => number
  readonly logger: Pick<Logger, 'warn'>
  /** Called after each owner with how long it took, so that others have their turn. */
  readonly rest?: (milliseconds: number) => Promise<unknown>
}

export async function createMetricsKeeper({ blocks, head, now, logger, rest }: KeeperOptions): Promise<MetricsKeeper> {
  let stored = await blocks.readProgress()
  const progress = (): Progress => stored.progress ?? { flushedUntil: 0, arrivedUntil: 0 }
  let arrivedUntil = progress().arrivedUntil
  const counts = { messages: 0, bytes: 0, malformed: 0, blocksWritten: 0, bytesWritten: 0 }

  /** Flushes one owner; what comes meanwhile is for the next turn. */
  async function flushOne(block: HeadBlock, flushing: Omit<Flushing, 'fresh'>): Promise<boolean> {
    const { dirtyUntil } = block
    block.dirtyUntil = null
    try {
      counts.bytesWritten += await flushOwner(blocks, { ...flushing, fresh: block.series })
      counts.blocksWritten++
      return true
    } catch (cause) {
      block.dirtyUntil ??= dirtyUntil
      const from = new Date(flushing.start).toISOString()
      logger.warn({ err: cause, owner: flushing.owner, from }, 'measures wait to be written')
      return false
    }
  }

  /** Records how far blocks go, unless another controller has got further. */
  async function record(next: Progress): Promise<void> {
    const isMuch = next.arrivedUntil - progress().arrivedUntil >= recordMilliseconds
    if (next.flushedUntil === progress().flushedUntil && !isMuch) return
    await blocks.writeProgress(next, stored.revision)
    stored = await blocks.readProgress()
  }

  const forget = () => head.forget(progress().flushedUntil - pieceMilliseconds)

  return {
    get replayFrom() {
      const { flushedUntil, arrivedUntil: until } = progress()
      return Math.max(0, Math.min(flushedUntil - aheadSecondsMaximum * 1000, until))
    },
    get headFrom() {
      return progress().flushedUntil
    },
    counts: () => ({ ...counts }),
    take({ subject, data, storedAt }) {
      counts.messages++
      counts.bytes += data.length
      arrivedUntil = Math.max(arrivedUntil, storedAt)
      const batch = decodePoints(subject, data)
      if (batch === undefined) counts.malformed++
      else head.accept(batch, now(), storedAt)
    },
    async flush(goesOn = () => true) {
      const until = arrivedUntil
      const closedUntil = Math.max(startOfBlock(readingsTier, now() - graceSeconds * 1000), progress().flushedUntil)
      let isWhole = true
      for (const start of [...head.blocks.keys()].toSorted((a, b) => a - b)) {
        // In order: the first rates of a piece rest on the last readings of the one before.
        if (start >= closedUntil || !isWhole) break
        const isLast = start + pieceMilliseconds === closedUntil
        for (const [owner, block] of head.blocks.get(start) ?? []) {
          if (!goesOn()) return false
          if (block.dirtyUntil === null) continue
          const begun = performance.now()
          isWhole = (await flushOne(block, { owner, start, isLast })) && isWhole
          await rest?.(performance.now() - begun)
        }
      }
      if (isWhole) await record({ flushedUntil: closedUntil, arrivedUntil: until })
      forget()
      return isWhole
    },
    async follow() {
      stored = await blocks.readProgress()
      const { flushedUntil, arrivedUntil: until } = progress()
      for (const [start, ofPiece] of head.blocks) {
        if (start >= flushedUntil) continue
        for (const block of ofPiece.values()) if ((block.dirtyUntil ?? 0) <= until) block.dirtyUntil = null
      }
      forget()
    },
  }
}
