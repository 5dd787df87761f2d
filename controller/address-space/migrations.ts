/**
 * Migrations as callers ask for them: planned, started, steered and shown. The reconcile loop does the moves: here is
 * written only what is wanted. Touches migrations, moves that have not begun, and the mark of a shard.
 */

import * as v from 'valibot'
import { updateObject } from '../access/change-object.ts'
import { createObjectId } from '../access/object-id.ts'
import { refuseNotFound } from '../access/problems.ts'
import { findVisible, listObjects } from '../access/view.ts'
import {
  type Migration,
  type MigrationAction,
  type MigrationPlan,
  type MigrationSummary,
  migrationCreateSchema,
} from '../contract/migration.ts'
import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import type { Decision } from '../control-plane/act.ts'
import {
  type EventDraft,
  OutcomeUnknownError,
  type StoredObject,
  transactionWritesMaximum,
  type Write,
  write,
} from '../control-plane/store.ts'
import { addressKind, type MigrationValue, migrationKind, moveKind, type ShardValue, shardKind } from '../objects.ts'
import type { ControllerContext, MigrationService, RequestInfo } from '../services.ts'
import { describeShardUpdate } from './cut-shard.ts'
import { missingMoves, resetMoves } from './migration-moves.ts'
import { breaksConnections, estimateSeconds } from './plan-shard-migration.ts'
import { touchOccupancy } from './shard-occupancy.ts'
import {
  checkTargetNetwork,
  chooseMode,
  createHolderNaming,
  decideStart,
  describeExternal,
  describeMigrating,
  type MigrationInput,
  movesAtOnceMaximum,
  prepareMigration,
  saysTheSame,
} from './start-migration.ts'
import { steerMigration } from './steer-migration.ts'
import { createMigrationViewer, describeMigrationEvent, statusOf } from './view-migration.ts'

type Context = Pick<ControllerContext, 'store' | 'actions' | 'now' | 'wake'>
type StoredMigration = StoredObject<MigrationValue>

/** A shard has at most 4,093 holders: some nine batches of moves. */
const batchesMaximum = 32

export function createMigrationsService(context: Context): MigrationService {
  const view = (object: StoredMigration): Migration => createMigrationViewer(context, object.id)(object)

  async function begin(
    shardId: string,
    input: MigrationInput,
    request: RequestInfo,
    isSame: (value: MigrationValue) => boolean,
  ): Promise<Outcome<Migration>> {
    const shard = await findVisible(context, shardKind, shardId, projectIdOf, request)
    if (!shard.ok) return shard
    const started = await startMigration(context, shard.value, input, request, isSame)
    if (started.ok) context.wake()
    return started.ok ? succeed(view(started.value)) : started
  }

  return {
    async plan(shardId, input, request) {
      const shard = await findVisible(context, shardKind, shardId, projectIdOf, request)
      return shard.ok ? planMigration(context, shard.value, input, request) : shard
    },
    start: (shardId, input, request) => begin(shardId, input, request, (value) => saysTheSame(value, input)),
    evacuate: (shardId, request) =>
      begin(shardId, defaults(), request, ({ wanted, toNetworkId }) => wanted === 'run' && toNetworkId === null),
    async list(query, request) {
      const clientId = query.projectId ?? request.caller.projectId ?? undefined
      const viewMigration = createMigrationViewer(context, clientId)
      const viewEach = (object: StoredMigration): MigrationSummary => {
        const { moves: _, ...summary } = viewMigration(object)
        return summary
      }
      return succeed(listObjects(context, { kind: migrationKind, projectIdOf, view: viewEach }, query, request))
    },
    async show(id, request) {
      const found = await findVisible(context, migrationKind, id, projectIdOf, request)
      return found.ok ? succeed(view(found.value)) : found
    },
    async act(id, action, request) {
      const found = await findVisible(context, migrationKind, id, projectIdOf, request)
      if (!found.ok) return found
      const acted = await actOnMigration(context, found.value, action, request)
      if (acted.ok) context.wake()
      return acted.ok ? succeed(view(acted.value)) : acted
    },
  }
}

