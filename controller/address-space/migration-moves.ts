/**
 * The moves that a migration has: one for each holder of an address of its shard. Pure. Which of them are still to be
 * written follows from the addresses that are held, so that whoever finds some missing writes them, once or again.
 */

import { createNamedId } from '../control-plane/shard-key.ts'
import { type StoredObject, type Write, write } from '../control-plane/store.ts'
import { type AddressValue, instanceKind, type MigrationValue, type MoveValue, moveKind } from '../objects.ts'
import { addressOf } from './cidr.ts'
import type { Holder } from './plan-shard-migration.ts'

type Migration = Pick<StoredObject<MigrationValue>, 'id' | 'value'>
type Addresses = readonly StoredObject<AddressValue>[]
type Moves = readonly StoredObject<MoveValue>[]

export interface MoveNaming {
  /** What an operator calls the holder. */
  readonly nameOf: (ownerId: string) => string
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** The id of a holder's move, by migration and holder: writing one twice is a conflict. */
export const moveIdOf = (migrationId: string, ownerId: string) =>
  createNamedId(moveKind.prefix, migrationId, migrationId, ownerId)

export const ownerKindOf = (ownerId: string): MoveValue['ownerKind'] =>
  ownerId.startsWith(`${instanceKind.prefix}_`) ? 'instance' : 'machine'

/** Who holds an address of a shard, in the order of the addresses. */
export function listHolders(shardId: string, addresses: Addresses, nameOf: MoveNaming['nameOf']): readonly Holder[] {
  return addresses
    .filter(({ value }) => value.shardId === shardId)
    .map(({ value: { ownerId, address } }) => ({
      ownerId,
      ownerKind: ownerKindOf(ownerId),
      name: nameOf(ownerId),
      address,
    }))
    .toSorted((one, other) => addressOf(one.address) - addressOf(other.address))
}

/**
 * The moves that a running migration lacks: of holders that have an address of its shard and no move yet. A shard has
 * more addresses than a transaction takes writes, so that they come in batches; when this is empty, all are there.
 */
export function missingMoves(
  migration: Migration,
  addresses: Addresses,
  moves: Moves,
  naming: MoveNaming,
): readonly Write[] {
  const { id, value } = migration
  if (value.wanted !== 'run') return []
  const known = new Set(moves.filter((move) => move.value.migrationId === id).map((move) => move.value.ownerId))
  // Of two addresses of one holder nobody wants one, which is swept: the migration does not end before that.
  const byOwner = Map.groupBy(listHolders(value.shardId, addresses, naming.nameOf), ({ ownerId }) => ownerId)
  return [...byOwner.values()]
    .flatMap(([first]) => (first === undefined || known.has(first.ownerId) ? [] : [first]))
    .map((holder) => {
      const move = describeWaiting(migration, holder, naming.now)
      return write({ kind: moveKind, id: moveIdOf(id, holder.ownerId), expect: 'absent', value: move })
    })
}

/** A move that has not begun. */
function describeWaiting({ id, value }: Migration, holder: Holder, now: number): MoveValue {
  return {
    migrationId: id,
    projectId: value.projectId,
    networkId: value.networkId,
    ownerId: holder.ownerId,
    ownerKind: holder.ownerKind,
    name: holder.name,
    // An instance has both addresses at once whatever the mode: nobody connects to it by either.
    mode: holder.ownerKind === 'instance' ? 'overlap' : value.mode,
    from: { address: holder.address, shardId: value.shardId },
    to: null,
    step: 'waiting',
    stepSince: new Date(now).toISOString(),
    returnsAs: null,
    reason: null,
    startedAt: null,
    finishedAt: null,
  }
}

/** From here a move goes no further by itself. */
export const hasEnded = ({ step }: Pick<MoveValue, 'step'>) =>
  step === 'done' || step === 'failed' || step === 'undone' || step === 'gone'

/**
 * What a migration that goes on tries anew: moves that failed, and those of holders that have an address of the shard
 * again, since it took some while the migration was cancelled.
 */
export function resetMoves(migration: Migration, addresses: Addresses, moves: Moves, now: number): readonly Write[] {
  const { id, value } = migration
  const held = new Map(
    addresses
      .filter((address) => address.value.shardId === value.shardId)
      .map((address): [string, string] => [address.value.ownerId, address.value.address]),
  )
  return moves.flatMap((move) => {
    const address = held.get(move.value.ownerId)
    const isDue = move.value.step === 'failed' || address !== undefined
    if (move.value.migrationId !== id || !hasEnded(move.value) || !isDue) return []
    const { ownerId, ownerKind, name, from } = move.value
    const holder = { ownerId, ownerKind, name, address: address ?? from.address }
    const waiting = describeWaiting(migration, holder, now)
    return [write({ kind: moveKind, id: move.id, expect: move.version, value: waiting })]
  })
}
