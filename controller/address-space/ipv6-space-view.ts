/**
 * An IPv6 pool's space: its /64s and what is free of it. Sizes are as exact as a power of two is in a number; what says
 * how much a /64 is used is how many hold an address of it. Reads the store, from memory at this very moment.
 */

import type { PoolSpace, ShardSpace } from '../contract/space.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { networkKind, type PoolValue, type ShardValue, shardKind, shardOccupancyKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import { sizeOfCidr } from './cidr.ts'
import { formatIpv6Block, ipv6BlockOf, listFreeIpv6Blocks } from './cidr-ipv6.ts'
import { statusOfShard } from './shard-occupancy.ts'
import { addressesNeverGiven } from './taken-bitmap.ts'

type ReadContext = Pick<ControllerContext, 'store' | 'now'>

export function viewIpv6PoolSpace(context: ReadContext, { id, value }: StoredObject<PoolValue>): PoolSpace {
  const { name, projectId, cidr } = value
  const shards = context.store
    .snapshot(shardKind, projectId)
    .filter((shard) => shard.value.poolId === id)
    .toSorted((a, b) => (ipv6BlockOf(a.value.cidr).first < ipv6BlockOf(b.value.cidr).first ? -1 : 1))
  const cuts = shards.map((shard) => ipv6BlockOf(shard.value.cidr))
  const freeBlocks = listFreeIpv6Blocks(ipv6BlockOf(cidr), cuts).map((block) => {
    const free = formatIpv6Block(block)
    return { cidr: free, sizeAddresses: sizeOfCidr(free) }
  })
  const viewed = viewShards(context, projectId, shards)
  const heldAddresses = sum(viewed.map((shard) => shard.heldAddresses))
  const freeAddresses = sum(freeBlocks.map(({ sizeAddresses }) => sizeAddresses))
  return {
    poolId: id,
    name,
    cidr,
    sizeAddresses: sizeOfCidr(cidr),
    cutAddresses: sum(viewed.map(({ sizeAddresses }) => sizeAddresses)),
    freeAddresses,
    heldAddresses,
    utilization: 0,
    largestFreeAddresses: Math.max(0, ...freeBlocks.map(({ sizeAddresses }) => sizeAddresses)),
    // Every shard is a /64, and any free one is as good as another.
    fragmentation: 0,
    freeBlocks,
    shards: viewed,
  }
}

function viewShards(
  { store, now }: ReadContext,
  projectId: string,
  shards: readonly StoredObject<ShardValue>[],
): ShardSpace[] {
  const occupancies = new Map(store.snapshot(shardOccupancyKind, projectId).map((object) => [object.id, object.value]))
  const networks = new Map(store.snapshot(networkKind, projectId).map((object) => [object.id, object.value.name]))
  return shards.map(({ id, value }) => {
    const { name, cidr, networkId } = value
    const sizeAddresses = sizeOfCidr(cidr)
    const occupancy = occupancies.get(id)
    const heldAddresses = occupancy?.resourceCount ?? 0
    const quarantined = occupancy?.quarantined?.filter(({ until }) => Date.parse(until) > now()) ?? []
    return {
      id,
      name,
      cidr,
      sizeAddresses,
      status: statusOfShard(value),
      networkId,
      networkName: networkId === null ? null : (networks.get(networkId) ?? null),
      heldAddresses,
      quarantinedAddresses: quarantined.length,
      freeAddresses: sizeAddresses - addressesNeverGiven - heldAddresses - quarantined.length,
      utilization: 0,
      cellAddresses: sizeAddresses,
      heldByCell: [heldAddresses],
    }
  })
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
