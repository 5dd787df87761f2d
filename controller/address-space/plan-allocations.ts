/**
 * Which addresses a batch of requests gets and gives back, as the writes of one transaction. Pure: several requests are
 * decided in their order, each seeing what those before it took, and all are written together or not at all.
 */

import { createNamedId } from '../control-plane/shard-key.ts'
import { type StoredObject, type Write, write } from '../control-plane/store.ts'
import {
  type AddressValue,
  addressKind,
  type ShardOccupancyValue,
  type ShardValue,
  shardOccupancyKind,
} from '../objects.ts'
import { addressOf, type Block, blockOf, containsAddress, formatAddress, sizeOf } from './cidr.ts'
import { decodeBitmap, encodeBitmap, findFree, isTaken, setTaken } from './taken-bitmap.ts'

export interface HeldAddress {
  readonly address: string
  readonly shardId: string
}

export type AllocationRequest =
  | {
      readonly kind: 'allocate'
      readonly networkId: string
      readonly ownerId: string
      /** Any, when left out. */
      readonly address?: string
    }
  /** Everything that the owner holds, or only these addresses. */
  | { readonly kind: 'release'; readonly ownerId: string; readonly addresses?: readonly string[] }

export type AllocationRefusal =
  | { readonly kind: 'noShards' }
  | { readonly kind: 'noSpace'; readonly shards: readonly StoredObject<ShardValue>[] }
  | { readonly kind: 'outside'; readonly address: string; readonly shards: readonly StoredObject<ShardValue>[] }
  | { readonly kind: 'neverGiven'; readonly address: string; readonly role: 'network' | 'gateway' | 'broadcast' }
  | { readonly kind: 'held'; readonly address: string; readonly holderId: string | null }
  | { readonly kind: 'reserved'; readonly address: string; readonly shard: StoredObject<ShardValue> }
  /** The owner holds another address of this network already. */
  | { readonly kind: 'holdsAnother'; readonly address: string; readonly heldAddress: string }

export type AllocationResult =
  | { readonly kind: 'held'; readonly held: HeldAddress }
  | { readonly kind: 'released' }
  | { readonly kind: 'refused'; readonly refusal: AllocationRefusal }

/** A project's address space as it is read. */
export interface ProjectSpace {
  readonly shards: readonly StoredObject<ShardValue>[]
  readonly occupancyOf: (shardId: string) => StoredObject<ShardOccupancyValue> | undefined
  readonly heldBy: (ownerId: string) => readonly StoredObject<AddressValue>[]
  readonly holderOf: (addressId: string) => string | null
}

export interface AllocationPlan {
  /** One for each request, in their order. */
  readonly results: readonly AllocationResult[]
  readonly writes: readonly Write[]
}

/** The id of an address, by shard and number: taking one twice is a conflict. */
export const addressIdOf = (shardId: string, address: string) =>
  createNamedId(addressKind.prefix, shardId, shardId, address)

export function planAllocations(
  requests: readonly AllocationRequest[],
  space: ProjectSpace,
  now: number,
): AllocationPlan {
  const draft = createDraft(space, now)
  const results = requests.map((request): AllocationResult => {
    switch (request.kind) {
      case 'allocate':
        return allocate(draft, request)
      case 'release':
        draft.giveBack(request.ownerId, request.addresses)
        return { kind: 'released' }
      default:
        return request satisfies never
    }
  })
  return { results, writes: draft.listWrites() }
}

interface DraftShard {
  readonly shard: StoredObject<ShardValue>
  readonly block: Block
  readonly bitmap: Uint8Array
}

interface DraftAddress extends HeldAddress {
  readonly id: string
  /** Null: taken in this very batch. */
  readonly stored: StoredObject<AddressValue> | null
}

type Draft = ReturnType<typeof createDraft>

