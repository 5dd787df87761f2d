/**
 * The addresses of moves, as writes beside their steps: what a move needs is taken in the very transaction in which it
 * begins or goes back, and what goes is given back in the one in which it ends. Reads the store.
 */

import { type StoredObject, type Write, write } from '../../control-plane/store.ts'
import { type AddressValue, addressKind, type MoveValue, moveKind, type ShardValue, shardKind } from '../../objects.ts'
import { readShardSpace } from '../allocator-space.ts'
import { addressOf, blockOf, containsAddress } from '../cidr.ts'
import { describeAllocationRefusal } from '../describe-refusal.ts'
import { addressIdOf, createDraftSpace, type DraftSpace, type HeldAddress, type ProjectSpace } from '../draft-space.ts'
import { type AllocationRequest, planAllocations } from '../plan-allocations.ts'
import { readPolicy } from '../read-policy.ts'
import { isTaken } from '../taken-bitmap.ts'
import { atStep, isUnderWay, type Settlement, type StoredMove } from './migration-operation.ts'
import { noWayBack } from './plan-migrations.ts'
import { firstStepOf } from './plan-move.ts'
import type { MigrationMeans } from './transact.ts'

type Means = Pick<MigrationMeans, 'store' | 'now' | 'random'>
type HeldByOwner = ReadonlyMap<string, readonly StoredObject<AddressValue>[]>

export interface Step {
  readonly move: StoredMove
  readonly value: MoveValue
}

/** Steps, and what is written with them. */
export interface AddressedSteps {
  readonly steps: readonly Step[]
  readonly writes: readonly Write[]
}

/** Each takes an address outside of the shard that it leaves; one for which there is none has failed. */
export async function planBegins(means: Means, moves: readonly StoredMove[]): Promise<AddressedSteps> {
  const held = await readHeld(
    means,
    moves.map(({ value: { ownerId, from } }) => ({ ownerId, ...from })),
  )
  const ready = listReady(means, moves, held, ({ from }) => from)
  const [first] = ready
  if (first === undefined) return { steps: [], writes: [] }
  const startedAt = new Date(means.now()).toISOString()
  const { results, writes } = planAllocations(ready.map(requestAddress), readSpace(means, first.id, held), {
    now: means.now(),
    random: means.random,
  })
  const steps = ready.map((move, i): Step => {
    const result = results[i]
    if (result?.kind === 'held') {
      const parts = { to: result.held, startedAt, reason: null }
      return { move, value: atStep(move.value, firstStepOf(move), means.now(), parts) }
    }
    if (result?.kind !== 'refused') throw new Error('BUG: a move without the outcome of its allocation')
    const { detail } = describeAllocationRefusal(result.refusal, null)
    const reason = `There was no address to go to: ${detail}`
    return { move, value: atStep(move.value, 'failed', means.now(), { startedAt, reason }) }
  })
  return { steps, writes: [...writes, ...sealAll(ready, held)] }
}

const requestAddress = ({ value: { networkId, ownerId, ownerKind, name, from } }: StoredMove): AllocationRequest => ({
  kind: 'allocate',
  networkId,
  ownerId,
  fromShardId: from.shardId,
  ...(ownerKind === 'machine' && { machineName: name }),
})

/**
 * Those whose holder has the address that it is to have by now, and is moved by nobody else. Asked after the addresses
 * were read: who begins to move the same holder after this writes that address as well, and one of both is too late.
 */
function listReady(
  { store }: Pick<Means, 'store'>,
  moves: readonly StoredMove[],
  held: HeldByOwner,
  addressOfMove: (value: MoveValue) => HeldAddress | null,
): readonly StoredMove[] {
  const [first] = moves
  const underWay =
    first === undefined ? [] : store.snapshot(moveKind, first.id).filter(({ value }) => isUnderWay(value))
  const busy = new Set(underWay.map(({ value }) => value.ownerId))
  return moves.filter(({ value }) => {
    const address = addressOfMove(value)?.address
    return !busy.has(value.ownerId) && held.get(value.ownerId)?.some((object) => object.value.address === address)
  })
}

/** What they hold, as it is: nobody gives that back and no other migration begins to move them meanwhile. */
const sealAll = (moves: readonly StoredMove[], held: HeldByOwner): readonly Write[] =>
  moves.flatMap(({ value }) =>
    (held.get(value.ownerId) ?? []).map((object) =>
      write({ kind: addressKind, id: object.id, expect: object.version, value: object.value }),
    ),
  )

/** What is not held any more needs no write. */
export async function planReleases(means: Means, settlements: readonly Settlement[]): Promise<readonly Write[]> {
  const held = await readHeld(
    means,
    settlements.map(({ move, releases }) => ({ ownerId: move.value.ownerId, ...releases })),
  )
  const [first] = settlements
  if (first === undefined) return []
  const draft = createDraftSpace(readSpace(means, first.move.id, held), means.now())
  for (const { move, releases } of settlements) draft.giveBack(move.value.ownerId, [releases.address])
  return draft.listWrites()
}

/** Moves that were done go back to their old addresses; one whose address somebody else has by now has no way back. */
export async function planReturns(means: Means, moves: readonly StoredMove[]): Promise<AddressedSteps> {
  const held = await readHeld(
    means,
    moves.flatMap(({ value: { ownerId, from, to } }) => [from, to ?? []].flat().map((one) => ({ ownerId, ...one }))),
  )
  const ready = listReady(means, moves, held, ({ to }) => to)
  const [first] = ready
  if (first === undefined) return { steps: [], writes: [] }
  const shards = new Map(means.store.snapshot(shardKind, first.id).map((shard) => [shard.id, shard]))
  const draft = createDraftSpace(readSpace(means, first.id, held), means.now())
  const steps = ready.map((move): Step => {
    const trouble = takeAgain(draft, shards.get(move.value.from.shardId), move.value)
    const value =
      trouble === null
        ? atStep(move.value, 'returning', means.now(), { returnsAs: 'undone', reason: null })
        : atStep(move.value, 'failed', means.now(), { reason: `${noWayBack}${trouble}` })
    return { move, value }
  })
  return { steps, writes: [...draft.listWrites(), ...sealAll(ready, held)] }
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
  draft.take(opened, offset, { ownerId })
  return null
}

/** By owner, of the addresses that are asked for, those that it holds. */
async function readHeld(
  { store }: Pick<Means, 'store'>,
  wanted: readonly { readonly ownerId: string; readonly address: string; readonly shardId: string }[],
): Promise<HeldByOwner> {
  const objects = await Promise.all(
    wanted.map(({ address, shardId }) => store.get(addressKind, addressIdOf(shardId, address))),
  )
  const held = objects.flatMap((object, i) =>
    object !== null && object.value.ownerId === wanted[i]?.ownerId ? [object] : [],
  )
  return Map.groupBy(held, ({ value }) => value.ownerId)
}

/** @param memberId any id of the project's */
function readSpace({ store }: Pick<Means, 'store'>, memberId: string, held: HeldByOwner): ProjectSpace {
  return {
    shards: readShardSpace(store, memberId),
    heldBy: (ownerId) => held.get(ownerId) ?? [],
    holderOf: () => null,
    policyOf: (networkId) => readPolicy(store, networkId),
  }
}