const projectIdOf = ({ value }: StoredObject<{ readonly projectId: string }>) => value.projectId

const defaults = (): MigrationInput => v.parse(migrationCreateSchema, {})

/**
 * Writes the moves that a migration lacks, in batches, each on its own: one that was written meanwhile is left alone.
 * What is not written now is found missing again. Answers true when all are there.
 */
export async function writeMissingMoves(context: Pick<Context, 'store' | 'now'>, id: string): Promise<boolean> {
  const { store } = context
  for (let batch = 0; batch < batchesMaximum; batch++) {
    const migration = await store.get(migrationKind, id)
    if (migration === null) return true
    const naming = { nameOf: createHolderNaming(context, id), now: context.now() }
    const missing = missingMoves(migration, store.snapshot(addressKind, id), store.snapshot(moveKind, id), naming)
    if (missing.length === 0) return true
    if (!(await writeBatch(context, missing))) return false
  }
  return false
}

/** False: the store can't be written now. A conflict is somebody who was faster, which memory shows by now. */
async function writeBatch({ store }: Pick<Context, 'store'>, writes: readonly Write[]): Promise<boolean> {
  try {
    const outcome = await store.transact({ writes: writes.slice(0, transactionWritesMaximum) })
    return outcome.outcome !== 'unavailable'
  } catch (error) {
    if (!(error instanceof OutcomeUnknownError)) throw error
    return false
  }
}

async function planMigration(
  context: Context,
  shard: StoredObject<ShardValue>,
  input: MigrationInput,
  request: RequestInfo,
): Promise<Outcome<MigrationPlan>> {
  const target = await checkTargetNetwork(context, shard, input.toNetworkId, request)
  if (!target.ok) return target
  const { migrationId, name } = shard.value
  const running = migrationId === undefined ? null : await context.store.get(migrationKind, migrationId)
  if (running !== null) return refuse(describeMigrating(name, running.id, statusOf(running.value)))
  const prepared = prepareMigration(context, shard)
  if (!prepared.ok) return prepared
  const { moves, networkId } = prepared.value
  const mode = chooseMode(context, networkId, input)
  return succeed({
    shardId: shard.id,
    networkId,
    toNetworkId: input.toNetworkId ?? null,
    mode,
    moves: moves.map(({ ownerId, ownerKind, name: holder, address, to }) => ({
      ownerId,
      ownerKind,
      name: holder,
      from: address,
      to: to.address,
      breaksConnections: breaksConnections(mode, ownerKind),
    })),
    secondsMaximum: estimateSeconds(moves.length, input),
  })
}

/** The shard is what is changed: If-Match names its version, and whoever changes it meanwhile has this decided again. */
async function startMigration(
  context: Context,
  shard: StoredObject<ShardValue>,
  input: MigrationInput,
  request: RequestInfo,
  isSame: (value: MigrationValue) => boolean,
): Promise<Outcome<StoredMigration>> {
  const { projectId } = shard.value
  const id = createObjectId(migrationKind, projectId, request.seed)
  const before = await context.store.get(migrationKind, id)
  if (before === null) {
    const target = await checkTargetNetwork(context, shard, input.toNetworkId, request)
    if (!target.ok) return target
  }
  let answeredId = id
  const apply = async (current: StoredObject<ShardValue>): Promise<Decision<ShardValue, Problem>> => {
    answeredId = id
    const { migrationId, name } = current.value
    if (migrationId === undefined) return decideStart(context, id, current, input)
    const running = await context.store.get(migrationKind, migrationId)
    if (running === null || !isSame(running.value)) {
      const status = running === null ? 'unknown' : statusOf(running.value)
      return { kind: 'refuse', problem: describeMigrating(name, migrationId, status) }
    }
    answeredId = migrationId
    return { kind: 'keep' }
  }
  if (before === null) {
    const marked = await updateObject(context, { kind: shardKind, id: shard.id, apply }, request)
    if (!marked.ok) return marked
  }
  await writeMissingMoves(context, answeredId)
  const migration = await context.store.get(migrationKind, answeredId)
  return migration === null ? refuseNotFound(migrationKind.name, answeredId) : succeed(migration)
}