/** The space with what the batch has decided so far on top. */
function createDraft(space: ProjectSpace, now: number) {
  const opened = new Map<string, DraftShard | null>()
  const touched = new Map<string, { counted: number }>()
  const heldByOwner = new Map<string, DraftAddress[]>()
  const takenBy = new Map<string, string>()
  const writes = new Map<string, Write>()
  const released: { readonly draft: DraftShard; readonly offset: number }[] = []

  function open(shard: StoredObject<ShardValue>): DraftShard | null {
    const known = opened.get(shard.id)
    if (known !== undefined) return known
    const occupancy = space.occupancyOf(shard.id)
    const draft =
      occupancy === undefined
        ? null
        : { shard, block: blockOf(shard.value.cidr), bitmap: decodeBitmap(occupancy.value.takenBitmap) }
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

  return {
    open,
    held,
    shardsOf: (networkId: string) => space.shards.filter(({ value }) => value.networkId === networkId),
    shardById: (id: string) => space.shards.find((shard) => shard.id === id),
    holderOf: (addressId: string) => takenBy.get(addressId) ?? space.holderOf(addressId),

    take({ shard, block, bitmap }: DraftShard, offset: number, ownerId: string): HeldAddress {
      const address = formatAddress(block.first + offset)
      const id = addressIdOf(shard.id, address)
      setTaken(bitmap, offset, true)
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
        const shard = space.shards.find((candidate) => candidate.id === shardId)
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
      for (const { draft, offset } of released) setTaken(draft.bitmap, offset, false)
      const occupancies = [...touched].flatMap(([shardId, { counted }]) => {
        const draft = opened.get(shardId)
        const occupancy = space.occupancyOf(shardId)
        if (draft === undefined || draft === null || occupancy === undefined) return []
        const value: ShardOccupancyValue = {
          takenBitmap: encodeBitmap(draft.bitmap),
          resourceCount: occupancy.value.resourceCount + counted,
          lastAccessedAt: new Date(now).toISOString(),
        }
        return [write({ kind: shardOccupancyKind, id: shardId, expect: occupancy.version, value })]
      })
      return [...occupancies, ...writes.values()]
    },
  }
}

function allocate(draft: Draft, request: Extract<AllocationRequest, { kind: 'allocate' }>): AllocationResult {
  const shards = draft.shardsOf(request.networkId)
  const ofNetwork = draft.held(request.ownerId).find(({ shardId }) => shards.some((shard) => shard.id === shardId))
  if (ofNetwork !== undefined) {
    const { address, shardId } = ofNetwork
    if (request.address === undefined || request.address === address) {
      return { kind: 'held', held: { address, shardId } }
    }
    return refused({ kind: 'holdsAnother', address: request.address, heldAddress: address })
  }
  if (shards.length === 0) return refused({ kind: 'noShards' })
  return request.address === undefined
    ? allocateAny(draft, shards, request.ownerId)
    : allocateChosen(draft, shards, request.ownerId, request.address)
}

/** In the order in which the shards were made, so that the younger ones stay empty as long as they can. */
function allocateAny(draft: Draft, shards: readonly StoredObject<ShardValue>[], ownerId: string): AllocationResult {
  for (const shard of shards) {
    if (shard.value.reserved) continue
    const opened = draft.open(shard)
    const offset = opened === null ? null : findFree(opened.bitmap)
    if (opened !== null && offset !== null) return { kind: 'held', held: draft.take(opened, offset, ownerId) }
  }
  return refused({ kind: 'noSpace', shards })
}

function allocateChosen(
  draft: Draft,
  shards: readonly StoredObject<ShardValue>[],
  ownerId: string,
  address: string,
): AllocationResult {
  const number = addressOf(address)
  const shard = shards.find(({ value }) => containsAddress(blockOf(value.cidr), number))
  const opened = shard === undefined ? null : draft.open(shard)
  if (shard === undefined || opened === null) return refused({ kind: 'outside', address, shards })
  const offset = number - opened.block.first
  const role = roleOf(opened.block, offset)
  if (role !== null) return refused({ kind: 'neverGiven', address, role })
  if (shard.value.reserved) return refused({ kind: 'reserved', address, shard })
  if (isTaken(opened.bitmap, offset)) {
    return refused({ kind: 'held', address, holderId: draft.holderOf(addressIdOf(shard.id, address)) })
  }
  return { kind: 'held', held: draft.take(opened, offset, ownerId) }
}

function roleOf(block: Block, offset: number): 'network' | 'gateway' | 'broadcast' | null {
  if (offset === 0) return 'network'
  if (offset === 1) return 'gateway'
  return offset === sizeOf(block) - 1 ? 'broadcast' : null
}

const refused = (refusal: AllocationRefusal): AllocationResult => ({ kind: 'refused', refusal })
