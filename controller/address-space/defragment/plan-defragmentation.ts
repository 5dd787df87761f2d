/**
 * Which shards to empty so that a block of a wanted size becomes free in a pool, with the fewest holders moved. Pure.
 *
 * It is exact: every aligned block of that size is looked at, and whether the holders fit elsewhere is one comparison of
 * sums for each network, since a network's addresses are interchangeable. Linear in the shards, not in the addresses.
 */

import { type Block, contains, listFreeBlocks, overlaps, prefixLengthOf, sizeOf } from '../cidr.ts'
import { describeEvacuation, type Evacuation, measureRoom, type SpaceShard } from './space-shard.ts'

export type Obstacle =
  | { readonly kind: 'reserved'; readonly shardId: string }
  | { readonly kind: 'migrating'; readonly shardId: string }
  /** Some of its addresses are held for what can't be moved from here. */
  | { readonly kind: 'heldByOthers'; readonly shardId: string }
  /** The block is but a part of it. */
  | { readonly kind: 'largerShard'; readonly shardId: string }
  /** The network's other shards have room for fewer than the holders that would have to move. */
  | { readonly kind: 'noRoom'; readonly networkId: string; readonly holders: number; readonly room: number }

export interface BlockedCandidate {
  /** Of the wanted size; or the larger shard, for all the blocks within it. */
  readonly block: Block
  readonly obstacles: readonly Obstacle[]
}

export type DefragmentationPlan =
  | ({ readonly kind: 'planned'; readonly block: Block } & Evacuation)
  | { readonly kind: 'impossible'; readonly candidates: readonly BlockedCandidate[] }

export interface DefragmentationQuestion {
  /** The pool, or the one block of it that is wanted. */
  readonly area: Block
  /** A power of two. */
  readonly sizeAddresses: number
  /** All shards of the project: those of other pools may have room for holders. */
  readonly shards: readonly SpaceShard[]
}

/**
 * Of equally few moves the one with fewer shards, then the lowest address. A block that is free already takes none.
 * @example planDefragmentation({ area: blockOf('10.0.0.0/20'), sizeAddresses: 1024, shards })
 */
export function planDefragmentation({ area, sizeAddresses, shards }: DefragmentationQuestion): DefragmentationPlan {
  const cut = shards.filter(({ block }) => overlaps(block, area))
  const free = findLowestFree(area, cut, sizeAddresses)
  if (free !== null) return { kind: 'planned', block: free, ...describeEvacuation([]) }
  const room = measureRoom(shards)
  const blocked: BlockedCandidate[] = []
  let best: (Candidate & { readonly moves: number }) | null = null
  for (const candidate of listCandidates(area, cut, sizeAddresses)) {
    const obstacles = listObstacles(candidate, sizeAddresses, room)
    if (obstacles.length > 0) {
      blocked.push({ block: candidate.block, obstacles })
      continue
    }
    const moves = candidate.shards.reduce((sum, { holders }) => sum + holders, 0)
    if (best === null || moves < best.moves || (moves === best.moves && candidate.shards.length < best.shards.length)) {
      best = { ...candidate, moves }
    }
  }
  if (best === null) return { kind: 'impossible', candidates: blocked }
  return { kind: 'planned', block: best.block, ...describeEvacuation(best.shards) }
}

interface Candidate {
  readonly block: Block
  readonly shards: readonly SpaceShard[]
}

function findLowestFree(area: Block, cut: readonly SpaceShard[], sizeAddresses: number): Block | null {
  const blocks = cut.map(({ block }) => block)
  const free = listFreeBlocks(area, blocks).find((one) => sizeOf(one) >= sizeAddresses)
  return free === undefined ? null : { first: free.first, prefixLength: prefixLengthOf(sizeAddresses) }
}

/** In the order of their addresses. Each has a shard in it, since none is free; those within one larger shard are one. */
function listCandidates(area: Block, cut: readonly SpaceShard[], sizeAddresses: number): readonly Candidate[] {
  if (sizeOf(area) < sizeAddresses) return []
  const prefixLength = prefixLengthOf(sizeAddresses)
  const byFirst = Map.groupBy(cut, ({ block }) => Math.max(area.first, block.first - (block.first % sizeAddresses)))
  return [...byFirst]
    .toSorted(([a], [b]) => a - b)
    .map(([first, shards]) => {
      const larger = shards.find(({ block }) => sizeOf(block) > sizeAddresses)
      if (larger === undefined) return { block: { first, prefixLength }, shards }
      return { block: contains(larger.block, area) ? area : larger.block, shards }
    })
}

function listObstacles(
  { shards }: Candidate,
  sizeAddresses: number,
  room: ReadonlyMap<string, number>,
): readonly Obstacle[] {
  const obstacles: Obstacle[] = []
  /** By network: who moves, and the room that its shards in the block don't give any more. */
  const leaving = new Map<string, { readonly holders: number; readonly freeAddresses: number }>()
  for (const { id, block, networkId, status, holders, freeAddresses, isHeldByOthers } of shards) {
    if (status === 'reserved' || status === 'migrating') obstacles.push({ kind: status, shardId: id })
    if (isHeldByOthers === true) obstacles.push({ kind: 'heldByOthers', shardId: id })
    if (sizeOf(block) > sizeAddresses) obstacles.push({ kind: 'largerShard', shardId: id })
    if (status !== 'in-use' || networkId === null) continue
    const before = leaving.get(networkId) ?? { holders: 0, freeAddresses: 0 }
    leaving.set(networkId, {
      holders: before.holders + holders,
      freeAddresses: before.freeAddresses + freeAddresses,
    })
  }
  for (const [networkId, { holders, freeAddresses }] of leaving) {
    const left = (room.get(networkId) ?? 0) - freeAddresses
    if (holders > left) obstacles.push({ kind: 'noRoom', networkId, holders, room: Math.max(0, left) })
  }
  return obstacles
}
