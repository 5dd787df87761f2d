/**
 * Which addresses of a shard can't be given, one bit an address: its network, gateway and broadcast address, and those
 * that are held. Of an IPv6 shard only the first addresses have bits. Pure.
 */

import { type Block, blockOf, isIpv6, sizeOf } from './cidr.ts'

/** Never given to anyone: the network's own, the gateway (the first after it), the broadcast address (the last). */
export const addressesNeverGiven = 3

/**
 * What of a /64 has bits, counted from its first address: as many as the largest IPv4 shard has. These are given; any
 * other only when it is chosen, and then its object alone says that it is held.
 */
export const ipv6BitmapBlock: Block = { first: 0, prefixLength: 20 }

/** The bits of an empty shard of either family. */
export const createShardBitmap = (cidr: string): Uint8Array =>
  isIpv6(cidr) ? createIpv6Bitmap() : createTakenBitmap(blockOf(cidr))

/** The first is anycast, the second the gateway's. */
function createIpv6Bitmap(): Uint8Array {
  const bitmap = new Uint8Array(sizeOf(ipv6BitmapBlock) / 8)
  for (const offset of [0, 1]) setTaken(bitmap, offset, true)
  return bitmap
}

/** The bits of an empty IPv4 shard. */
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

/**
 * The lowest offset that can be given, at or after `from`; null: there is none. What is set in `kept`, a bitmap of the
 * same size, is passed over.
 */
export function findFree(bitmap: Uint8Array, from = 0, kept: Uint8Array | null = null): number | null {
  for (let byte = from >> 3; byte < bitmap.length; byte++) {
    const taken = (bitmap[byte] ?? 0xff) | (kept?.[byte] ?? 0)
    if (taken === 0xff) continue
    for (let bit = byte === from >> 3 ? from & 7 : 0; bit < 8; bit++) {
      if (((taken >> bit) & 1) === 0) return byte * 8 + bit
    }
  }
  return null
}

/** All offsets that can be given, lowest first. */
export function listFree(bitmap: Uint8Array, kept: Uint8Array | null = null): readonly number[] {
  const offsets: number[] = []
  for (let offset = findFree(bitmap, 0, kept); offset !== null; offset = findFree(bitmap, offset + 1, kept)) {
    offsets.push(offset)
  }
  return offsets
}

export function countTaken(bitmap: Uint8Array): number {
  let count = 0
  for (const byte of bitmap) for (let rest = byte; rest > 0; rest &= rest - 1) count++
  return count
}
