/**
 * Which addresses a batch of requests gets and gives back, as the writes of one transaction. Pure: several requests are
 * decided in their order, each seeing what those before it took, and all are written together or not at all.
 */

import type { StoredObject, Write } from '../control-plane/store.ts'
import type { ShardValue } from '../objects.ts'
import { findPinHolder, findPinned } from './address-policy.ts'
import { chooseAddress } from './choose-address.ts'
import { addressOf, type Block, blockOf, containsAddress, sizeOf } from './cidr.ts'
import { addressIdOf, createDraftSpace, type DraftSpace, type HeldAddress, type ProjectSpace } from './draft-space.ts'
import { isTaken, listFree } from './taken-bitmap.ts'

export type AllocationRequest =
  | {
      readonly kind: 'allocate'
      readonly networkId: string
      readonly ownerId: string
      /** Any, when left out. */
      readonly address?: string
      /** The owner's name, where it is a machine: addresses may be kept for it. */
      readonly machineName?: string
      /** The owner moves away from this shard: what it holds there does not count, and nothing is given there. */
      readonly fromShardId?: string
    }
  /** Everything that the owner holds, or only these addresses. */
  | { readonly kind: 'release'; readonly ownerId: string; readonly addresses?: readonly string[] }

type Allocate = Extract<AllocationRequest, { kind: 'allocate' }>
type Shard = StoredObject<ShardValue>

export type AllocationRefusal =
  | { readonly kind: 'noShards' }
  | {
      readonly kind: 'noSpace'
      readonly shards: readonly Shard[]
      /** Not held, and not given yet. */
      readonly quarantinedCount: number
      /** Not held, and given only when they are chosen. */
      readonly keptCount: number
    }
  | { readonly kind: 'outside'; readonly address: string; readonly shards: readonly Shard[] }
  | { readonly kind: 'neverGiven'; readonly address: string; readonly role: 'network' | 'gateway' | 'broadcast' }
  | { readonly kind: 'held'; readonly address: string; readonly holderId: string | null }
  | { readonly kind: 'reserved'; readonly address: string; readonly shard: Shard }
  | { readonly kind: 'migrating'; readonly address: string; readonly shard: Shard }
  | { readonly kind: 'pinned'; readonly address: string; readonly machineName: string }
  /** The owner holds another address of this network already. */
  | { readonly kind: 'holdsAnother'; readonly address: string; readonly heldAddress: string }

export type AllocationResult =
  | { readonly kind: 'held'; readonly held: HeldAddress }
  | { readonly kind: 'released' }
  | { readonly kind: 'refused'; readonly refusal: AllocationRefusal }

export interface AllocationPlan {
  /** One for each request, in their order. */
  readonly results: readonly AllocationResult[]
  readonly writes: readonly Write[]
}

export interface PlanMeans {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** That many random bytes. */
  readonly random: (bytes: number) => Uint8Array
}

export function planAllocations(
  requests: readonly AllocationRequest[],
  space: ProjectSpace,
  { now, random }: PlanMeans,
): AllocationPlan {
  const draft = createDraftSpace(space, now)
  const results = requests.map((request): AllocationResult => {
    switch (request.kind) {
      case 'allocate':
        return allocate(draft, request, random)
      case 'release':
        draft.giveBack(request.ownerId, request.addresses)
        return { kind: 'released' }
      default:
        return request satisfies never
    }
  })
  return { results, writes: draft.listWrites() }
}

function allocate(draft: DraftSpace, request: Allocate, random: PlanMeans['random']): AllocationResult {
  const { networkId, ownerId, address, fromShardId } = request
  const held = draft
    .held(ownerId)
    .filter(({ shardId }) => shardId !== fromShardId && draft.networkOf(shardId) === networkId)
  const same = held.find((one) => address === undefined || one.address === address)
  if (same !== undefined) return { kind: 'held', held: { address: same.address, shardId: same.shardId } }
  const [another] = held
  if (another !== undefined && address !== undefined) {
    return refused({ kind: 'holdsAnother', address, heldAddress: another.address })
  }
  if (draft.shardsOf(networkId).length === 0) return refused({ kind: 'noShards' })
  if (address !== undefined) return allocateChosen(draft, request, address)
  return allocatePinned(draft, request) ?? allocateAny(draft, request, random)
}

/** The address that is kept for it, or why it can't have that; null: none is, or it moves and can have another. */
function allocatePinned(draft: DraftSpace, request: Allocate): AllocationResult | null {
  const { networkId, machineName, fromShardId } = request
  const pinned = machineName === undefined ? undefined : findPinned(draft.policyOf(networkId), machineName)
  if (pinned === undefined) return null
  const result = allocateChosen(draft, request, pinned)
  return fromShardId !== undefined && result.kind === 'refused' ? null : result
}

function allocateAny(
  draft: DraftSpace,
  { networkId, ownerId, fromShardId }: Allocate,
  random: PlanMeans['random'],
): AllocationResult {
  const all = draft.shardsOf(networkId)
  const giving = draft.givingOf(networkId)
  const shards = fromShardId === undefined ? giving : giving.filter(({ id }) => id !== fromShardId)
  const choice = chooseAddress(draft, { shards, all }, draft.policyOf(networkId).allocationOrder, random)
  if (choice !== null) return { kind: 'held', held: draft.take(choice.opened, choice.offset, ownerId) }
  const opened = shards.flatMap((shard) => draft.open(shard) ?? [])
  return refused({
    kind: 'noSpace',
    shards: all,
    quarantinedCount: opened.reduce((sum, { quarantined }) => sum + quarantined.size, 0),
    keptCount: opened.reduce((sum, { bitmap }) => sum + listFree(bitmap).length, 0),
  })
}

function allocateChosen(
  draft: DraftSpace,
  { networkId, ownerId, machineName, fromShardId }: Allocate,
  address: string,
): AllocationResult {
  const number = addressOf(address)
  const shards = draft.shardsOf(networkId).filter(({ id }) => id !== fromShardId)
  const shard = shards.find(({ value }) => containsAddress(blockOf(value.cidr), number))
  const opened = shard === undefined ? null : draft.open(shard)
  if (shard === undefined || opened === null) return refused({ kind: 'outside', address, shards })
  const offset = number - opened.block.first
  const role = roleOf(opened.block, offset)
  if (role !== null) return refused({ kind: 'neverGiven', address, role })
  if (shard.value.reserved) return refused({ kind: 'reserved', address, shard })
  if (shard.value.migrationId !== undefined) return refused({ kind: 'migrating', address, shard })
  const pinnedFor = findPinHolder(draft.policyOf(networkId), address)
  if (pinnedFor !== undefined && pinnedFor !== machineName) {
    return refused({ kind: 'pinned', address, machineName: pinnedFor })
  }
  if (isTaken(opened.bitmap, offset) && !opened.quarantined.has(offset)) {
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