async function actOnMigration(
  context: Context,
  migration: StoredMigration,
  action: MigrationAction,
  request: RequestInfo,
): Promise<Outcome<StoredMigration>> {
  const steering = steerMigration(migration.id, migration.value, action)
  if (steering.kind === 'steer' && steering.resetsMoves) await resetInBatches(context, migration)
  const apply = (current: StoredMigration) => decideAction(context, current, action)
  return updateObject(context, { kind: migrationKind, id: migration.id, apply }, request)
}

/** As many as don't fit into the transaction that has the migration go on. Nobody moves them before that. */
async function resetInBatches(context: Context, migration: StoredMigration): Promise<void> {
  for (let batch = 0; batch < batchesMaximum; batch++) {
    const resets = listResets(context, migration)
    if (resets.length <= movesAtOnceMaximum || !(await writeBatch(context, resets))) return
  }
}

function listResets({ store, now }: Context, migration: StoredMigration): readonly Write[] {
  const { id } = migration
  return resetMoves(migration, store.snapshot(addressKind, id), store.snapshot(moveKind, id), now())
}

async function decideAction(
  context: Context,
  migration: StoredMigration,
  action: MigrationAction,
): Promise<Decision<MigrationValue, Problem>> {
  const { id, value } = migration
  const steering = steerMigration(id, value, action)
  if (steering.kind !== 'steer') return steering
  const mark = steering.marksShard ? await markShard(context, migration) : succeed<Mark>({ writes: [], events: [] })
  if (!mark.ok) return { kind: 'refuse', problem: mark.problem }
  const resets = steering.resetsMoves ? listResets(context, migration).slice(0, movesAtOnceMaximum) : []
  const steered: MigrationValue = {
    ...value,
    wanted: steering.wanted,
    status: 'running',
    reason: null,
    finishedAt: null,
  }
  return {
    kind: 'write',
    value: steered,
    writes: [...mark.value.writes, ...resets],
    events: [
      ...mark.value.events,
      describeMigrationEvent('migration.updated', id, value, { status: statusOf(steered) }),
    ],
  }
}

interface Mark {
  readonly writes: readonly Write[]
  readonly events: readonly EventDraft[]
}

/** The shard of a migration that had been cancelled gives addresses again: it is marked anew, if it is where it was. */
async function markShard(context: Context, { id, value }: StoredMigration): Promise<Outcome<Mark>> {
  const shard = await context.store.get(shardKind, value.shardId)
  const refuseMark = (detail: string) =>
    refuse({
      code: 'conflict',
      title: 'The migration can not go on',
      detail,
      remedy: 'Start another migration of the shard that its holders are in now.',
      errors: [{ field: 'id', message: detail }],
    })
  if (shard === null) return refuseMark(`Its shard ${value.shardId} has been deleted.`)
  const { name, networkId, migrationId } = shard.value
  if (networkId !== value.networkId) return refuseMark(`Its shard '${name}' is not on the network ${value.networkId}.`)
  if (migrationId !== undefined && migrationId !== id) {
    return refuseMark(`Its shard '${name}' is migrating by another one: ${migrationId}.`)
  }
  const external = describeExternal(context, shard)
  if (external !== null) return refuse(external)
  const marked = { ...shard.value, migrationId: id }
  return succeed({
    writes: [
      write({ kind: shardKind, id: shard.id, expect: shard.version, value: marked }),
      ...touchOccupancy(context, shard.id),
    ],
    events: [describeShardUpdate(shard.id, marked)],
  })
}
