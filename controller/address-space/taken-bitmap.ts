/**
 * Which addresses of a shard can't be given, one bit an address: its network, gateway and broadcast address, and those
 * that are held. Pure.
 */

import { type Block, sizeOf } from './cidr.ts'

/** Never given to anyone: the network's own, the gateway (the first after it), the broadcast address (the last). */
export const addressesNeverGiven = 3

/** The bits of an empty shard. */
export function createTakenBitmap(block: Block): Uint8Array {
  const bitmap = new Uint8Array(Math.ceil(sizeOf(block) / 8))
  for (const offset of [0, 1, sizeOf(block) - 1]) setTaken(bitmap, offset, true)
  return bitmap
}

export const encodeBitmap = (bitmap: Uint8Array) => Buffer.from(bitmap).toString('base64')
export const decodeBitmap = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))

export const isTaken = (bitmap: Uint8Array, offset: number) =>
  (((bitmap[offset >> 3] ?? 0xff) >> (offset & 7)) & 1) === 1

/** Changes the bitmap that it is given. */
export function setTaken(bitmap: Uint8Array, offset: number, taken: boolean): void {
  const bit = 1 << (offset & 7)
  const byte = bitmap[offset >> 3] ?? 0
  bitmap[offset >> 3] = taken ? byte | bit : byte & ~bit
}

/** The lowest offset that can be given, at or after `from`; null: all are taken. */
export function findFree(bitmap: Uint8Array, from = 0): number | null {
  for (let byte = from >> 3; byte < bitmap.length; byte++) {
    if (bitmap[byte] === 0xff) continue
    for (let offset = Math.max(from, byte * 8); offset < byte * 8 + 8; offset++) {
      if (!isTaken(bitmap, offset)) return offset
    }
  }
  return null
}

export function countTaken(bitmap: Uint8Array): number {
  let count = 0
  for (const byte of bitmap) for (let rest = byte; rest > 0; rest &= rest - 1) count++
  return count
}
