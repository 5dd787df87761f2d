/** Stacks: what Terraform and OpenTofu keep of them here by their HTTP backend, and who holds their locks. */

import * as v from 'valibot'
import { pageSchema } from './common.ts'

/** It is part of a URL, and of nothing else. */
export const stackNameSchema = v.pipe(
  v.string(),
  v.regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    'must be lower-case letters, digits, dots, hyphens and underscores, at most 63, and begin with a letter or digit',
  ),
)

/** As both programs send it and show it. They write its names so. */
export const lockInfoSchema = v.object({
  ID: v.pipe(v.string(), v.minLength(1, 'must not be empty'), v.maxLength(200, 'must be at most 200 characters')),
  Operation: v.optional(v.string(), ''),
  Info: v.optional(v.string(), ''),
  Who: v.optional(v.string(), ''),
  Version: v.optional(v.string(), ''),
  /** Whoever reads it back as a time takes nothing else. */
  Created: v.optional(v.pipe(v.string(), v.isoTimestamp('must be a time as 2026-01-31T12:00:00Z'))),
  Path: v.optional(v.string(), ''),
})
export type LockInfo = v.InferOutput<typeof lockInfoSchema>

export const stackStateSchema = v.object({
  /** Counts up by one with each state that is written. */
  version: v.number(),
  /** Of the state itself; null: it is encrypted by its program, or not of a form that is known. */
  serial: v.nullable(v.number()),
  lineage: v.nullable(v.string()),
  bytes: v.number(),
  /** The version of the key that it is encrypted with. */
  keyVersion: v.number(),
  /** The token that it was written with. */
  writtenBy: v.string(),
  writtenAt: v.string(),
})
export type StackState = v.InferOutput<typeof stackStateSchema>

export const stackLockSchema = v.object({
  id: v.string(),
  who: v.string(),
  operation: v.string(),
  info: v.string(),
  /** The token that it was taken with. */
  takenBy: v.string(),
  takenAt: v.string(),
})
export type StackLock = v.InferOutput<typeof stackLockSchema>

export const stackSchema = v.object({
  id: v.string(),
  name: v.string(),
  /** Null: it belongs to the rack, as those of hosts do. */
  projectId: v.nullable(v.string()),
  shardKey: v.string(),
  version: v.number(),
  status: v.picklist(['free', 'locked']),
  /** Null: there is none, yet or any more. */
  state: v.nullable(stackStateSchema),
  lock: v.nullable(stackLockSchema),
  createdAt: v.string(),
  updatedAt: v.string(),
})
export type Stack = v.InferOutput<typeof stackSchema>
export const stackPageSchema = pageSchema(stackSchema)
export const stackVersionsSchema = v.object({ items: v.array(stackStateSchema) })

/** The version whose state it is to have again. */
export const stackRollbackSchema = v.strictObject({
  version: v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(1, 'must be 1 or more')),
})
export type StackRollback = v.InferOutput<typeof stackRollbackSchema>
