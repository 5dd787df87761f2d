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
  type ShardOccupancyValue,
  type ShardValue,
  shardOccupancyKind,
} from '../objects.ts'
import { type AddressRange, createKeptBitmap, listKeptRanges } from './address-policy.ts'
import { addressOf, type Block, blockOf, formatAddress, sizeOfCidr } from './cidr.ts'
import { addressesNeverGiven, decodeBitmap, encodeBitmap, setTaken } from './taken-bitmap.ts'

export interface HeldAddress {
  readonly address: string
  readonly shardId: string
}

/** A project's address space as it is read. */
export interface ProjectSpace {
  readonly shards: readonly StoredObject<ShardValue>[]
  readonly occupancyOf: (shardId: string) => StoredObject<ShardOccupancyValue> | undefined
  readonly heldBy: (ownerId: string) => readonly StoredObject<AddressValue>[]
  readonly holderOf: (addressId: string) => string | null
  /** The effective policy of a network. */
  readonly policyOf: (networkId: string) => AddressPolicy
}

type LastGiven = NonNullable<ShardOccupancyValue['lastGiven']>

export interface DraftShard {
  readonly shard: StoredObject<ShardValue>
  readonly block: Block
  readonly bitmap: Uint8Array
  /** What the policy keeps, which is given only when it is chosen, in the form of the bitmap. Null: nothing. */
  readonly kept: Uint8Array | null
  /** Until when an offset is not given again unless it is chosen; its bit is set. */
  readonly quarantined: Map<number, string>
  lastGiven: LastGiven | null
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
  const touched = new Map<string, { counted: number }>()
  const heldByOwner = new Map<string, DraftAddress[]>()
  const takenBy = new Map<string, string>()
  const writes = new Map<string, Write>()
  const released: { readonly draft: DraftShard; readonly offset: number }[] = []
  const policies = new Map<string, AddressPolicy>()
  const keptRanges = new Map<string, readonly AddressRange[]>()
  const giving = new Map<string, readonly StoredObject<ShardValue>[]>()
  const byNetwork = Map.groupBy(space.shards, ({ value }) => value.networkId)
  const byId = new Map(space.shards.map((shard) => [shard.id, shard]))

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
    const occupancy = space.occupancyOf(shard.id)
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

  function touch(shardId: string, difference: number): void {
    const counted = touched.get(shardId)?.counted ?? 0
    touched.set(shardId, { counted: counted + difference })
  }

  /** Of those that can be held. */
  const countStored = (shardId: string) => space.occupancyOf(shardId)?.value.resourceCount ?? 0
  const countHeld = (shardId: string) => countStored(shardId) + (touched.get(shardId)?.counted ?? 0)

  const shardsOf = (networkId: string): readonly StoredObject<ShardValue>[] => byNetwork.get(networkId) ?? []

  function isGiving({ id, value }: StoredObject<ShardValue>): boolean {
    return !value.reserved && value.migrationId === undefined && countStored(id) < capacityOf(value)
  }

  return {
    open,
    held,
    policyOf,
    networkOf: (shardId: string) => byId.get(shardId)?.value.networkId ?? null,
    /** In the order in which they were made. */
    shardsOf,
    /** Of these, those that gave something when the batch began: what is given back within it is not given again. */
    givingOf(networkId: string): readonly StoredObject<ShardValue>[] {
      const known = giving.get(networkId) ?? shardsOf(networkId).filter(isGiving)
      giving.set(networkId, known)
      return known
    },
    holderOf: (addressId: string) => takenBy.get(addressId) ?? space.holderOf(addressId),
    /** Not held by anyone, which may still be kept or in quarantine: known without opening the shard. */
    countNotHeld: ({ id, value }: StoredObject<ShardValue>) => capacityOf(value) - countHeld(id),
    /** Addresses held over addresses that can be, 0 to 1. */
    heldShareOf: ({ id, value }: StoredObject<ShardValue>) => countHeld(id) / capacityOf(value),
    lastGivenOf(shardId: string): LastGiven | null {
      const draft = opened.get(shardId)
      return draft ? draft.lastGiven : (space.occupancyOf(shardId)?.value.lastGiven ?? null)
    },

    take({ shard, block, bitmap, quarantined }: DraftShard, offset: number, ownerId: string): HeldAddress {
      const address = formatAddress(block.first + offset)
      const id = addressIdOf(shard.id, address)
      setTaken(bitmap, offset, true)
      quarantined.delete(offset)
      touch(shard.id, 1)
      takenBy.set(id, ownerId)
      held(ownerId).push({ id, address, shardId: shard.id, stored: null })
      const value: AddressValue = {
        address,
        shardId: shard.id,
        projectId: shard.value.projectId,
        ownerId,
        allocatedAt: new Date(now).toISOString(),
      }
      writes.set(id, write({ kind: addressKind, id, expect: 'absent', value }))
      return { address, shardId: shard.id }
    },

    giveBack(ownerId: string, addresses?: readonly string[]): void {
      const leaving = held(ownerId).filter(({ address }) => addresses?.includes(address) ?? true)
      for (const { id, address, shardId, stored } of leaving) {
        if (stored === null) writes.delete(id)
        else writes.set(id, write({ kind: addressKind, id, expect: stored.version, value: null }))
        takenBy.delete(id)
        const shard = byId.get(shardId)
        const draft = shard === undefined ? null : open(shard)
        if (draft === null) continue
        // What was given back is not given again within the same batch, which would write one address twice.
        if (stored === null) setTaken(draft.bitmap, addressOf(address) - draft.block.first, false)
        else released.push({ draft, offset: addressOf(address) - draft.block.first })
        touch(shardId, -1)
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
      const occupancies = [...touched].flatMap(([shardId, { counted }]) => {
        const draft = opened.get(shardId)
        const occupancy = space.occupancyOf(shardId)
        if (draft === undefined || draft === null || occupancy === undefined) return []
        const resourceCount = occupancy.value.resourceCount + counted
        const value = describeOccupancy(draft, resourceCount, new Date(now).toISOString())
        return [write({ kind: shardOccupancyKind, id: shardId, expect: occupancy.version, value })]
      })
      return [...occupancies, ...writes.values()]
    },
  }
}

/** How many addresses a shard can give when nobody holds any. */
const capacityOf = ({ cidr }: ShardValue) => sizeOfCidr(cidr) - addressesNeverGiven

/** With the bits cleared of those whose quarantine is over. */
export function openShard(
  shard: StoredObject<ShardValue>,
  occupancy: ShardOccupancyValue,
  ranges: readonly AddressRange[],
  now: number,
): DraftShard {
  const block = blockOf(shard.value.cidr)
  const bitmap = decodeBitmap(occupancy.takenBitmap)
  const quarantined = new Map<number, string>()
  for (const { offset, until } of occupancy.quarantined ?? []) {
    if (Date.parse(until) > now) quarantined.set(offset, until)
    else setTaken(bitmap, offset, false)
  }
  const kept = createKeptBitmap(ranges, block, bitmap.length)
  return { shard, block, bitmap, kept, quarantined, lastGiven: occupancy.lastGiven ?? null }
}

function describeOccupancy(draft: DraftShard, resourceCount: number, lastAccessedAt: string): ShardOccupancyValue {
  const quarantined = [...draft.quarantined].map(([offset, until]) => ({ offset, until }))
  return {
    takenBitmap: encodeBitmap(draft.bitmap),
    resourceCount,
    lastAccessedAt,
    ...(quarantined.length > 0 && { quarantined }),
    ...(draft.lastGiven !== null && { lastGiven: draft.lastGiven }),
  }
}
