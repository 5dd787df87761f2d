/**
 * What the policies of address space ask to be done now: networks that are nearly full get another shard, and shards that
 * nobody has used for a while are given back. Pure.
 */

import { type AddressPolicy, shardSizes } from '../contract/address-space.ts'
import type { StoredObject } from '../control-plane/store.ts'
import type { NetworkValue, ShardOccupancyValue, ShardValue } from '../objects.ts'
import { listKeptRanges } from './address-policy.ts'
import { addressOf, blockOf, containsAddress, findBestFit, isIpv6, prefixLengthOf, sizeOfCidr } from './cidr.ts'
import { openShard } from './draft-space.ts'
import { createTakenBitmap, listFree } from './taken-bitmap.ts'

export interface PolicyShard {
  readonly shard: StoredObject<ShardValue>
  readonly occupancy: ShardOccupancyValue
}

export interface PolicyNetwork {
  readonly network: StoredObject<NetworkValue>
  /** The effective one. */
  readonly policy: AddressPolicy
  /** Its own, in the order in which they were made. */
  readonly shards: readonly PolicyShard[]
  /** Of its project, in the order in which they were made, with what is cut from each. */
  readonly pools: readonly { readonly id: string; readonly cidr: string; readonly cuts: readonly string[] }[]
}

export type PolicyOperation =
  | {
      readonly kind: 'grow'
      readonly networkId: string
      readonly projectId: string
      readonly poolId: string
      readonly sizeAddresses: (typeof shardSizes)[number]
      readonly utilization: number
      /** The network's shards as they were seen: the same growth is done once, whoever does it. */
      readonly shards: readonly StoredObject<ShardValue>[]
    }
  | {
      readonly kind: 'giveBack'
      readonly networkId: string
      readonly shard: StoredObject<ShardValue>
      readonly emptySince: string
    }
  /** It should grow, and no pool that it may have shards of has room for the smallest. */
  | { readonly kind: 'reportNoRoom'; readonly networkId: string; readonly utilization: number }

/** At most one operation a network: the next turn sees what it has changed. */
export function planPolicies(networks: readonly PolicyNetwork[], now: number): readonly PolicyOperation[] {
  return networks.flatMap((network) => {
    const uses = measureUses(network, now)
    return planGrowth(network, uses) ?? planGivingBack(network, uses, now) ?? []
  })
}

/** Of the addresses that a shard gives without being asked for one of them: how many there are, and how many it can give now. */
interface Use {
  readonly capacity: number
  readonly free: number
}
type Uses = ReadonlyMap<PolicyShard, Use>

function measureUses({ policy, shards }: PolicyNetwork, now: number): Uses {
  if (policy.growAtUtilization === undefined) return new Map()
  const ranges = listKeptRanges(policy)
  return new Map(
    shards.filter(isGiving).map((one) => {
      const { block, bitmap, kept } = openShard(one.shard, one.occupancy, ranges, now)
      const capacity = listFree(createTakenBitmap(block), kept).length
      return [one, { capacity, free: listFree(bitmap, kept).length }]
    }),
  )
}

/** A /64 is never full, so that growing and giving back is for IPv4 alone. */
const isGiving = ({ shard: { value } }: PolicyShard) =>
  !isIpv6(value.cidr) && !value.reserved && value.migrationId === undefined

/** 1 when there is nothing to give at all. */
function utilizationOf(uses: Iterable<Use>): number {
  let capacity = 0
  let free = 0
  for (const use of uses) {
    capacity += use.capacity
    free += use.free
  }
  return capacity === 0 ? 1 : Math.round((1e4 * (capacity - free)) / capacity) / 1e4
}

/** A network without a shard is left alone: it may be about to be deleted. `maximumShards` is of all of them. */
function planGrowth(space: PolicyNetwork, uses: Uses): PolicyOperation | null {
  const { network, policy, shards } = space
  const { growAtUtilization, maximumShards } = policy
  if (growAtUtilization === undefined || !shards.some(({ shard }) => !isIpv6(shard.value.cidr))) return null
  if (maximumShards !== undefined && shards.length >= maximumShards) return null
  const utilization = utilizationOf(uses.values())
  if (utilization < growAtUtilization) return null
  const networkId = network.id
  const place = findPlace(space)
  if (place === null) return { kind: 'reportNoRoom', networkId, utilization }
  const { projectId } = network.value
  return { kind: 'grow', networkId, projectId, ...place, utilization, shards: shards.map(({ shard }) => shard) }
}

/** The first pool that has room for the wanted size, or else for the largest that any has room for. */
function findPlace({ policy, shards, pools }: PolicyNetwork) {
  const allowed = pools.filter(({ id, cidr }) => !isIpv6(cidr) && (policy.poolIds?.includes(id) ?? true))
  const most =
    policy.growSizeAddresses ??
    shards.reduce<number>((sum, { shard: { value } }) => (isIpv6(value.cidr) ? sum : sum + sizeOfCidr(value.cidr)), 0)
  for (const sizeAddresses of shardSizes.filter((size) => size <= most).toReversed()) {
    const pool = allowed.find(
      ({ cidr, cuts }) => findBestFit(blockOf(cidr), cuts.map(blockOf), prefixLengthOf(sizeAddresses)) !== null,
    )
    if (pool !== undefined) return { poolId: pool.id, sizeAddresses }
  }
  return null
}

/** The youngest that has been empty for long enough; never the last that gives, nor one that would be missed at once. */
function planGivingBack({ network, policy, shards }: PolicyNetwork, uses: Uses, now: number): PolicyOperation | null {
  const { giveBackAfterSeconds, growAtUtilization } = policy
  if (giveBackAfterSeconds === undefined) return null
  // Whoever moves away from a shard has been promised room in the others.
  if (shards.some(({ shard }) => shard.value.migrationId !== undefined)) return null
  for (const candidate of shards.toReversed()) {
    if (!isGiving(candidate) || isNeeded(candidate, policy, now)) continue
    const emptySince = emptySinceOf(candidate)
    if (now - Date.parse(emptySince) < giveBackAfterSeconds * 1000) continue
    if (!shards.some((other) => other !== candidate && isGiving(other))) continue
    const others = [...uses].flatMap(([other, use]) => (other === candidate ? [] : [use]))
    if (growAtUtilization !== undefined && utilizationOf(others) >= growAtUtilization) continue
    return { kind: 'giveBack', networkId: network.id, shard: candidate.shard, emptySince }
  }
  return null
}

/** Held, in quarantine, or kept for a machine. */
function isNeeded({ shard, occupancy }: PolicyShard, { pinnedAddresses = [] }: AddressPolicy, now: number): boolean {
  if (occupancy.resourceCount > 0) return true
  if (occupancy.quarantined?.some(({ until }) => Date.parse(until) > now) === true) return true
  const block = blockOf(shard.value.cidr)
  return pinnedAddresses.some(({ address }) => containsAddress(block, addressOf(address)))
}

/** Its last release, or when it was allocated to the network, whichever came last. */
function emptySinceOf({ shard, occupancy: { lastAccessedAt } }: PolicyShard): string {
  if (lastAccessedAt === null) return shard.updatedAt
  return Date.parse(lastAccessedAt) > Date.parse(shard.updatedAt) ? lastAccessedAt : shard.updatedAt
}
