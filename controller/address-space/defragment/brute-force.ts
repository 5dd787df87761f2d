/**
 * The planners' questions answered the slow way, by trying every set of shards and moving its holders one shard after the
 * other: what tests and the bench compare the planners with. Pure; for a dozen shards at most.
 */

import { contains, overlaps, sizeOf } from '../cidr.ts'
import type { DefragmentationQuestion } from './plan-defragmentation.ts'
import type { SpaceShard } from './space-shard.ts'

/** Every set is looked at, and there are two to the power of this many. */
export const bruteForceShardsMaximum = 12

export interface BruteForceBlock {
  readonly moves: number
  readonly shards: number
  /** The block's first address. */
  readonly first: number
}

/** Null: whichever shards are emptied, no such block is free. */
export function defragmentByBruteForce({
  area,
  sizeAddresses,
  shards,
}: DefragmentationQuestion): BruteForceBlock | null {
  const movable = shards.filter(
    ({ block, status, isHeldByOthers }) =>
      contains(area, block) &&
      sizeOf(block) <= sizeAddresses &&
      isHeldByOthers !== true &&
      (status === 'in-use' || status === 'available'),
  )
  let best: BruteForceBlock | null = null
  for (const emptied of listSubsets(movable)) {
    if (!canEmpty(emptied, shards)) continue
    const first = findFree(
      area.first,
      sizeOf(area),
      sizeAddresses,
      shards.filter((shard) => !emptied.includes(shard)),
    )
    if (first === null) continue
    const found = { moves: countHolders(emptied), shards: emptied.length, first }
    if (best === null || compare(found, best) < 0) best = found
  }
  return best
}

/** How many shards of a network can be emptied at most, one being kept, and with how few moves. */
export function compactByBruteForce(
  networkId: string,
  shards: readonly SpaceShard[],
): { readonly shards: number; readonly moves: number } {
  const open = shards.filter((shard) => shard.networkId === networkId && shard.status === 'in-use')
  let best = { shards: 0, moves: 0 }
  for (const emptied of listSubsets(open)) {
    const isFixed = emptied.some(({ isHeldByOthers }) => isHeldByOthers === true)
    if (isFixed || emptied.length === open.length || !canEmpty(emptied, shards)) continue
    const moves = countHolders(emptied)
    const isBetter = emptied.length > best.shards || (emptied.length === best.shards && moves < best.moves)
    if (isBetter) best = { shards: emptied.length, moves }
  }
  return best
}

const compare = (a: BruteForceBlock, b: BruteForceBlock) =>
  a.moves - b.moves || a.shards - b.shards || a.first - b.first

const countHolders = (shards: readonly SpaceShard[]) => shards.reduce((sum, { holders }) => sum + holders, 0)

function* listSubsets(shards: readonly SpaceShard[]): Generator<readonly SpaceShard[]> {
  if (shards.length > bruteForceShardsMaximum) throw new Error(`BUG: ${shards.length} shards are too many to try all`)
  for (let set = 0; set < 2 ** shards.length; set++) yield shards.filter((_, i) => (set >> i) % 2 === 1)
}

/** Into one shard after the other; those who are leaving migrating shards of the same networks want an address as well. */
function canEmpty(emptied: readonly SpaceShard[], shards: readonly SpaceShard[]): boolean {
  const networks = new Set(emptied.map(({ networkId }) => networkId))
  const targets = shards
    .filter((shard) => shard.status === 'in-use' && !emptied.includes(shard))
    .map(({ networkId, freeAddresses }) => ({ networkId, freeAddresses }))
  const leaving = shards.filter(
    (shard) => emptied.includes(shard) || (shard.status === 'migrating' && networks.has(shard.networkId)),
  )
  for (const { networkId, holders } of leaving) {
    let left = holders
    for (const target of targets) {
      if (target.networkId !== networkId) continue
      const taken = Math.min(left, target.freeAddresses)
      target.freeAddresses -= taken
      left -= taken
    }
    if (left > 0) return false
  }
  return true
}

/** The lowest aligned place that no shard reaches into. */
function findFree(first: number, size: number, wanted: number, shards: readonly SpaceShard[]): number | null {
  for (let place = first; place + wanted <= first + size; place += wanted) {
    const block = { first: place, prefixLength: 32 - Math.log2(wanted) }
    if (!shards.some((shard) => overlaps(shard.block, block))) return place
  }
  return null
}
