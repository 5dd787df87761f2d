/**
 * Shards and the records of what is held in them, in the orders in which addresses are given out of them. Each change
 * costs a binary search, so that an allocation costs the same however many shards there are. Reads the store.
 */

import type { Store, StoredObject } from '../control-plane/store.ts'
import { type ShardOccupancyValue, type ShardValue, shardKind, shardOccupancyKind } from '../objects.ts'
import { addressOf, isIpv6, sizeOfCidr } from './cidr.ts'
import { cidrHasAddress } from './cidr-families.ts'
import { addressesNeverGiven } from './taken-bitmap.ts'

export type Shard = StoredObject<ShardValue>
type Occupancy = StoredObject<ShardOccupancyValue>

export interface LastGiven {
  readonly shardId: string
  readonly offset: number
  readonly turn: number
}

/** A network's, or one of them alone. */
export interface NetworkShards {
  /** Of both families, in the order in which they were made. */
  readonly all: readonly Shard[]
  /** Of IPv4 unless it is one that was asked for: those that are open and not all held, in the order in which they were made. */
  readonly giving: readonly Shard[]
  /** The same, the one with the smallest share of held addresses first; of equals the one that was made first. */
  readonly byShare: readonly Shard[]
  /** Where addresses are given in sequence, the last one. */
  readonly lastGiven: LastGiven | null
  /** Of the largest one that gives. */
  readonly capacityMost: number
}

export interface ShardSpace {
  shardOf(shardId: string): Shard | undefined
  occupancyOf(shardId: string): Occupancy | undefined
  shardsOf(networkId: string): NetworkShards
  /** The one of a network that has an address of either family. */
  findShard(networkId: string, address: string): Shard | undefined
  /** Takes a shard or a record in, or its tombstone, unless a newer one is known. Others are passed over. */
  put(object: StoredObject<unknown>): void
}

/** How many addresses a shard can give when nobody holds any. */
export const capacityOf = ({ cidr }: ShardValue) => sizeOfCidr(cidr) - addressesNeverGiven

interface Network extends NetworkShards {
  readonly giving: Shard[]
  readonly byShare: Shard[]
  readonly shares: Map<string, number>
  lastGiven: LastGiven | null
  /** Of IPv4, by their first addresses. */
  readonly byFirst: readonly { readonly first: number; readonly shard: Shard }[]
}

/** @example const space = createShardSpace(); for (const shard of store.snapshot(shardKind)) space.put(shard) */
export function createShardSpace(): ShardSpace {
  const shards = new Map<string, StoredObject<ShardValue | null>>()
  const occupancies = new Map<string, StoredObject<ShardOccupancyValue | null>>()
  const idsByNetwork = new Map<string, Set<string>>()
  /** Made when they are asked for, kept as records change, forgotten when a shard does. */
  const networks = new Map<string, Network>()

  const shardOf = (id: string) => live(shards.get(id))
  const occupancyOf = (id: string) => live(occupancies.get(id))
  const countOf = (id: string) => occupancyOf(id)?.value.resourceCount ?? 0

  function isGiving(shard: Shard): boolean {
    const { id, value } = shard
    return isOpen(value) && !isIpv6(value.cidr) && countOf(id) < capacityOf(value)
  }

  function build(networkId: string): Network {
    const all = [...(idsByNetwork.get(networkId) ?? [])].toSorted(compareText).flatMap((id) => shardOf(id) ?? [])
    const giving = all.filter(isGiving)
    const shares = new Map(giving.map(({ id, value }) => [id, countOf(id) / capacityOf(value)]))
    const network: Network = {
      all,
      giving,
      byShare: giving.toSorted((a, b) => compareShares(shares, a, b)),
      shares,
      lastGiven: null,
      capacityMost: Math.max(0, ...all.map(({ value }) => (isIpv6(value.cidr) ? 0 : capacityOf(value)))),
      byFirst: all
        .filter(({ value }) => !isIpv6(value.cidr))
        .map((shard) => ({ first: addressOf(shard.value.cidr.split('/')[0] ?? ''), shard }))
        .toSorted((a, b) => a.first - b.first),
    }
    for (const shard of all) noteLastGiven(network, shard, occupancyOf(shard.id))
    return network
  }

  function networkOf(networkId: string): Network {
    const known = networks.get(networkId) ?? build(networkId)
    networks.set(networkId, known)
    return known
  }

  function putShard(object: StoredObject<ShardValue | null>): void {
    for (const networkId of [shardOf(object.id)?.value.networkId, object.value?.networkId]) {
      if (networkId) networks.delete(networkId)
    }
    const before = shardOf(object.id)?.value.networkId
    if (before) idsByNetwork.get(before)?.delete(object.id)
    shards.set(object.id, object)
    const after = object.value?.networkId
    if (after) idsByNetwork.set(after, (idsByNetwork.get(after) ?? new Set()).add(object.id))
  }

  function putOccupancy(object: StoredObject<ShardOccupancyValue | null>): void {
    const shard = shardOf(object.id)
    const network = shard?.value.networkId ? networks.get(shard.value.networkId) : undefined
    if (shard === undefined || network === undefined) {
      occupancies.set(object.id, object)
      return
    }
    takeOut(network, shard)
    occupancies.set(object.id, object)
    noteLastGiven(network, shard, occupancyOf(object.id))
    if (!isGiving(shard)) return
    network.shares.set(shard.id, countOf(shard.id) / capacityOf(shard.value))
    insert(network.giving, shard, compareIds)
    insert(network.byShare, shard, (a, b) => compareShares(network.shares, a, b))
  }

  return {
    shardOf,
    occupancyOf,
    shardsOf: networkOf,
    findShard(networkId, address) {
      const { all, byFirst } = networkOf(networkId)
      if (isIpv6(address)) return all.find(({ value }) => cidrHasAddress(value.cidr, address))
      const number = addressOf(address)
      const found = byFirst[findPlace(byFirst, ({ first }) => first > number) - 1]?.shard
      return found !== undefined && cidrHasAddress(found.value.cidr, address) ? found : undefined
    },
    put(object) {
      const known =
        object.kind === shardKind.name ? shards : object.kind === shardOccupancyKind.name ? occupancies : null
      if (known === null || (known.get(object.id)?.version ?? 0) >= object.version) return
      if (known === shards) putShard(object as StoredObject<ShardValue | null>)
      else putOccupancy(object as StoredObject<ShardOccupancyValue | null>)
    },
  }
}

