/**
 * Ids in their order, kept in pieces of a bounded size: to put one in or take one out moves the ids of its piece, and so
 * costs about the same among a million as among a thousand. What is put in finds its place when somebody reads next, as
 * most is written far more often than it is listed. Touches nothing else.
 */

export interface SortedIds {
  /** It must not be there yet. */
  add(id: string): void
  delete(id: string): void
  /** Those at or after `from`, after `after` and before `to`, lowest first, at most `limit`; what is left out bounds nothing. */
  collect(range?: IdRange): readonly string[]
}

export interface IdRange {
  readonly from?: string | undefined
  readonly after?: string | undefined
  readonly to?: string | undefined
  readonly limit?: number | undefined
}

/** A piece that grows beyond it is cut in two. */
export const pieceIdsMaximum = 1024

export function createSortedIds(): SortedIds {
  /** None is empty, and all ids of one come before those of the next. */
  const pieces: string[][] = []
  /** Put in since somebody read last. */
  const added = new Set<string>()

  /** The last piece that begins at or before the id: the one that it is in, or belongs in; else the first. */
  function findPiece(id: string): number {
    let low = 0
    let high = pieces.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((pieces[middle]?.[0] ?? '') <= id) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }

  function place(id: string): void {
    const number = findPiece(id)
    const piece = pieces[number]
    if (piece === undefined) {
      pieces.push([id])
      return
    }
    piece.splice(findPlace(piece, id), 0, id)
    if (piece.length > pieceIdsMaximum) pieces.splice(number + 1, 0, piece.splice(pieceIdsMaximum >> 1))
  }

  return {
    add: (id) => void added.add(id),

    delete(id) {
      if (added.delete(id)) return
      const number = findPiece(id)
      const piece = pieces[number]
      const i = piece === undefined ? 0 : findPlace(piece, id)
      if (piece === undefined || piece[i] !== id) return
      piece.splice(i, 1)
      if (piece.length === 0) pieces.splice(number, 1)
    },

    collect({ from = '', after, to, limit = Number.POSITIVE_INFINITY } = {}) {
      for (const id of added) place(id)
      added.clear()
      const first = after !== undefined && after > from ? after : from
      const ids: string[] = []
      for (let number = findPiece(first); number < pieces.length; number++) {
        const piece = pieces[number] ?? []
        for (let i = findPlace(piece, first); i < piece.length; i++) {
          const id = piece[i] ?? ''
          if ((to !== undefined && id >= to) || ids.length >= limit) return ids
          if (id !== after) ids.push(id)
        }
      }
      return ids
    },
  }
}

/** The index of the first id that is not below `id`. */
function findPlace(ids: readonly string[], id: string): number {
  let low = 0
  let high = ids.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ids[middle] ?? '') < id) low = middle + 1
    else high = middle
  }
  return low
}
