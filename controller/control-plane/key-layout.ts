/**
 * The weights of a key's factors: how many of the ring's 64 bits tell clients, data types and hours apart. Pure.
 *
 * An object's shard key holds each factor whole, so it never changes, and follows from its id. Where on the ring that
 * lies is the key seen through a layout: the leading bits of each factor, one factor after the other. Layouts are
 * numbered; while the ring goes over from one to the next, each microshard tells by which its arc is meant.
 */

import type { ShardKey } from './shard-key.ts'

export interface KeyLayout {
  readonly version: number
  readonly clientBits: number
  readonly dataTypeBits: number
  readonly timeBits: number
}

/** What a layout gives each factor; its version is its place in a row. */
export type KeyWeights = Omit<KeyLayout, 'version'>

/** All that a shard key holds. */
export const wholeWeights: KeyWeights = { clientBits: 32, dataTypeBits: 16, timeBits: 16 }
export const firstKeyLayout: KeyLayout = { version: 1, ...wholeWeights }
/** Fewer bits would leave neighbours that no boundary between two layouts can lie between. */
export const clientBitsMinimum = 8
/** Older ones are forgotten. */
export const keyLayoutsMaximum = 8

const pointBits = 64n

/** Where a shard key lies on the ring. */
export function pointOf(layout: KeyLayout, shardKey: ShardKey): ShardKey {
  const { clientBits, dataTypeBits, timeBits } = layout
  // Most of the time: the key is the point.
  if (clientBits === 32 && dataTypeBits === 16 && timeBits === 16) return shardKey
  const whole = BigInt(`0x${shardKey}`)
  const factors = [
    { value: whole >> 32n, size: 32n, bits: BigInt(clientBits) },
    { value: (whole >> 16n) & 0xffffn, size: 16n, bits: BigInt(dataTypeBits) },
    { value: whole & 0xffffn, size: 16n, bits: BigInt(timeBits) },
  ]
  let [point, left] = [0n, pointBits]
  for (const { value, size, bits } of factors) {
    left -= bits
    point |= (value >> (size - bits)) << left
  }
  return toPoint(point)
}

export const toPoint = (point: bigint): ShardKey => point.toString(16).padStart(16, '0')

/**
 * The first point at or after this one at which two layouts can meet: nothing of a client lies on both sides of it,
 * whichever of them it is seen through. Null: there is none before the ring ends.
 */
export function alignUp(point: ShardKey, layouts: readonly KeyLayout[]): ShardKey | null {
  const shared = BigInt(Math.min(...layouts.map(({ clientBits }) => clientBits)))
  const step = 1n << (pointBits - shared)
  const aligned = ((BigInt(`0x${point}`) + step - 1n) / step) * step
  return aligned >> pointBits === 0n ? toPoint(aligned) : null
}
