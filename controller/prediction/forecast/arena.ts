/**
 * The state of a model as one array of numbers of fixed length, cut into named pieces: so its memory is bounded by
 * construction, and saving and restoring it is copying. Pure.
 */

export interface Arena {
  /** The next so many numbers, all of them `initial` at first. */
  take(length: number, initial?: number): Float64Array
  save(): Uint8Array
}

/** What tells one layout from another: whatever changes the meaning of a number must change one of these. */
export type Layout = readonly [format: number, ...shape: readonly number[]]

/** `saved`: undefined when it is of another format or shape, or damaged; then one begins anew. */
export function createArena(length: number, layout: Layout): Arena
export function createArena(length: number, layout: Layout, saved: Uint8Array): Arena | undefined
export function createArena(length: number, layout: Layout, saved?: Uint8Array): Arena | undefined {
  const header = [magic, layout.length, ...layout]
  const all = new Float64Array(header.length + length + 1)
  if (saved === undefined) all.set(header)
  else {
    if (saved.byteLength !== all.byteLength) return undefined
    new Uint8Array(all.buffer).set(saved)
    if (header.some((value, i) => all[i] !== value) || all.at(-1) !== sumOf(all)) return undefined
  }
  let taken = header.length
  return {
    take(count, initial = 0) {
      if (taken + count >= all.length) throw new Error(`BUG: the arena has no ${count} numbers left`)
      taken += count
      const piece = all.subarray(taken - count, taken)
      return saved === undefined ? piece.fill(initial) : piece
    },
    save() {
      all[all.length - 1] = sumOf(all)
      return new Uint8Array(all.slice().buffer)
    },
  }
}

const magic = 0x51ce

/** FNV-1a over all but the last number. */
function sumOf(all: Float64Array): number {
  const words = new Uint32Array(all.buffer, 0, 2 * (all.length - 1))
  let sum = 0x811c9dc5
  for (const word of words) sum = Math.imul(sum ^ word, 0x01000193)
  return sum >>> 0
}
