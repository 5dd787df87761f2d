/**
 * The greatest load of each balancer of late, in memory: what scale-in rests on. A gap in what is known begins it anew, so
 * that nothing is taken away on missing data, nor by a controller that has only just begun.
 */

import { type BalancerLoad, maxLevels } from './balancer-load.ts'
import type { LoadLevels } from './decide-scaling.ts'

export interface LoadHistory {
  /** Keeps so much of the past as that; `now` in milliseconds since the epoch. */
  note(loadBalancerId: string, load: BalancerLoad, keepSeconds: number, now: number): void
  /** Null: not known for so long without a gap. */
  peak(loadBalancerId: string, seconds: number, now: number): LoadLevels | null
  /** Forgets all but these. */
  keep(loadBalancerIds: ReadonlySet<string>): void
}

/** So many pieces of the past, each with its greatest load. */
const piecesPerWindow = 60
/** Longer than turns of the loop are apart, on a busy machine too. */
const gapMilliseconds = 15_000

interface Piece {
  readonly since: number
  readonly levels: LoadLevels
}

interface Past {
  pieces: Piece[]
  notedAt: number
}

export function createLoadHistory(): LoadHistory {
  const pasts = new Map<string, Past>()
  return {
    note(id, { levels, isComplete }, keepSeconds, now) {
      if (!isComplete) {
        pasts.delete(id)
        return
      }
      const known = pasts.get(id)
      const past: Past =
        known === undefined || now - known.notedAt > gapMilliseconds ? { pieces: [], notedAt: now } : known
      const pieceMilliseconds = (keepSeconds * 1000) / piecesPerWindow
      const last = past.pieces.at(-1)
      if (last !== undefined && now - last.since < pieceMilliseconds) {
        past.pieces[past.pieces.length - 1] = { since: last.since, levels: maxLevels([last.levels, levels]) }
      } else past.pieces.push({ since: now, levels })
      past.notedAt = now
      const kept = now - keepSeconds * 1000
      // The first that is kept reaches back beyond the window.
      const first = past.pieces.findLastIndex(({ since }) => since <= kept)
      past.pieces.splice(0, Math.max(0, first))
      pasts.set(id, past)
    },
    peak(id, seconds, now) {
      const past = pasts.get(id)
      const [oldest] = past?.pieces ?? []
      if (past === undefined || oldest === undefined || oldest.since > now - seconds * 1000) return null
      return maxLevels(past.pieces.map(({ levels }) => levels))
    },
    keep(ids) {
      for (const id of [...pasts.keys()]) if (!ids.has(id)) pasts.delete(id)
    },
  }
}
