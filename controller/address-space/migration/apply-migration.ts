/**
 * Does what a plan says for migrations. Each operation is one transaction at the versions that the plan saw, and may be
 * done again. What an address needs is written together with the step that needs it, so that no step says of an address
 * what is not so; a holder is another entity group, and is written only while its move is at the step, as the leader says.
 */

import { type ApplyOutcome, done, overtaken } from '../../control-plane/apply-outcome.ts'
import { type Kind, type Write, write } from '../../control-plane/store.ts'
import { instanceKind, type MoveValue, machineKind, migrationKind, moveKind, shardKind } from '../../objects.ts'
import { finishMigration } from './finish-migration.ts'
import { describeStep, type MigrationOperation, type Settlement, type StoredMigration } from './migration-operation.ts'
import { type AddressedSteps, planBegins, planReleases, planReturns, type Step } from './move-addresses.ts'
import { type MigrationMeans, transact } from './transact.ts'

type OperationOf<KindName extends MigrationOperation['kind']> = Extract<MigrationOperation, { kind: KindName }>

export async function applyMigration(means: MigrationMeans, operation: MigrationOperation): Promise<ApplyOutcome> {
  switch (operation.kind) {
    case 'beginMoves':
      return moveOut(means, operation, planBegins)
    case 'returnMoves':
      return moveOut(means, operation, planReturns)
    case 'stepMoves':
      return stepMoves(means, operation)
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

const writeMoves = (
  means: MigrationMeans,
  migration: StoredMigration,
  steps: readonly Step[],
  besides: readonly Write[] = [],
): Promise<ApplyOutcome> =>
  transact(means, migration, {
    writes: [
      ...steps.map(({ move, value }) => write({ kind: moveKind, id: move.id, expect: move.version, value })),
      ...besides,
    ],
    events: steps.map(({ value }) => describeStep(value)),
  })

/** Memory may lag behind what another controller wrote: that a holder is not there is for the leader to say. */
async function stepMoves(means: MigrationMeans, { migration, steps }: OperationOf<'stepMoves'>): Promise<ApplyOutcome> {
  const isThere = await Promise.all(
    steps.map(async ({ value }) => value.step === 'gone' && (await isHere(means, value))),
  )
  const sure = steps.filter((_, i) => isThere[i] !== true)
  return sure.length === 0 ? overtaken : writeMoves(means, migration, sure)
}

async function isHere({ store }: MigrationMeans, { ownerId, ownerKind }: MoveValue): Promise<boolean> {
  const kind: Kind<unknown> = ownerKind === 'machine' ? machineKind : instanceKind
  return (await store.get(kind, ownerId, { latest: true })) !== null
}

/** Only while the migration is as it was seen: no move begins of one that has just ended or been asked for otherwise. */
const moveOut = (
  means: MigrationMeans,
  { migration, moves }: OperationOf<'beginMoves' | 'returnMoves'>,
  plan: typeof planBegins,
): Promise<ApplyOutcome> => {
  const { id, version, value } = migration
  const seal = write({ kind: migrationKind, id, expect: version, value })
  return writeWithAddresses(means, migration, async () => {
    const { steps, writes } = await plan(means, moves)
    return { steps, writes: [seal, ...writes] }
  })
}

/** Addresses come and go in the same records all the time; whoever loses that race plans anew, so often. */
const attemptsMaximum = 8

/** With addresses that are taken in the same transaction, planned anew while others change the same records. */
async function writeWithAddresses(
  means: MigrationMeans,
  migration: StoredMigration,
  plan: () => Promise<AddressedSteps>,
): Promise<ApplyOutcome> {
  for (let attempt = 1; attempt <= attemptsMaximum; attempt++) {
    const { steps, writes } = await plan()
    if (steps.length === 0) return overtaken
    const outcome = await writeMoves(means, migration, steps, writes)
    if (outcome.kind !== 'overtaken') return outcome
    const current = await Promise.all(steps.map(({ move }) => means.store.get(moveKind, move.id)))
    if (current.some((object, i) => object?.version !== steps[i]?.move.version)) return overtaken
  }
  return overtaken
}

/** Only while its move is at this very step: who is late finds another step, or another version of the holder. */
async function shapeHolder(
  means: MigrationMeans,
  { migration, move, writes }: OperationOf<'shapeHolder'>,
): Promise<ApplyOutcome> {
  const current = await means.store.get(moveKind, move.id, { latest: true })
  if (current === null || current.version !== move.version) return overtaken
  return transact(means, migration, { writes })
}

async function settleMoves(
  means: MigrationMeans,
  { migration, settlements }: OperationOf<'settleMoves'>,
): Promise<ApplyOutcome> {
  const sealed = await Promise.all(settlements.map((settlement) => sealHolder(means, migration, settlement)))
  const ready = settlements.filter((_, i) => sealed[i]?.kind === 'done')
  if (ready.length === 0) return sealed.find(({ kind }) => kind === 'failed') ?? overtaken
  return writeWithAddresses(means, migration, async () => ({ steps: ready, writes: await planReleases(means, ready) }))
}

async function sealHolder(
  means: MigrationMeans,
  migration: StoredMigration,
  { seals }: Settlement,
): Promise<ApplyOutcome> {
  for (const writes of seals) {
    const outcome = await transact(means, migration, { writes })
    if (outcome.kind !== 'done') return outcome
  }
  return done
}

async function recordMigration(
  means: MigrationMeans,
  { migration, value, unmarks, events }: OperationOf<'recordMigration'>,
): Promise<ApplyOutcome> {
  const writes = [write({ kind: migrationKind, id: migration.id, expect: migration.version, value })]
  if (unmarks !== null) {
    const { migrationId: _, ...kept } = unmarks.value
    writes.push(write({ kind: shardKind, id: unmarks.id, expect: unmarks.version, value: kept }))
  }
  return transact(means, migration, { writes, events })
}
