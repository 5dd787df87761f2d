/**
 * The peer of the planner: what one would do without one. The emptiest shards are emptied in order, each into the first
 * shards of its network that have room, until a block of the wanted size is free. Pure.
 */

import { type Block, listFreeBlocks, overlaps, sizeOf } from '../../controller/address-space/cidr.ts'
import type { DefragmentationQuestion } from '../../controller/address-space/defragment/plan-defragmentation.ts'
import type { SpaceShard } from '../../controller/address-space/defragment/space-shard.ts'

export interface FirstFitResult {
  readonly isFreed: boolean
  /** Those who were moved twice count twice. */
  readonly moves: number
  readonly shardsEmptied: number
}

interface Placed {
  readonly shard: SpaceShard
  holders: number
  freeAddresses: number
}

export function evacuateFirstFit({ area, sizeAddresses, shards }: DefragmentationQuestion): FirstFitResult {
  let left: Placed[] = shards.map((shard) => ({
    shard,
    holders: shard.holders,
    freeAddresses: shard.freeAddresses,
  }))
  const emptiestFirst = shards
    .filter(({ status, block, isHeldByOthers }) => {
      const isMovable = (status === 'in-use' || status === 'available') && isHeldByOthers !== true
      return isMovable && overlaps(block, area) && sizeOf(block) <= sizeAddresses
    })
    .toSorted((a, b) => a.holders - b.holders || a.block.first - b.block.first)
  let moves = 0
  let shardsEmptied = 0
  for (const { id } of emptiestFirst) {
    if (isFree(area, left, sizeAddresses)) break
    const leaving = left.find(({ shard }) => shard.id === id)
    if (leaving === undefined) continue
    const others = left.filter((one) => one !== leaving)
    if (!moveInto(others, leaving)) continue
    moves += leaving.holders
    shardsEmptied++
    left = others
  }
  return { isFreed: isFree(area, left, sizeAddresses), moves, shardsEmptied }
}

function isFree(area: Block, left: readonly Placed[], sizeAddresses: number): boolean {
  const blocks = left.map(({ shard }) => shard.block)
  return listFreeBlocks(area, blocks).some((block) => sizeOf(block) >= sizeAddresses)
}

/** False: they don't fit, and nobody was moved. */
export function moveInto(others: readonly Placed[], { shard, holders }: Placed): boolean {
  const targets = others.filter((one) => one.shard.status === 'in-use' && one.shard.networkId === shard.networkId)
  if (targets.reduce((sum, { freeAddresses }) => sum + freeAddresses, 0) < holders) return false
  let waiting = holders
  for (const target of targets) {
    const moved = Math.min(waiting, target.freeAddresses)
    target.freeAddresses -= moved
    target.holders += moved
    waiting -= moved
  }
  return true
}

/** Whether a plan, carried out, frees that block: every holder finds a place, and no shard is left in it. */
export function carryOut(shards: readonly SpaceShard[], emptied: ReadonlySet<string>, block: Block): boolean {
  const placed = shards.map((shard) => ({
    shard,
    holders: shard.holders,
    freeAddresses: shard.freeAddresses,
  }))
  const others = placed.filter(({ shard }) => !emptied.has(shard.id))
  const leaving = placed.filter(({ shard }) => emptied.has(shard.id))
  return leaving.every((one) => moveInto(others, one)) && !others.some(({ shard }) => overlaps(shard.block, block))
}
