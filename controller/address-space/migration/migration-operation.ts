/** Everything that a turn may decide to do for migrations, as data. */

import type { EventDraft, StoredObject, Write } from '../../control-plane/store.ts'
import type { MigrationValue, MoveValue, ShardValue } from '../../objects.ts'
import { addressOf } from '../cidr.ts'
import { hasEnded } from '../migration-moves.ts'

export type StoredMigration = StoredObject<MigrationValue>
export type StoredMove = StoredObject<MoveValue>

/** Its holder is being moved, forth or back: one migration at a time does that. */
export const isUnderWay = (value: Pick<MoveValue, 'step'>) => value.step !== 'waiting' && !hasEnded(value)

/** A move that ends, and the address that is free then. */
export interface Settlement {
  readonly move: StoredMove
  readonly value: MoveValue
  /** Of the owner's two, the one that goes. */
  readonly releases: { readonly address: string; readonly shardId: string }
  /**
   * Its holder as it is, and what names its address, written again, so that whoever is about to have the other address
   * taken or named again is stopped. Each is one transaction; none where they were written at the step before anyway.
   */
  readonly seals: readonly (readonly Write[])[]
}

export type MigrationOperation =
  /** Each takes an address in another shard, and is at its first step. */
  | { readonly kind: 'beginMoves'; readonly migration: StoredMigration; readonly moves: readonly StoredMove[] }
  /** Each that was done takes its old address again, and goes back. */
  | { readonly kind: 'returnMoves'; readonly migration: StoredMigration; readonly moves: readonly StoredMove[] }
  | {
      readonly kind: 'stepMoves'
      readonly migration: StoredMigration
      readonly steps: readonly { readonly move: StoredMove; readonly value: MoveValue }[]
    }
  /** Makes a holder, or a balancer that has it as a member, match its step. Of one entity group. */
  | {
      readonly kind: 'shapeHolder'
      readonly migration: StoredMigration
      readonly move: StoredMove
      readonly writes: readonly Write[]
    }
  | {
      readonly kind: 'settleMoves'
      readonly migration: StoredMigration
      readonly settlements: readonly Settlement[]
    }
  /** What has become of a migration; `unmarks`: its shard, which gives addresses again. */
  | {
      readonly kind: 'recordMigration'
      readonly migration: StoredMigration
      readonly value: MigrationValue
      readonly unmarks: StoredObject<ShardValue> | null
      readonly events: readonly EventDraft[]
    }
  /** Every holder has moved: the shard leaves its network, if it is empty indeed. */
  | { readonly kind: 'finishMigration'; readonly migration: StoredMigration }

export const describeMigrationOperation = (operation: MigrationOperation): string => {
  const of = `of ${operation.migration.id}`
  switch (operation.kind) {
    case 'beginMoves':
      return `begin ${operation.moves.length} moves ${of}`
    case 'returnMoves':
      return `return ${operation.moves.length} moves ${of}`
    case 'stepMoves': {
      const steps = operation.steps.map(({ value }) => `${value.name} to ${value.step}`)
      return `step ${steps.slice(0, namesMaximum).join(', ')} (${steps.length} moves) ${of}`
    }
    case 'shapeHolder':
      return `shape ${operation.writes[0]?.id ?? 'nothing'} for ${operation.move.value.name} ${of}`
    case 'settleMoves':
      return `settle ${operation.settlements.length} moves ${of}`
    case 'recordMigration':
      return `record ${operation.value.status} ${of}`
    case 'finishMigration':
      return `finish ${operation.migration.id}`
    default:
      return operation satisfies never
  }
}

const namesMaximum = 3

/** Of a move that has come to another step. */
export const describeStep = (value: MoveValue): EventDraft => ({
  type: 'migration.step',
  projectId: value.projectId,
  subject: value.migrationId,
  data: {
    ownerId: value.ownerId,
    name: value.name,
    from: value.from.address,
    to: value.to?.address ?? null,
    step: value.step,
    reason: value.reason,
  },
})

/** A move at another step, from now on. */
export function atStep(
  value: MoveValue,
  step: MoveValue['step'],
  now: number,
  parts: Partial<Pick<MoveValue, 'reason' | 'returnsAs' | 'to' | 'startedAt' | 'unhealthyMemberIds'>> = {},
): MoveValue {
  const at = new Date(now).toISOString()
  return { ...value, ...parts, step, stepSince: at, finishedAt: hasEnded({ step }) ? at : null }
}

/** In the order of the addresses that they leave. */
export const inOrder = (moves: readonly StoredMove[]): readonly StoredMove[] =>
  moves.toSorted((one, other) => addressOf(one.value.from.address) - addressOf(other.value.from.address))
