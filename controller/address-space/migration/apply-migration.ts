/**
 * Does what a plan says for migrations. Each operation is one transaction at the versions that the plan saw, and may be
 * done again. What an address needs is written together with the step that needs it, so that no step says of an address
 * what is not so; a holder is another entity group, and is written only while its move is at the step, as the leader says.
 */

import { type Outcome, succeed } from '../../contract/problem.ts'
import { type Write, write } from '../../control-plane/store.ts'
import { addressKind, migrationKind, type MoveValue, moveKind, shardKind } from '../../objects.ts'
import { addressIdOf, type HeldAddress } from '../draft-space.ts'
import { finishMigration } from './finish-migration.ts'
import {
  atStep,
  describeStep,
  type MigrationOperation,
  type Settlement,
  type StoredMigration,
  type StoredMove,
} from './migration-operation.ts'
import { planReleases, planReturns } from './move-addresses.ts'
import { firstStepOf } from './plan-move.ts'
import { done, failed, type MigrationMeans, type MigrationOutcome, overtaken, transact } from './transact.ts'

type OperationOf<KindName extends MigrationOperation['kind']> = Extract<MigrationOperation, { kind: KindName }>

export async function applyMigration(means: MigrationMeans, operation: MigrationOperation): Promise<MigrationOutcome> {
  switch (operation.kind) {
    case 'beginMoves':
      return beginMoves(means, operation)
    case 'returnMoves':
      return returnMoves(means, operation)
    case 'stepMoves':
      return writeMoves(means, operation.migration, operation.steps)
    case 'shapeHolder':
      return shapeHolder(means, operation)
    case 'settleMoves':
      return settleMoves(means, operation)
    case 'recordMigration':
      return recordMigration(means, operation)
    case 'finishMigration':
      return finishMigration(means, operation.migration)
    default:
      return operation satisfies never
  }
}

interface Step {
  readonly move: StoredMove
  readonly value: MoveValue
}

const writeMoves = (
  means: MigrationMeans,
  migration: StoredMigration,
  steps: readonly Step[],
  besides: readonly Write[] = [],
): Promise<MigrationOutcome> =>
  transact(means, migration, {
    writes: [
      ...steps.map(({ move, value }) => write({ kind: moveKind, id: move.id, expect: move.version, value })),
      ...besides,
    ],
    events: steps.map(({ value }) => describeStep(value)),
  })

/** Written as it is, so that no move begins of a migration that has just ended or been asked for otherwise. */
const seal = ({ id, version, value }: StoredMigration): Write =>
  write({ kind: migrationKind, id, expect: version, value })

async function beginMoves(
  means: MigrationMeans,
  { migration, moves }: OperationOf<'beginMoves'>,
): Promise<MigrationOutcome> {
  const taken = await Promise.all(moves.map((move) => takeAddress(means, move)))
  const steps: Step[] = []
  const besides: Write[] = [seal(migration)]
  let trouble = ''
  for (const [i, move] of moves.entries()) {
    const outcome = taken[i]
    if (outcome === undefined) throw new Error('BUG: a move without the outcome of its allocation')
    const startedAt = new Date(means.now()).toISOString()
    if (outcome.ok) {
      besides.push(outcome.value.seal)
      const parts = { to: outcome.value.held, startedAt, reason: null }
      steps.push({ move, value: atStep(move.value, firstStepOf(move), means.now(), parts) })
    } else if (outcome.problem.code === 'unavailable') trouble = outcome.problem.detail
    else {
      const reason = `There was no address to go to: ${outcome.problem.detail}`
      steps.push({ move, value: atStep(move.value, 'failed', means.now(), { startedAt, reason }) })
    }
  }
  return steps.length === 0 ? failed(trouble) : writeMoves(means, migration, steps, besides)
}

interface TakenAddress {
  readonly held: HeldAddress
  /** The address as it is: it is given back by nobody before its move names it. */
  readonly seal: Write
}

async function takeAddress({ store, allocator }: MigrationMeans, { value }: StoredMove): Promise<Outcome<TakenAddress>> {
  const { networkId, ownerId, from } = value
  const taken = await allocator.allocateForMove({ networkId, ownerId, fromShardId: from.shardId })
  if (!taken.ok) return taken
  const { address, shardId } = taken.value
  const id = addressIdOf(shardId, address)
  const object = await store.get(addressKind, id)
  if (object === null || object.value.ownerId !== ownerId) {
    const detail = `${address} was taken for ${value.name}, and is not there yet.`
    return { ok: false, problem: { code: 'unavailable', title: 'The address can not be used now', detail } }
  }
  const held = { address, shardId }
  return succeed({ held, seal: write({ kind: addressKind, id, expect: object.version, value: object.value }) })
}

async function returnMoves(
  means: MigrationMeans,
  { migration, moves }: OperationOf<'returnMoves'>,
): Promise<MigrationOutcome> {
  const { steps, writes } = await planReturns(means, moves)
  return writeMoves(means, migration, steps, [seal(migration), ...writes])
}

/** Only while its move is at this very step: who is late finds another step, or another version of the holder. */
async function shapeHolder(
  means: MigrationMeans,
  { migration, move, writes }: OperationOf<'shapeHolder'>,
): Promise<MigrationOutcome> {
  const current = await means.store.get(moveKind, move.id, { latest: true })
  if (current === null || current.version !== move.version) return overtaken
  return transact(means, migration, { writes })
}

/** Their records are also others' to write, as often as addresses come and go there. */
const settleAttemptsMaximum = 8

async function settleMoves(
  means: MigrationMeans,
  { migration, settlements }: OperationOf<'settleMoves'>,
): Promise<MigrationOutcome> {
  const sealed = await Promise.all(settlements.map((settlement) => sealHolder(means, migration, settlement)))
  const ready = settlements.filter((_, i) => sealed[i]?.kind === 'done')
  if (ready.length === 0) return sealed.find(({ kind }) => kind === 'failed') ?? overtaken
  for (let attempt = 1; attempt <= settleAttemptsMaximum; attempt++) {
    const outcome = await writeMoves(means, migration, ready, await planReleases(means, ready))
    if (outcome.kind !== 'overtaken') return outcome
    const current = await Promise.all(ready.map(({ move }) => means.store.get(moveKind, move.id)))
    if (current.some((object, i) => object?.version !== ready[i]?.move.version)) return overtaken
  }
  return overtaken
}

const sealHolder = async (
  means: MigrationMeans,
  migration: StoredMigration,
  { seals }: Settlement,
): Promise<MigrationOutcome> => (seals.length === 0 ? done : transact(means, migration, { writes: seals }))

async function recordMigration(
  means: MigrationMeans,
  { migration, value, unmarks, events }: OperationOf<'recordMigration'>,
): Promise<MigrationOutcome> {
  const writes = [write({ kind: migrationKind, id: migration.id, expect: migration.version, value })]
  if (unmarks !== null) {
    const { migrationId: _, ...kept } = unmarks.value
    writes.push(write({ kind: shardKind, id: unmarks.id, expect: unmarks.version, value: kept }))
  }
  return transact(means, migration, { writes, events })
}
