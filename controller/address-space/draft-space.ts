/**
 * A project's address space with what a batch of requests has decided so far on top, and the writes that this makes. Pure:
 * it changes only what it has made itself.
 */

import type { AddressPolicy } from '../contract/address-space.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import { type StoredObject, type Write, write } from '../control-plane/store.ts'
import {
  type AddressValue,
  addressKind,
  isExternalOwner,
  type ShardOccupancyValue,
  type ShardValue,
  shardOccupancyKind,
} from '../objects.ts'
import { type AddressRange, createKeptBitmap, listKeptRanges } from './address-policy.ts'
import {
  capacityOf,
  isOpen,
  type LastGiven,
  type NetworkShards,
  type Shard,
  type ShardSpace,
} from './allocator-space.ts'
import { addressOf, type Block, blockOf, formatAddress, isIpv6, sizeOf } from './cidr.ts'
import { addressAt } from './cidr-families.ts'
import { ipv6BlockOf, ipv6Of } from './cidr-ipv6.ts'
import { decodeBitmap, encodeBitmap, ipv6BitmapBlock, isTaken, setTaken } from './taken-bitmap.ts'

export interface HeldAddress {
  readonly address: string
  readonly shardId: string
}

/** A project's address space as it is read. */
export interface ProjectSpace {
  readonly shards: Omit<ShardSpace, 'put'>
  readonly heldBy: (ownerId: string) => readonly StoredObject<AddressValue>[]
  readonly holderOf: (addressId: string) => string | null
  /** The effective policy of a network. */
  readonly policyOf: (networkId: string) => AddressPolicy
}

export interface DraftShard {
  readonly shard: StoredObject<ShardValue>
  /** What the bitmap is of: of an IPv6 shard the first addresses, counted from its own first. */
  readonly block: Block
  readonly bitmap: Uint8Array
  /** What the policy keeps, which is given only when it is chosen, in the form of the bitmap. Null: nothing. */
  readonly kept: Uint8Array | null
  /** Until when an offset is not given again unless it is chosen; its bit is set. */
  readonly quarantined: Map<number, string>
  lastGiven: Omit<LastGiven, 'shardId'> | null
}

/** `holder` names an owner that is neither machine nor instance. */
interface DraftOwner {
  readonly ownerId: string
  readonly holder?: string
}

interface DraftAddress extends HeldAddress {
  readonly id: string
  /** Null: taken in this very batch. */
  readonly stored: StoredObject<AddressValue> | null
}

export type DraftSpace = ReturnType<typeof createDraftSpace>

/** The id of an address, by shard and number: taking one twice is a conflict. */
export const addressIdOf = (shardId: string, address: string) =>
  createNamedId(addressKind.prefix, shardId, shardId, address)

