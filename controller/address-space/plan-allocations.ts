/**
 * Which addresses a batch of requests gets and gives back, as the writes of one transaction. Pure: several requests are
 * decided in their order, each seeing what those before it took, and all are written together or not at all.
 */

import type { Write } from '../control-plane/store.ts'
import { findPinHolder, findPinned } from './address-policy.ts'
import type { NetworkShards, Shard } from './allocator-space.ts'
import { chooseAddress } from './choose-address.ts'
import { isIpv6 } from './cidr.ts'
import { type NeverGivenRole, roleOf } from './cidr-families.ts'
import { addressIdOf, createDraftSpace, type DraftSpace, type HeldAddress, type ProjectSpace } from './draft-space.ts'
import { listFree } from './taken-bitmap.ts'

export type AllocationRequest =
  | {
      readonly kind: 'allocate'
      readonly networkId: string
      readonly ownerId: string
      /** In its canonical form. Any, when left out: of IPv4, unless a shard of IPv6 is named. */
      readonly address?: string
      /** Out of this shard alone. */
      readonly shardId?: string
      /** The owner's name, where it is a machine: addresses may be kept for it. */
      readonly machineName?: string
      /** The owner's name, where it is neither machine nor instance. */
      readonly holder?: string
      /** The owner moves away from this shard: what it holds there does not count, and nothing is given there. */
      readonly fromShardId?: string
    }
  /** Each of them gets its address, or none does. */
  | { readonly kind: 'allocateAll'; readonly requests: readonly Allocate[] }
  /** Everything that the owner holds, or only these addresses; where a version is given, only what was written then. */
  | {
      readonly kind: 'release'
      readonly ownerId: string
      readonly addresses?: readonly string[]
      readonly atVersion?: number
    }

export type Allocate = Extract<AllocationRequest, { kind: 'allocate' }>

export type AllocationRefusal =
  /** None of IPv4: these are of IPv6. */
  | { readonly kind: 'noShards'; readonly shards: readonly Shard[] }
  | { readonly kind: 'notOfNetwork'; readonly shardId: string }
  | {
      readonly kind: 'noSpace'
      readonly shards: readonly Shard[]
      /** Not held, and not given yet. */
      readonly quarantinedCount: number
      /** Not held, and given only when they are chosen. */
      readonly keptCount: number
    }
  | { readonly kind: 'outside'; readonly address: string; readonly shards: readonly Shard[] }
  | { readonly kind: 'neverGiven'; readonly address: string; readonly role: NeverGivenRole }
  | { readonly kind: 'held'; readonly address: string; readonly holderId: string | null }
  | { readonly kind: 'reserved'; readonly address: string; readonly shard: Shard }
  | { readonly kind: 'migrating'; readonly address: string; readonly shard: Shard }
  | { readonly kind: 'pinned'; readonly address: string; readonly machineName: string }
  /** The owner holds another address of this network already. */
  | { readonly kind: 'holdsAnother'; readonly address: string; readonly heldAddress: string }

export type AllocationResult =
  | { readonly kind: 'held'; readonly held: HeldAddress }
  /** In the order of the requests. */
  | { readonly kind: 'allHeld'; readonly held: readonly HeldAddress[] }
  | { readonly kind: 'released' }
  | { readonly kind: 'refused'; readonly refusal: AllocationRefusal }

type Held = Extract<AllocationResult, { kind: 'held' }>
type Refused = Extract<AllocationResult, { kind: 'refused' }>

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
  /** Of requests for several addresses those that can't have all: what they would take is not taken from the others. */
  const refusals = new Map<AllocationRequest, Refused>()
  for (;;) {
    const draft = createDraftSpace(space, now)
    const results: AllocationResult[] = []
    for (const request of requests) {
      const result = refusals.get(request) ?? decide(draft, request, random)
      if (request.kind === 'allocateAll' && result.kind === 'refused' && !refusals.has(request)) {
        refusals.set(request, result)
        break
      }
      results.push(result)
    }
    if (results.length === requests.length) return { results, writes: draft.listWrites() }
  }
}

function decide(draft: DraftSpace, request: AllocationRequest, random: PlanMeans['random']): AllocationResult {
  switch (request.kind) {
    case 'allocate':
      return allocate(draft, request, random)
    case 'allocateAll': {
      const all: HeldAddress[] = []
      for (const one of request.requests) {
        const result = allocate(draft, one, random)
        if (result.kind === 'refused') return result
        all.push(result.held)
      }
      return { kind: 'allHeld', held: all }
    }
    case 'release':
      draft.giveBack(request.ownerId, request.addresses, request.atVersion)
      return { kind: 'released' }
    default:
      return request satisfies never
  }
}

