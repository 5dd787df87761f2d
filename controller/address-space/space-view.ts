/**
 * A pool's space as a picture: its shards and free blocks, how full each is, how much of what is free is in one piece.
 * Reads the store, from memory at this very moment.
 */

import { cellsMaximum, type PoolSpace, type ShardSpace } from '../contract/space.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { networkKind, type PoolValue, type ShardOccupancyValue, shardKind, shardOccupancyKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import { type AddressRange, createKeptBitmap, listKeptRanges } from './address-policy.ts'
import { type Block, blockOf, formatBlock, isIpv6, listFreeBlocks, sizeOf } from './cidr.ts'
import type { SpaceShard } from './defragment/space-shard.ts'
import { readPolicy } from './read-policy.ts'
import { statusOfShard } from './shard-occupancy.ts'
import { addressesNeverGiven, countTaken, createTakenBitmap, decodeBitmap, isTaken, setTaken } from './taken-bitmap.ts'

type ReadContext = Pick<ControllerContext, 'store' | 'now'>

export interface ViewedShard extends SpaceShard {
  readonly name: string
  readonly poolId: string
  readonly networkName: string | null
  readonly quarantinedAddresses: number
  /** One bit an address, set where a machine or an instance holds it. */
  readonly held: Uint8Array
}

/** All shards of a project that are of IPv4, in the order of their addresses. */
export function listViewedShards({ store, now }: ReadContext, projectId: string): readonly ViewedShard[] {
  const occupancies = new Map(store.snapshot(shardOccupancyKind, projectId).map(({ id, value }) => [id, value]))
  const networks = new Map(
    store
      .snapshot(networkKind, projectId)
      .map(({ id, value }) => [id, { name: value.name, keptRanges: listKeptRanges(readPolicy(store, id)) }]),
  )
  return store
    .snapshot(shardKind, projectId)
    .filter(({ value }) => value.projectId === projectId && !isIpv6(value.cidr))
    .map(({ id, value }): ViewedShard => {
      const network = value.networkId === null ? undefined : networks.get(value.networkId)
      const occupancy = occupancies.get(id)
      return {
        id,
        name: value.name,
        poolId: value.poolId,
        networkId: value.networkId,
        networkName: network?.name ?? null,
        status: statusOfShard(value),
        holders: occupancy?.resourceCount ?? 0,
        isHeldByOthers: (occupancy?.externalCount ?? 0) > 0,
        ...openShard(blockOf(value.cidr), occupancy, network?.keptRanges ?? [], now()),
      }
    })
    .toSorted((a, b) => a.block.first - b.block.first)
}

function openShard(
  block: Block,
  occupancy: ShardOccupancyValue | undefined,
  keptRanges: readonly AddressRange[],
  now: number,
): Pick<ViewedShard, 'block' | 'held' | 'quarantinedAddresses' | 'freeAddresses'> {
  const empty = createTakenBitmap(block)
  const taken = occupancy === undefined ? empty : decodeBitmap(occupancy.takenBitmap)
  const held = taken.map((byte, i) => byte & ~(empty[i] ?? 0))
  let quarantinedAddresses = 0
  for (const { offset, until } of occupancy?.quarantined ?? []) {
    setTaken(held, offset, false)
    if (Date.parse(until) > now) quarantinedAddresses++
    else setTaken(taken, offset, false)
  }
  const kept = createKeptBitmap(keptRanges, block, taken.length)
  const notGiven = kept === null ? taken : taken.map((byte, i) => byte | (kept[i] ?? 0))
  return { block, held, quarantinedAddresses, freeAddresses: sizeOf(block) - countTaken(notGiven) }
}

export function viewPoolSpace(context: ReadContext, { id, value }: StoredObject<PoolValue>): PoolSpace {
  const shards = listViewedShards(context, value.projectId).filter(({ poolId }) => poolId === id)
  const whole = blockOf(value.cidr)
  const blocks = shards.map(({ block }) => block)
  const free = listFreeBlocks(whole, blocks).map((block) => ({
    cidr: formatBlock(block),
    sizeAddresses: sizeOf(block),
  }))
  const freeAddresses = sum(free.map(({ sizeAddresses }) => sizeAddresses))
  const largestFreeAddresses = Math.max(0, ...free.map(({ sizeAddresses }) => sizeAddresses))
  const heldAddresses = sum(shards.map(({ holders }) => holders))
  return {
    poolId: id,
    name: value.name,
    cidr: value.cidr,
    sizeAddresses: sizeOf(whole),
    cutAddresses: sum(blocks.map(sizeOf)),
    freeAddresses,
    heldAddresses,
    utilization: share(heldAddresses, sum(blocks.map((block) => sizeOf(block) - addressesNeverGiven))),
    largestFreeAddresses,
    fragmentation: freeAddresses === 0 ? 0 : round(1 - largestFreeAddresses / freeAddresses),
    freeBlocks: free,
    shards: shards.map(viewShardSpace),
  }
}

function viewShardSpace(shard: ViewedShard): ShardSpace {
  const { id, name, block, status, networkId, networkName, holders, quarantinedAddresses, freeAddresses } = shard
  const cellAddresses = Math.max(1, sizeOf(block) / cellsMaximum)
  return {
    id,
    name,
    cidr: formatBlock(block),
    sizeAddresses: sizeOf(block),
    status,
    networkId,
    networkName,
    heldAddresses: holders,
    quarantinedAddresses,
    freeAddresses,
    utilization: share(holders, sizeOf(block) - addressesNeverGiven),
    cellAddresses,
    heldByCell: countByCell(shard.held, sizeOf(block), cellAddresses),
  }
}

function countByCell(held: Uint8Array, sizeAddresses: number, cellAddresses: number): number[] {
  const counts = Array.from({ length: sizeAddresses / cellAddresses }, () => 0)
  for (let offset = 0; offset < sizeAddresses; offset++) {
    const cell = Math.floor(offset / cellAddresses)
    if (isTaken(held, offset)) counts[cell] = (counts[cell] ?? 0) + 1
  }
  return counts
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
const round = (value: number) => Math.round(1e4 * value) / 1e4
const share = (part: number, whole: number) => (whole === 0 ? 0 : round(part / whole))
