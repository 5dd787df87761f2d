/**
 * Changes that could not be made, and wait for a person: what clashes with what, field by field. And changes that are
 * still being made after their request was answered.
 */

import * as v from 'valibot'
import { idSchema, pageSchema } from './common.ts'

export const differenceSchema = v.object({
  /** As a path: `healthCheck.path`. */
  field: v.string(),
  /** In the version that the change was decided on; null: it had none. */
  base: v.unknown(),
  /** As the change wants it. */
  wanted: v.unknown(),
  /** As it is now. */
  latest: v.unknown(),
})
export type Difference = v.InferOutput<typeof differenceSchema>

export const clashReasons = ['contended', 'sameField', 'forgotten', 'untold', 'notAskedFor'] as const

export const clashSchema = v.object({
  kind: v.string(),
  id: v.string(),
  /**
   * `contended`: others were faster each time. `sameField`: somebody else gave a field another value since the version
   * that the change was decided on. `forgotten`: that version is not kept any more. `untold`: it can't be told any more
   * whether the change is made. `notAskedFor`: a host's plan would destroy or replace what nobody asked for.
   */
  reason: v.picklist(clashReasons),
  /** Null: it was absent, or is not kept any more. */
  baseVersion: v.nullable(v.number()),
  latestVersion: v.nullable(v.number()),
  differences: v.array(differenceSchema),
})
/** What stands against each other when a change can't be made: versions, and the fields in which they differ. */
export type Clash = Readonly<Omit<v.InferOutput<typeof clashSchema>, 'differences'>> & {
  readonly differences: readonly Difference[]
}

/** A change as it was asked for: everything that is needed to ask for it again. */
export const originalActionSchema = v.object({
  /** The operation's id in the OpenAPI document: `updateNetwork`. */
  actionType: v.string(),
  dataType: v.string(),
  payload: v.object({
    parameters: v.record(v.string(), v.string()),
    query: v.unknown(),
    body: v.unknown(),
  }),
  /** The version that it was decided on, where it named one. */
  currentVersion: v.nullable(v.number()),
})
export type OriginalAction = v.InferOutput<typeof originalActionSchema>

export const actionStatuses = ['reconciling', 'done', 'refused', 'escalated'] as const

/** A change that was answered 202. */
export const pendingActionSchema = v.object({
  id: v.string(),
  projectId: v.nullable(v.string()),
  shardKey: v.string(),
  version: v.number(),
  status: v.picklist(actionStatuses),
  action: originalActionSchema,
  /** What it was refused with. */
  problem: v.nullable(v.object({ code: v.string(), title: v.string(), detail: v.string() })),
  escalationId: v.nullable(v.string()),
  createdAt: v.string(),
  updatedAt: v.string(),
})
export type PendingAction = v.InferOutput<typeof pendingActionSchema>

export const escalationStatuses = ['open', 'resolved'] as const
export const escalationResolutions = ['retried', 'edited', 'discarded'] as const

export const escalationSchema = v.object({
  id: v.string(),
  projectId: v.nullable(v.string()),
  shardKey: v.string(),
  version: v.number(),
  status: v.picklist(escalationStatuses),
  action: originalActionSchema,
  clash: clashSchema,
  /** The token that asked for the change. */
  raisedBy: v.string(),
  raisedAt: v.string(),
  resolution: v.nullable(
    v.object({
      kind: v.picklist(escalationResolutions),
      /** The token of who decided. */
      by: v.string(),
      at: v.string(),
      /** The version that the change made; null: it made none. */
      version: v.nullable(v.number()),
    }),
  ),
  updatedAt: v.string(),
})
export type Escalation = v.InferOutput<typeof escalationSchema>

export const escalationPageSchema = pageSchema(escalationSchema)
export const escalationIdSchema = idSchema('esc')
export const pendingActionIdSchema = idSchema('act')

/** The fields of the action's body that are to be other ones; the rest stays as it was asked for. */
export const escalationEditSchema = v.strictObject({
  body: v.record(v.string(), v.unknown()),
})
export type EscalationEdit = v.InferOutput<typeof escalationEditSchema>