/** @param now milliseconds since the epoch */
export function createDraftSpace(space: ProjectSpace, now: number) {
  const opened = new Map<string, DraftShard | null>()
  const touched = new Map<string, { readonly counted: number; readonly external: number }>()
  const heldByOwner = new Map<string, DraftAddress[]>()
  const takenBy = new Map<string, string>()
  const writes = new Map<string, Write>()
  const released: { readonly draft: DraftShard; readonly offset: number }[] = []
  const policies = new Map<string, AddressPolicy>()
  const keptRanges = new Map<string, readonly AddressRange[]>()
  const lastGiven = new Map<string, LastGiven>()
  const barren = new Set<string>()
  const { shardOf, occupancyOf, shardsOf, findShard } = space.shards

  function policyOf(networkId: string): AddressPolicy {
    const policy = policies.get(networkId) ?? space.policyOf(networkId)
    policies.set(networkId, policy)
    return policy
  }

  function keptRangesOf(networkId: string | null): readonly AddressRange[] {
    if (networkId === null) return []
    const ranges = keptRanges.get(networkId) ?? listKeptRanges(policyOf(networkId))
    keptRanges.set(networkId, ranges)
    return ranges
  }

  function open(shard: StoredObject<ShardValue>): DraftShard | null {
    const known = opened.get(shard.id)
    if (known !== undefined) return known
    const occupancy = occupancyOf(shard.id)
    const draft =
      occupancy === undefined ? null : openShard(shard, occupancy.value, keptRangesOf(shard.value.networkId), now)
    opened.set(shard.id, draft)
    return draft
  }

  function held(ownerId: string): DraftAddress[] {
    const known = heldByOwner.get(ownerId)
    if (known !== undefined) return known
    const addresses = space
      .heldBy(ownerId)
      .map((stored) => ({ id: stored.id, address: stored.value.address, shardId: stored.value.shardId, stored }))
    heldByOwner.set(ownerId, addresses)
    return addresses
  }

  function touch(shardId: string, ownerId: string, difference: number): void {
    const { counted, external } = touched.get(shardId) ?? { counted: 0, external: 0 }
    const ofExternal = isExternalOwner(ownerId) ? difference : 0
    touched.set(shardId, { counted: counted + difference, external: external + ofExternal })
  }

  /** Of those that can be held. */
  const countStored = (shardId: string) => occupancyOf(shardId)?.value.resourceCount ?? 0
  const countHeld = (shardId: string) => countStored(shardId) + (touched.get(shardId)?.counted ?? 0)

  const holderOf = (addressId: string) => takenBy.get(addressId) ?? space.holderOf(addressId)

  function hold(
    { shard, bitmap, quarantined }: DraftShard,
    address: string,
    offset: number | null,
    { ownerId, holder }: DraftOwner,
  ): HeldAddress {
    const id = addressIdOf(shard.id, address)
    if (offset !== null) {
      setTaken(bitmap, offset, true)
      quarantined.delete(offset)
    }
    touch(shard.id, ownerId, 1)
    takenBy.set(id, ownerId)
    held(ownerId).push({ id, address, shardId: shard.id, stored: null })
    const value: AddressValue = {
      address,
      shardId: shard.id,
      projectId: shard.value.projectId,
      ownerId,
      ...(holder !== undefined && { holder }),
      allocatedAt: new Date(now).toISOString(),
    }
    writes.set(id, write({ kind: addressKind, id, expect: 'absent', value }))
    return { address, shardId: shard.id }
  }

  return {
    open,
    held,
    policyOf,
    shardOf,
    findShard,
    /** As they were when the batch began: what is given back within it is not given again. */
    shardsOf,
    /** The same for one of them, of either family. */
    shardAlone(shard: Shard): NetworkShards {
      const given = occupancyOf(shard.id)?.value.lastGiven
      const capacityMost = capacityOf(shard.value)
      const giving = isOpen(shard.value) && countStored(shard.id) < capacityMost ? [shard] : []
      const last = given === undefined ? null : { shardId: shard.id, ...given }
      return { all: [shard], giving, byShare: giving, lastGiven: last, capacityMost }
    },
    /** Those that this batch has given from or to. */
    listTouched: (): readonly Shard[] => [...touched.keys()].flatMap((id) => shardOf(id) ?? []),
    isTouched: (shardId: string) => touched.has(shardId),
    /** Of those that have nothing to give though not all is held: the rest is kept or in quarantine. */
    barren,
    holderOf,
    /** One without a bit of its own is known by its object alone; what is given back within the batch is held until its end. */
    isHeld(draft: DraftShard, address: string): boolean {
      const offset = offsetOf(draft, address)
      if (offset === null) return holderOf(addressIdOf(draft.shard.id, address)) !== null
      return isTaken(draft.bitmap, offset) && !draft.quarantined.has(offset)
    },
    /** Not held by anyone, which may still be kept or in quarantine: known without opening the shard. */
    countNotHeld: ({ id, value }: StoredObject<ShardValue>) => capacityOf(value) - countHeld(id),
    /** Addresses held over addresses that can be, 0 to 1. */
    heldShareOf: ({ id, value }: Shard) => countHeld(id) / capacityOf(value),
    /** As it was when the batch began. */
    storedShareOf: ({ id, value }: Shard) => countStored(id) / capacityOf(value),
    lastGivenIn: (sequenceId: string, shards: NetworkShards): LastGiven | null =>
      lastGiven.get(sequenceId) ?? shards.lastGiven,
    noteGiven(sequenceId: string, draft: DraftShard, given: Omit<LastGiven, 'shardId'>): void {
      draft.lastGiven = given
      lastGiven.set(sequenceId, { shardId: draft.shard.id, ...given })
    },

    take: (draft: DraftShard, offset: number, owner: DraftOwner): HeldAddress =>
      hold(draft, addressIn(draft, offset), offset, owner),
    /** One that nobody holds. */
    takeAddress: (draft: DraftShard, address: string, owner: DraftOwner): HeldAddress =>
      hold(draft, address, offsetOf(draft, address), owner),

    /** All, or only these; and only as it was written then, where a version is given. */
    giveBack(ownerId: string, addresses?: readonly string[], atVersion?: number): void {
      const leaving = held(ownerId).filter(
        ({ address, stored }) =>
          (addresses?.includes(address) ?? true) && (atVersion === undefined || stored?.version === atVersion),
      )
      for (const { id, address, shardId, stored } of leaving) {
        if (stored === null) writes.delete(id)
        else writes.set(id, write({ kind: addressKind, id, expect: stored.version, value: null }))
        takenBy.delete(id)
        const shard = shardOf(shardId)
        const draft = shard === undefined ? null : open(shard)
        if (draft === null) continue
        // What was given back is not given again within the same batch, which would write one address twice.
        const offset = offsetOf(draft, address)
        barren.delete(shardId)
        if (stored === null && offset !== null) setTaken(draft.bitmap, offset, false)
        else if (offset !== null) released.push({ draft, offset })
        touch(shardId, ownerId, -1)
      }
      heldByOwner.set(
        ownerId,
        held(ownerId).filter((address) => !leaving.includes(address)),
      )
    },

    listWrites(): Write[] {
      for (const { draft, offset } of released) {
        const { networkId } = draft.shard.value
        const seconds = networkId === null ? 0 : (policyOf(networkId).quarantineSeconds ?? 0)
        if (seconds > 0) draft.quarantined.set(offset, new Date(now + seconds * 1000).toISOString())
        else setTaken(draft.bitmap, offset, false)
      }
      const occupancies = [...touched].flatMap(([shardId, { counted, external }]) => {
        const draft = opened.get(shardId)
        const occupancy = occupancyOf(shardId)
        if (draft === undefined || draft === null || occupancy === undefined) return []
        const value = describeOccupancy(draft, new Date(now).toISOString(), {
          resourceCount: occupancy.value.resourceCount + counted,
          externalCount: (occupancy.value.externalCount ?? 0) + external,
        })
        return [write({ kind: shardOccupancyKind, id: shardId, expect: occupancy.version, value })]
      })
      return [...occupancies, ...writes.values()]
    },
  }
}

