/**
 * The addresses of moves that end or go back, as writes beside their steps: what goes is given back in the very
 * transaction in which its move ends, and an old one is taken again in the one that sends its move back. Reads the store.
 */

import type { Store, StoredObject, Write } from '../../control-plane/store.ts'
import { type AddressValue, addressKind, type MoveValue, type ShardValue, shardKind, shardOccupancyKind } from '../../objects.ts'
import { addressOf, blockOf, containsAddress } from '../cidr.ts'
import { addressIdOf, createDraftSpace, type DraftSpace } from '../draft-space.ts'
import { readPolicy } from '../read-policy.ts'
import { isTaken } from '../taken-bitmap.ts'
import { atStep, type Settlement, type StoredMove } from './migration-operation.ts'
import { noWayBack } from './plan-migrations.ts'

interface Means {
  readonly store: Store
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

type StoredAddress = StoredObject<AddressValue>

/** What is not held any more needs no write. */
export async function planReleases(means: Means, settlements: readonly Settlement[]): Promise<readonly Write[]> {
  const held = await readHeld(
    means,
    settlements.map(({ move, releases }) => ({ ownerId: move.value.ownerId, ...releases })),
  )
  const [first] = settlements
  if (first === undefined) return []
  const draft = draftSpace(means, first.move.id, held)
  for (const { move, releases } of settlements) draft.giveBack(move.value.ownerId, [releases.address])
  return draft.listWrites()
}

/** Moves that were done go back to their old addresses; one whose address somebody else has by now has no way back. */
export async function planReturns(
  means: Means,
  moves: readonly StoredMove[],
): Promise<{ readonly steps: readonly { readonly move: StoredMove; readonly value: MoveValue }[]; readonly writes: readonly Write[] }> {
  const [first] = moves
  if (first === undefined) return { steps: [], writes: [] }
  const held = await readHeld(
    means,
    moves.map(({ value }) => ({ ownerId: value.ownerId, ...value.from })),
  )
  const shards = new Map(means.store.snapshot(shardKind, first.id).map((shard) => [shard.id, shard]))
  const draft = draftSpace(means, first.id, held)
  const steps = moves.map((move) => {
    const trouble = takeAgain(draft, shards.get(move.value.from.shardId), move.value)
    const value =
      trouble === null
        ? atStep(move.value, 'returning', means.now(), { returnsAs: 'undone', reason: null })
        : atStep(move.value, 'failed', means.now(), { reason: `${noWayBack}${trouble}` })
    return { move, value }
  })
  return { steps, writes: draft.listWrites() }
}

/** Null: the owner has it, or does so with this transaction. */
function takeAgain(draft: DraftSpace, shard: StoredObject<ShardValue> | undefined, move: MoveValue): string | null {
  const { from, ownerId, networkId } = move
  if (draft.held(ownerId).some(({ address }) => address === from.address)) return null
  if (shard === undefined || shard.value.networkId !== networkId) {
    return `the shard of ${from.address} is not the network's any more.`
  }
  const opened = draft.open(shard)
  const number = addressOf(from.address)
  if (opened === null || !containsAddress(blockOf(shard.value.cidr), number)) {
    return `${from.address} is in no shard any more.`
  }
  const offset = number - opened.block.first
  const isOthers = isTaken(opened.bitmap, offset) && !opened.quarantined.has(offset)
  if (isOthers) return `${from.address} is held by another.`
  draft.take(opened, offset, ownerId)
  return null
}

/** By owner, of the addresses that are asked for, those that it holds. */
async function readHeld(
  { store }: Means,
  wanted: readonly { readonly ownerId: string; readonly address: string; readonly shardId: string }[],
): Promise<ReadonlyMap<string, readonly StoredAddress[]>> {
  const objects = await Promise.all(
    wanted.map(({ address, shardId }) => store.get(addressKind, addressIdOf(shardId, address))),
  )
  const held = objects.flatMap((object, i) =>
    object !== null && object.value.ownerId === wanted[i]?.ownerId ? [object] : [],
  )
  return Map.groupBy(held, ({ value }) => value.ownerId)
}

/** @param memberId any id of the project's */
function draftSpace(
  { store, now }: Means,
  memberId: string,
  held: ReadonlyMap<string, readonly StoredAddress[]>,
): DraftSpace {
  const occupancies = new Map(store.snapshot(shardOccupancyKind, memberId).map((object) => [object.id, object]))
  return createDraftSpace(
    {
      shards: store.snapshot(shardKind, memberId),
      occupancyOf: (shardId) => occupancies.get(shardId),
      heldBy: (ownerId) => held.get(ownerId) ?? [],
      holderOf: () => null,
      policyOf: (networkId) => readPolicy(store, networkId),
    },
    now(),
  )
}
