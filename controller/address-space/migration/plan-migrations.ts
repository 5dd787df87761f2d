/**
 * What is next for every migration that has not ended: which holders begin, which go a step on, which go back, and what
 * has become of the whole. Pure, and driven from the store alone, so that whoever plans carries on where another died.
 */

import type { EventDraft, StoredObject } from '../../control-plane/store.ts'
import type { MigrationValue, ShardValue } from '../../objects.ts'
import { describeShardUpdate } from '../cut-shard.ts'
import { createLeavingMembers, type LeavingMembers } from './leaving-members.ts'
import {
  isUnderWay,
  type MigrationOperation,
  type Settlement,
  type StoredMigration,
  type StoredMove,
} from './migration-operation.ts'
import { createMigrationView, type MigrationTurn, type MigrationView } from './migration-view.ts'
import { findHolder, holdsJust, type MovePlan } from './move-plan.ts'
import { noteUnhealthy, planMove } from './plan-move.ts'

/** Of one transaction: each takes a write for its move and three for addresses, records and the event, at most. */
const settlementsMaximum = 100

export function planMigrations(turn: MigrationTurn): readonly MigrationOperation[] {
  const migrations = [...turn.snapshot.migrations.values()].filter(isOpen)
  if (migrations.length === 0) return []
  const view = createMigrationView(turn, migrations)
  // A holder moves in one migration at a time.
  const busy = new Set(view.moverOf.keys())
  const planned = migrations.map((migration) => {
    const moves = view.movesOf.get(migration.id) ?? []
    return { migration, moves: moves.map((move) => ({ move, plan: planMove(view, migration, move) })) }
  })
  const moving = planned.flatMap(({ moves }) => moves.filter(isMovingNow).map(({ move }) => move))
  const leaving = createLeavingMembers(view, moving)
  return planned.flatMap(({ migration, moves }) => planMigration({ view, migration, moves, busy, leaving }))
}

/** Has not ended: what is blocked goes on by itself where what stood in its way is gone. */
export const isOpen = ({ value }: Pick<StoredMigration, 'value'>) =>
  value.status === 'running' || value.status === 'blocked'

interface PlannedMove {
  readonly move: StoredMove
  readonly plan: MovePlan
}

interface PlannedMigration {
  readonly view: MigrationView
  readonly migration: StoredMigration
  readonly moves: readonly PlannedMove[]
  /** Who moves already; grows with those who begin. */
  readonly busy: Set<string>
  /** Of all migrations; grows likewise. */
  readonly leaving: LeavingMembers
}

function planMigration(planned: PlannedMigration): readonly MigrationOperation[] {
  const { migration, moves } = planned
  const operations: MigrationOperation[] = [...planSteps(migration, moves), ...planShapes(migration, moves)]
  const next = chooseNext(planned, Math.max(0, migration.value.parallelism - moves.filter(isMovingNow).length))
  if (next !== null) operations.push(next)
  const isMoving = operations.length > 0 || moves.some((one) => isPending(planned, one))
  return [...operations, ...planStatus(planned, isMoving)]
}

/** Something will become of it by itself: it goes on, or has yet to begin or to go back, where that is wanted. */
const isPending = (planned: PlannedMigration, one: PlannedMove): boolean =>
  one.plan.kind === 'wait' ? !one.plan.isStuck && !isLeftAlone(planned, one) : isNext(planned, one)

/** It has not begun, and nobody begins any more. */
const isLeftAlone = ({ migration }: PlannedMigration, { move }: PlannedMove) =>
  move.value.step === 'waiting' && migration.value.wanted !== 'run'

/** It can begin, or go back, as soon as it is its turn. */
function isNext({ view, migration }: PlannedMigration, { move, plan }: PlannedMove): boolean {
  const { wanted } = migration.value
  if (plan.kind !== 'rest') return false
  if (wanted === 'run') return move.value.step === 'waiting'
  return wanted === 'rollback' && canReturn(view, move)
}

const isStuck = (plan: MovePlan) => plan.kind === 'wait' && plan.isStuck

/** Who is stuck takes nobody's turn. */
const isMovingNow = ({ move, plan }: PlannedMove) => isUnderWay(move.value) && !isStuck(plan)

function planSteps(migration: StoredMigration, moves: readonly PlannedMove[]): MigrationOperation[] {
  const steps = moves.flatMap(({ move, plan }) => (plan.kind === 'step' ? [{ move, value: plan.value }] : []))
  const settlements = moves.flatMap(({ plan }): Settlement[] => (plan.kind === 'settle' ? [plan.settlement] : []))
  return [
    ...inBatches(steps, settlementsMaximum).map((batch) => ({ kind: 'stepMoves', migration, steps: batch }) as const),
    ...inBatches(settlements, settlementsMaximum).map(
      (batch) => ({ kind: 'settleMoves', migration, settlements: batch }) as const,
    ),
  ]
}

/** Two moves may concern one balancer: the second one's turn is the next. */
function planShapes(migration: StoredMigration, moves: readonly PlannedMove[]): MigrationOperation[] {
  const shaped = new Set<string>()
  return moves.flatMap(({ move, plan }): MigrationOperation[] => {
    if (plan.kind !== 'shape') return []
    const id = plan.writes[0]?.id ?? ''
    if (shaped.has(id)) return []
    shaped.add(id)
    return [{ kind: 'shapeHolder', migration, move, writes: plan.writes }]
  })
}