function addressIn({ shard, block }: DraftShard, offset: number): string {
  const { cidr } = shard.value
  return isIpv6(cidr) ? addressAt(cidr, offset) : formatAddress(block.first + offset)
}

/** The place of its bit; null: it has none, as most of a /64 have not. */
function offsetOf({ shard, block }: DraftShard, address: string): number | null {
  const { cidr } = shard.value
  if (!isIpv6(cidr)) return addressOf(address) - block.first
  const offset = ipv6Of(address) - ipv6BlockOf(cidr).first
  return offset < BigInt(sizeOf(block)) ? Number(offset) : null
}

/** With the bits cleared of those whose quarantine is over. */
export function openShard(
  shard: StoredObject<ShardValue>,
  occupancy: ShardOccupancyValue,
  ranges: readonly AddressRange[],
  now: number,
): DraftShard {
  const isOfIpv6 = isIpv6(shard.value.cidr)
  const block = isOfIpv6 ? ipv6BitmapBlock : blockOf(shard.value.cidr)
  const bitmap = decodeBitmap(occupancy.takenBitmap)
  const quarantined = new Map<number, string>()
  for (const { offset, until } of occupancy.quarantined ?? []) {
    if (Date.parse(until) > now) quarantined.set(offset, until)
    else setTaken(bitmap, offset, false)
  }
  // What a policy keeps are addresses of IPv4.
  const kept = isOfIpv6 ? null : createKeptBitmap(ranges, block, bitmap.length)
  return { shard, block, bitmap, kept, quarantined, lastGiven: occupancy.lastGiven ?? null }
}

function describeOccupancy(
  draft: DraftShard,
  lastAccessedAt: string,
  { resourceCount, externalCount }: { readonly resourceCount: number; readonly externalCount: number },
): ShardOccupancyValue {
  const quarantined = [...draft.quarantined].map(([offset, until]) => ({ offset, until }))
  return {
    takenBitmap: encodeBitmap(draft.bitmap),
    resourceCount,
    ...(externalCount > 0 && { externalCount }),
    lastAccessedAt,
    ...(quarantined.length > 0 && { quarantined }),
    ...(draft.lastGiven !== null && { lastGiven: draft.lastGiven }),
  }
}
