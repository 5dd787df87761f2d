/**
 * Sends points to NATS in batches, in order, each until it is stored, and holds them back within a bound while nobody is
 * there. What it drops it counts. Touches nothing but what it is given.
 */

import {
  batchPointsMaximum,
  encodePoints,
  type Point,
  type PointOrigin,
  pointSubject,
  pointsHeldSecondsMaximum,
} from './points.ts'

export interface PointMessage {
  /** The same each time it is sent, so that it is stored once even where an answer was lost. */
  readonly id: string
  readonly subject: string
  readonly payload: Uint8Array
}

export interface PointSender {
  /** Puts them at the end of what waits. */
  add(origin: PointOrigin, points: readonly Point[]): void
  /** Sends what waits, oldest first, until all is stored or one can't be; resolves then. One at a time. */
  flush(): Promise<void>
  counts(): PointCounts
}

export interface PointCounts {
  /** Points that NATS has stored, and such as were dropped, since the program began. */
  readonly sent: number
  readonly dropped: number
  /** Points that wait. */
  readonly waiting: number
}

export interface PointSenderOptions {
  /** What begins the ids of messages: of this program and this run of it alone. */
  readonly idPrefix: string
  /** Rejects unless it is stored. */
  readonly send: (message: PointMessage) => Promise<void>
  /** Milliseconds, by a clock that never jumps. */
  readonly now: () => number
  readonly log: (fields: Record<string, unknown>, message: string) => void
}

/** Of what waits, packed: ten minutes of a host with a thousand instances are less. */
export const heldBytesMaximum = 64 * 1024 * 1024

interface Held extends PointMessage {
  readonly count: number
  readonly at: number
}

export function createPointSender({ idPrefix, send, now, log }: PointSenderOptions): PointSender {
  let held: Held[] = []
  let heldBytes = 0
  let number = 0
  let sent = 0
  let dropped = 0
  let droppedSince = 0
  let flushing: Promise<void> | undefined

  /** The oldest go: what is new says more about now, and is all that rollups of the present need. */
  const dropOld = () => {
    const oldest = now() - 1000 * pointsHeldSecondsMaximum
    while (held[0] !== undefined && (held[0].at < oldest || heldBytes > heldBytesMaximum)) {
      const [old] = held
      held = held.slice(1)
      heldBytes -= old.payload.byteLength
      dropped += old.count
      if (droppedSince === 0) log({ error: `${old.count} points` }, 'NATS is away for so long that points are dropped')
      droppedSince += old.count
    }
  }

  const sendAll = async () => {
    for (;;) {
      const [next] = held
      if (next === undefined) break
      try {
        await send(next)
      } catch {
        // Nobody is there, or nobody keeps points yet. The next flush is the next attempt.
        return
      }
      // While it was under way it may have been dropped, and then has been counted.
      if (held[0] !== next) continue
      held = held.slice(1)
      heldBytes -= next.payload.byteLength
      sent += next.count
    }
    if (droppedSince > 0) log({ points: droppedSince }, 'points are kept again; these were dropped')
    droppedSince = 0
  }

  return {
    add(origin, points) {
      for (let start = 0; start < points.length; start += batchPointsMaximum) {
        const batch = points.slice(start, start + batchPointsMaximum)
        number += 1
        const payload = encodePoints(batch)
        held.push({
          id: `${idPrefix}.${number}`,
          subject: pointSubject(origin),
          payload,
          count: batch.length,
          at: now(),
        })
        heldBytes += payload.byteLength
      }
      dropOld()
    },
    flush() {
      flushing ??= sendAll().finally(() => {
        flushing = undefined
      })
      return flushing
    },
    counts: () => ({ sent, dropped, waiting: held.reduce((total, { count }) => total + count, 0) }),
  }
}