function chooseNext(planned: PlannedMigration, slots: number): MigrationOperation | null {
  const { view, migration, moves, busy, leaving } = planned
  const candidates = moves.filter((one) => isNext(planned, one) && !busy.has(one.move.value.ownerId))
  const chosen: StoredMove[] = []
  for (const { move } of candidates) {
    if (chosen.length >= slots) break
    if (leaving.admit(move)) chosen.push(move)
  }
  if (chosen.length === 0) return null
  for (const { value } of chosen) busy.add(value.ownerId)
  return migration.value.wanted === 'run'
    ? { kind: 'beginMoves', migration, moves: chosen.map((move) => noteUnhealthy(view, move)) }
    : { kind: 'returnMoves', migration, moves: chosen }
}

/** One that has moved on since, by another migration, stays where it is. */
function canReturn(view: MigrationView, { value }: StoredMove): boolean {
  const holder = findHolder(view, value)
  if (value.step !== 'done' || value.to === null || holder === undefined) return false
  return holder.leavingSince === null && holdsJust(holder, value.to.address)
}

/** What the whole has come to, once nothing more happens by itself. */
function planStatus(planned: PlannedMigration, isMoving: boolean): readonly MigrationOperation[] {
  const { view, migration, moves } = planned
  const { value } = migration
  if (isMoving) {
    // Whoever waits for it to come to rest must see that it goes on.
    return value.status === 'running' ? [] : [record(view, migration, { status: 'running', reason: null })]
  }
  const troubles = listTroubles(planned)
  if (troubles.length > 0) {
    const reason = describeTroubles(troubles, moves.length)
    if (value.status === 'blocked' && value.reason === reason) return []
    return [record(view, migration, { status: 'blocked', reason })]
  }
  switch (value.wanted) {
    case 'run':
      return [{ kind: 'finishMigration', migration }]
    case 'cancel':
      return [record(view, migration, { status: 'cancelled', reason: null })]
    case 'rollback':
      return [record(view, migration, { status: 'rolled-back', reason: null })]
    default:
      return value.wanted satisfies never
  }
}

interface Trouble {
  readonly name: string
  readonly address: string
  readonly reason: string
}

/** A move that failed is at its old address: that is no trouble for what is to end there. */
function listTroubles(planned: PlannedMigration): readonly Trouble[] {
  const { wanted } = planned.migration.value
  return planned.moves.flatMap((one) => {
    const { move, plan } = one
    const { name, from, step, reason } = move.value
    if (isLeftAlone(planned, one)) return []
    if (plan.kind === 'wait' && plan.isStuck) return [{ name, address: from.address, reason: plan.reason }]
    const matters = wanted === 'run' || (wanted === 'rollback' && reason?.startsWith(noWayBack) === true)
    return step === 'failed' && matters ? [{ name, address: from.address, reason: reason ?? 'It failed.' }] : []
  })
}

/** How the reason begins of a move whose old address could not be taken again. */
export const noWayBack = 'It can not go back: '

const troublesNamed = 5

function describeTroubles(troubles: readonly Trouble[], total: number): string {
  const named = troubles.slice(0, troublesNamed).map(({ name, address, reason }) => `${name} (${address}): ${reason}`)
  const rest = troubles.length - named.length
  return `${troubles.length} of ${total} holders could not move. ${named.join(' ')}${rest > 0 ? ` And ${rest} more.` : ''}`
}

function record(
  { now, snapshot }: MigrationView,
  migration: StoredMigration,
  { status, reason }: Pick<MigrationValue, 'status' | 'reason'>,
): MigrationOperation {
  const hasEnded = status === 'cancelled' || status === 'rolled-back'
  const finishedAt = hasEnded ? new Date(now).toISOString() : null
  const value: MigrationValue = { ...migration.value, status, reason, finishedAt }
  const shard = snapshot.shards.get(value.shardId) ?? null
  const unmarks = hasEnded && shard?.value.migrationId === migration.id ? shard : null
  const events = [...describeUnmarked(unmarks), ...describeOutcome(migration.id, value)]
  return { kind: 'recordMigration', migration, value, unmarks, events }
}

function describeUnmarked(shard: StoredObject<ShardValue> | null): readonly EventDraft[] {
  if (shard === null) return []
  const { migrationId: _, ...kept } = shard.value
  return [describeShardUpdate(shard.id, kept)]
}

/** That it goes on again is told by whoever asked for that, or by the steps that follow. */
export function describeOutcome(migrationId: string, value: MigrationValue): readonly EventDraft[] {
  const { projectId, shardId, networkId, toNetworkId, reason, status } = value
  const draft = (type: string, data: object): EventDraft[] => [
    { type, projectId, subject: migrationId, data: { shardId, networkId, ...data } },
  ]
  switch (status) {
    case 'running':
      return []
    case 'blocked':
      return draft('migration.blocked', { reason })
    case 'done':
      return draft('migration.completed', { toNetworkId })
    case 'cancelled':
    case 'rolled-back':
      return draft(`migration.${status}`, {})
    default:
      return status satisfies never
  }
}

function inBatches<Value>(values: readonly Value[], size: number): readonly (readonly Value[])[] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, i) => values.slice(i * size, (i + 1) * size))
}
