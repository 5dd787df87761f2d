/**
 * Which weights of a key's factors the measured load calls for: as many bits of each factor as tell its load apart, and
 * some to grow into. Pure.
 *
 * How much a factor tells apart is its entropy given the factors before it (Shannon 1948): bits that leave it as it is
 * are all that are needed.
 */

import { clientBitsMinimum, type KeyWeights, wholeWeights } from '../key-layout.ts'
import type { ShardKey } from '../shard-key.ts'

export interface SuggestedWeights {
  readonly weights: KeyWeights
  /** Bits of information in the load: of clients, of types given the client, of hours given both. */
  readonly entropy: { readonly client: number; readonly dataType: number; readonly time: number }
}

/** What may be lost, in bits of information. */
const lossMaximum = 0.01
/** So that clients and types that come are told apart as well: for 256 times as many. */
const growthBits = 8

/** Null: nothing has been measured. */
export function suggestWeights(loads: ReadonlyMap<ShardKey, number>): SuggestedWeights | null {
  const measured = [...loads].filter(([, load]) => load > 0)
  if (measured.length === 0) return null
  const clientBits = findBits(measured, 0, wholeWeights.clientBits)
  const dataTypeBits = findBits(measured, 32, wholeWeights.dataTypeBits)
  const timeBits = findBits(measured, 48, wholeWeights.timeBits)
  const [client, type, all] = [32, 48, 64].map((bits) => entropyOf(measured, bits))
  return {
    weights: {
      clientBits: Math.max(clientBitsMinimum, grow(clientBits, wholeWeights.clientBits)),
      dataTypeBits: grow(dataTypeBits, wholeWeights.dataTypeBits),
      timeBits: grow(timeBits, wholeWeights.timeBits),
    },
    entropy: { client: client ?? 0, dataType: (type ?? 0) - (client ?? 0), time: (all ?? 0) - (type ?? 0) },
  }
}

/** A factor that tells nothing apart needs no bits, nor any to grow into. */
const grow = (bits: number, most: number) => (bits === 0 ? 0 : Math.min(most, bits + growthBits))

type Measured = readonly (readonly [ShardKey, number])[]

/** The fewest leading bits of a factor, which begins at a bit of the key, that tell as much apart as all of it. */
function findBits(measured: Measured, begin: number, size: number): number {
  const whole = entropyOf(measured, begin + size)
  let bits = 0
  while (bits < size && entropyOf(measured, begin + bits) < whole - lossMaximum) bits++
  return bits
}

/** Of the load by the leading bits of its keys. */
function entropyOf(measured: Measured, bits: number): number {
  const shift = 64n - BigInt(bits)
  const sums = new Map<bigint, number>()
  let total = 0
  for (const [key, load] of measured) {
    const prefix = BigInt(`0x${key}`) >> shift
    sums.set(prefix, (sums.get(prefix) ?? 0) + load)
    total += load
  }
  let entropy = 0
  for (const sum of sums.values()) entropy -= (sum / total) * Math.log2(sum / total)
  return entropy
}
