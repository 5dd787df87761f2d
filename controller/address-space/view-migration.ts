/** Migrations as callers see them: what was asked for, and how far each holder is. Reads the store. */

import { viewObject } from '../access/view.ts'
import type { Migration } from '../contract/migration.ts'
import type { EventDraft, StoredObject } from '../control-plane/store.ts'
import { type MigrationValue, type MoveValue, moveKind, shardKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import { addressOf } from './cidr.ts'

type ViewContext = Pick<ControllerContext, 'store'>

/** One reading of what all migrations of a client are shown with, so that a list costs one reading as well. */
export type MigrationViewer = (object: StoredObject<MigrationValue>) => Migration

/** @param clientId whose: an id of the project's, or undefined for all */
export function createMigrationViewer({ store }: ViewContext, clientId: string | undefined): MigrationViewer {
  const moves = Map.groupBy(store.snapshot(moveKind, clientId), ({ value }) => value.migrationId)
  const shardNames = new Map(store.snapshot(shardKind, clientId).map(({ id, value }) => [id, value.name]))
  return (object) => viewMigration(object, moves.get(object.id) ?? [], shardNames.get(object.value.shardId))
}

/** A migration bears the name of its shard, or that one's id when it is gone. */
function viewMigration(
  object: StoredObject<MigrationValue>,
  moves: readonly StoredObject<MoveValue>[],
  shardName: string | undefined,
): Migration {
  const { value } = object
  const steps = moves.map((move) => move.value.step)
  return {
    ...viewObject(object, { name: shardName ?? value.shardId, projectId: value.projectId }),
    status: statusOf(value),
    shardId: value.shardId,
    networkId: value.networkId,
    toNetworkId: value.toNetworkId,
    mode: value.mode,
    parallelism: value.parallelism,
    drainSeconds: value.drainSeconds,
    reason: value.reason,
    movesTotal: moves.length,
    movesDone: steps.filter((step) => step === 'done' || step === 'gone').length,
    movesFailed: steps.filter((step) => step === 'failed').length,
    startedAt: value.startedAt,
    finishedAt: value.finishedAt,
    moves: moves
      .map((move) => viewMove(move.value))
      .toSorted((one, other) => addressOf(one.from) - addressOf(other.from)),
  }
}

/** What is under way shows what was asked for last; else the status says it. */
export function statusOf({ status, wanted }: Pick<MigrationValue, 'status' | 'wanted'>): Migration['status'] {
  if (status !== 'running') return status
  switch (wanted) {
    case 'run':
      return 'running'
    case 'cancel':
      return 'cancelling'
    case 'rollback':
      return 'rolling-back'
    default:
      return wanted satisfies never
  }
}

/** Nothing more happens by itself: it has ended, or waits for somebody. */
export const isAtRest = (value: Pick<MigrationValue, 'status'>): boolean => value.status !== 'running'

const viewMove = (move: MoveValue): Migration['moves'][number] => ({
  ownerId: move.ownerId,
  ownerKind: move.ownerKind,
  name: move.name,
  from: move.from.address,
  to: move.to?.address ?? null,
  mode: move.mode,
  step: move.step,
  reason: move.reason,
  startedAt: move.startedAt,
  finishedAt: move.finishedAt,
})

export const describeMigrationEvent = (
  type: 'migration.started' | 'migration.updated',
  id: string,
  value: MigrationValue,
  more: Readonly<Record<string, unknown>>,
): EventDraft => ({
  type,
  projectId: value.projectId,
  subject: id,
  data: { shardId: value.shardId, networkId: value.networkId, toNetworkId: value.toNetworkId, ...more },
})