/** As memory has it now: all of it, or what a client has, by any id of its. */
export function readShardSpace(store: Pick<Store, 'snapshot'>, memberId?: string): ShardSpace {
  const space = createShardSpace()
  for (const shard of store.snapshot(shardKind, memberId)) space.put(shard)
  for (const occupancy of store.snapshot(shardOccupancyKind, memberId)) space.put(occupancy)
  return space
}

/** Whether addresses are given out of it at all. */
export const isOpen = ({ reserved, migrationId }: ShardValue) => !reserved && migrationId === undefined

const live = <Value>(object: StoredObject<Value | null> | undefined): StoredObject<Value> | undefined =>
  object === undefined || object.value === null ? undefined : (object as StoredObject<Value>)

/** A shard of IPv6 has a sequence of its own. */
function noteLastGiven(network: Network, { id, value }: Shard, occupancy: Occupancy | undefined): void {
  const given = occupancy?.value.lastGiven
  if (given === undefined || isIpv6(value.cidr)) return
  if (given.turn > (network.lastGiven?.turn ?? 0)) network.lastGiven = { shardId: id, ...given }
}

function takeOut(network: Network, shard: Shard): void {
  if (!network.shares.has(shard.id)) return
  remove(network.giving, shard, compareIds)
  remove(network.byShare, shard, (a, b) => compareShares(network.shares, a, b))
  network.shares.delete(shard.id)
}

const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
/** Ids are ordered by time. */
export const compareIds = (a: Shard, b: Shard) => compareText(a.id, b.id)
const compareShares = (shares: ReadonlyMap<string, number>, a: Shard, b: Shard) =>
  (shares.get(a.id) ?? 0) - (shares.get(b.id) ?? 0) || compareIds(a, b)

function insert(list: Shard[], shard: Shard, compare: (a: Shard, b: Shard) => number): void {
  list.splice(
    findPlace(list, (one) => compare(one, shard) > 0),
    0,
    shard,
  )
}

function remove(list: Shard[], shard: Shard, compare: (a: Shard, b: Shard) => number): void {
  const place = findPlace(list, (one) => compare(one, shard) >= 0)
  if (list[place]?.id !== shard.id) throw new Error(`BUG: the shard ${shard.id} is not where it was put`)
  list.splice(place, 1)
}

/** The first place from which on all are `isAfter`; the length of the list where none is. */
export function findPlace<One>(list: readonly One[], isAfter: (one: One) => boolean): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const one = list[middle]
    if (one === undefined || isAfter(one)) high = middle
    else low = middle + 1
  }
  return low
}
