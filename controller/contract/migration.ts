/** Migrations: a shard's holders move to other shards of its network while they run, until nobody holds an address of it. */

import * as v from 'valibot'
import { idSchema, objectEntries } from './common.ts'

/**
 * `overlap`: both addresses live until the connections of the old one have ended. `restart`: the interface goes down and
 * comes up with the new one, after the machine was drained from the balancers in front of it; its own connections break.
 */
export const migrationModes = ['overlap', 'restart'] as const
export const migrationModeDefault = 'overlap'

export const migrationCreateSchema = v.strictObject({
  /** Left out: as the address policy of the holders' network says (`migrationMode`), or else `overlap`. */
  mode: v.optional(v.picklist(migrationModes)),
  /** The network that the shard joins once it is empty; left out: none, and it is available. */
  toNetworkId: v.optional(idSchema('net')),
  /** Holders that move at the same time. */
  parallelism: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64)), 8),
  /** How long old connections may go on. */
  drainSeconds: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(3600)), 30),
  /** Answers what would move where, and changes nothing. */
  dryRun: v.optional(v.boolean(), false),
})

export const migrationStatuses = [
  'running',
  'blocked',
  'cancelling',
  'cancelled',
  'rolling-back',
  'rolled-back',
  'done',
] as const

/**
 * A move's way: `waiting` → `adding` (both addresses are being made) → `switching` (balancers, names and DHCP follow) →
 * `draining` → `removing` (the old one goes) → `done`. In `restart` mode: `waiting` → `draining` (out of its balancers) →
 * `replacing` → `done`. One that can't go on goes back: `returning` → `failed`, or `undone` where that was asked for.
 * `gone`: its holder was deleted meanwhile.
 */
export const moveSteps = [
  'waiting',
  'adding',
  'switching',
  'draining',
  'replacing',
  'removing',
  'done',
  'returning',
  'failed',
  'undone',
  'gone',
] as const

export const moveSchema = v.object({
  ownerId: v.string(),
  ownerKind: v.picklist(['machine', 'instance']),
  name: v.string(),
  from: v.string(),
  /** Null until it has been taken. */
  to: v.nullable(v.string()),
  mode: v.picklist(migrationModes),
  step: v.picklist(moveSteps),
  /** Why it failed or waits. */
  reason: v.nullable(v.string()),
  startedAt: v.nullable(v.string()),
  finishedAt: v.nullable(v.string()),
})

/** As lists show it: a shard may have thousands of holders. */
export const migrationSummarySchema = v.object({
  ...objectEntries,
  status: v.picklist(migrationStatuses),
  shardId: v.string(),
  /** The network that the holders are on. */
  networkId: v.string(),
  toNetworkId: v.nullable(v.string()),
  mode: v.picklist(migrationModes),
  parallelism: v.number(),
  drainSeconds: v.number(),
  /** Why it is blocked. */
  reason: v.nullable(v.string()),
  movesTotal: v.number(),
  movesDone: v.number(),
  movesFailed: v.number(),
  startedAt: v.string(),
  finishedAt: v.nullable(v.string()),
})

export const migrationSchema = v.object({ ...migrationSummarySchema.entries, moves: v.array(moveSchema) })

/** What would move where: the addresses may be others by the time it runs. */
export const migrationPlanSchema = v.object({
  shardId: v.string(),
  networkId: v.string(),
  toNetworkId: v.nullable(v.string()),
  mode: v.picklist(migrationModes),
  moves: v.array(
    v.object({
      ownerId: v.string(),
      ownerKind: v.picklist(['machine', 'instance']),
      name: v.string(),
      from: v.string(),
      to: v.string(),
      breaksConnections: v.boolean(),
    }),
  ),
  /** At most, when every drain takes its whole time. */
  secondsMaximum: v.number(),
})

export const migrationActions = ['cancel', 'rollback', 'resume'] as const

export type MigrationCreate = v.InferOutput<typeof migrationCreateSchema>
export type MigrationSummary = v.InferOutput<typeof migrationSummarySchema>
export type Migration = v.InferOutput<typeof migrationSchema>
export type MigrationPlan = v.InferOutput<typeof migrationPlanSchema>
export type MigrationAction = (typeof migrationActions)[number]
export type MigrationMode = (typeof migrationModes)[number]
export type MoveStep = (typeof moveSteps)[number]