function allocate(draft: DraftSpace, request: Allocate, random: PlanMeans['random']): Held | Refused {
  const { networkId, ownerId, address, shardId, fromShardId } = request
  const scope = scopeOf(draft, request)
  const held = draft.held(ownerId).filter((one) => one.shardId !== fromShardId && scope.has(draft.shardOf(one.shardId)))
  const same = held.find((one) => address === undefined || one.address === address)
  if (same !== undefined) return { kind: 'held', held: { address: same.address, shardId: same.shardId } }
  const [another] = held
  if (another !== undefined && address !== undefined) {
    return refused({ kind: 'holdsAnother', address, heldAddress: another.address })
  }
  const { all } = draft.shardsOf(networkId)
  if (!scope.shards.all.some(scope.has)) {
    if (shardId !== undefined) return refused({ kind: 'notOfNetwork', shardId })
    if (address === undefined || all.length === 0) return refused({ kind: 'noShards', shards: all })
    return refused({ kind: 'outside', address, shards: all })
  }
  if (address !== undefined) return allocateChosen(draft, request, scope, address)
  return allocatePinned(draft, request, scope) ?? allocateAny(draft, request, scope, random)
}

/** Where it can be given one, and where it has at most one: in all shards of IPv4, or in the one that it asks for. */
interface Scope {
  readonly shards: NetworkShards
  readonly has: (shard: Shard | undefined) => boolean
}

function scopeOf(draft: DraftSpace, { networkId, address, shardId }: Allocate): Scope {
  const isOne = shardId !== undefined || (address !== undefined && isIpv6(address))
  if (!isOne) {
    const has = (shard: Shard | undefined) => shard?.value.networkId === networkId && !isIpv6(shard.value.cidr)
    return { shards: draft.shardsOf(networkId), has }
  }
  const one = shardId === undefined ? draft.findShard(networkId, address ?? '') : draft.shardOf(shardId)
  if (one === undefined || one.value.networkId !== networkId) return { shards: noShards, has: () => false }
  return { shards: draft.shardAlone(one), has: (shard) => shard?.id === one.id }
}

const noShards: NetworkShards = { all: [], giving: [], byShare: [], lastGiven: null, capacityMost: 0 }

/** The address that is kept for it, or why it can't have that; null: none is, or it moves and can have another. */
function allocatePinned(draft: DraftSpace, request: Allocate, scope: Scope): Held | Refused | null {
  const { networkId, machineName, fromShardId } = request
  const pinned = machineName === undefined ? undefined : findPinned(draft.policyOf(networkId), machineName)
  if (pinned === undefined) return null
  const result = allocateChosen(draft, request, scope, pinned)
  return fromShardId !== undefined && result.kind === 'refused' ? null : result
}

function allocateAny(
  draft: DraftSpace,
  request: Allocate,
  { shards, has }: Scope,
  random: PlanMeans['random'],
): Held | Refused {
  const { networkId, shardId, fromShardId } = request
  const order = draft.policyOf(networkId).allocationOrder
  const choosing = { sequenceId: shardId ?? networkId, shards, exceptShardId: fromShardId ?? null }
  const choice = chooseAddress(draft, choosing, order, random)
  if (choice !== null) return { kind: 'held', held: draft.take(choice.opened, choice.offset, request) }
  const opened = shards.giving.flatMap((shard) => (shard.id === fromShardId ? [] : (draft.open(shard) ?? [])))
  return refused({
    kind: 'noSpace',
    shards: shards.all.filter(has),
    quarantinedCount: opened.reduce((sum, { quarantined }) => sum + quarantined.size, 0),
    keptCount: opened.reduce((sum, { bitmap }) => sum + listFree(bitmap).length, 0),
  })
}

function allocateChosen(draft: DraftSpace, request: Allocate, scope: Scope, address: string): Held | Refused {
  const { networkId, machineName, fromShardId } = request
  const shard = draft.findShard(networkId, address)
  const opened = shard === undefined || shard.id === fromShardId || !scope.has(shard) ? null : draft.open(shard)
  if (shard === undefined || opened === null) {
    const shards = scope.shards.all.filter((one) => scope.has(one) && one.id !== fromShardId)
    return refused({ kind: 'outside', address, shards })
  }
  const role = roleOf(shard.value.cidr, address)
  if (role !== null) return refused({ kind: 'neverGiven', address, role })
  if (shard.value.reserved) return refused({ kind: 'reserved', address, shard })
  if (shard.value.migrationId !== undefined) return refused({ kind: 'migrating', address, shard })
  const pinnedFor = findPinHolder(draft.policyOf(networkId), address)
  if (pinnedFor !== undefined && pinnedFor !== machineName) {
    return refused({ kind: 'pinned', address, machineName: pinnedFor })
  }
  if (draft.isHeld(opened, address)) {
    return refused({ kind: 'held', address, holderId: draft.holderOf(addressIdOf(shard.id, address)) })
  }
  return { kind: 'held', held: draft.takeAddress(opened, address, request) }
}

const refused = (refusal: AllocationRefusal): Refused => ({ kind: 'refused', refusal })
