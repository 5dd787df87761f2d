/**
 * Random pools for tests and the bench: small ones that every set of shards can be tried on, as any chance makes them.
 * Pure: the same numbers make the same space.
 */

import { type Block, endOf, sizeOf } from '../cidr.ts'
import { addressesNeverGiven } from '../taken-bitmap.ts'
import type { SpaceShard } from './space-shard.ts'

export interface SpaceChance {
  /** A whole number from 0 to below `limit`. */
  below(limit: number): number
}

export interface RandomSpace {
  readonly area: Block
  readonly shards: readonly SpaceShard[]
}

const smallestPrefixLength = 28

/**
 * A pool of eight shards at most, of three networks at most, which have three other shards elsewhere at most. One shard
 * in eight is reserved, one in eight migrating, one in eight on no network; of the others that are held some by others.
 */
export function createRandomSpace(chance: SpaceChance): RandomSpace {
  const area = { first: 2 ** 31, prefixLength: 25 + chance.below(2) }
  const networkCount = 1 + chance.below(3)
  const inside = cutAtRandom(area, chance).map((block, i) => createShard(`shard-${i}`, block, networkCount, chance))
  const elsewhere = Array.from({ length: chance.below(networkCount + 1) }, (_, i) =>
    createShard(`elsewhere-${i}`, { first: i * 256, prefixLength: 26 + chance.below(3) }, networkCount, chance),
  )
  return { area, shards: [...inside, ...elsewhere] }
}

/** Halves again and again; of the pieces some are left free. */
function cutAtRandom(block: Block, chance: SpaceChance): readonly Block[] {
  if (block.prefixLength === smallestPrefixLength || chance.below(5) === 0) {
    return chance.below(6) === 0 ? [] : [block]
  }
  const lower = { first: block.first, prefixLength: block.prefixLength + 1 }
  return [...cutAtRandom(lower, chance), ...cutAtRandom({ ...lower, first: endOf(lower) }, chance)]
}

function createShard(id: string, block: Block, networkCount: number, chance: SpaceChance): SpaceShard {
  const kind = chance.below(8)
  if (kind === 0)
    return { id, block, networkId: null, status: 'available', holders: 0, freeAddresses: capacityOf(block) }
  const status = kind === 1 ? 'reserved' : kind === 2 ? 'migrating' : 'in-use'
  // Mostly few or nearly full, since those are what plans turn on; some addresses are in quarantine.
  const usable = capacityOf(block) - chance.below(3)
  const holders = [chance.below(4), chance.below(usable + 1), usable - chance.below(4)][chance.below(3)] ?? 0
  return {
    id,
    block,
    networkId: `network-${chance.below(networkCount)}`,
    status,
    holders,
    ...(status === 'in-use' && holders > 0 && chance.below(10) === 0 && { isHeldByOthers: true }),
    freeAddresses: usable - holders,
  }
}

const capacityOf = (block: Block) => sizeOf(block) - addressesNeverGiven
