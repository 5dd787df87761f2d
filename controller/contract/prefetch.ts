/** What users will probably do next, and which reads are kept in memory for it: asked, shown, explained, switched. */

import * as v from 'valibot'

const userSchema = v.pipe(
  v.string(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(64, 'must be at most 64 characters'),
)
const actionTypeSchema = v.pipe(
  v.string(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(64, 'must be at most 64 characters'),
)
const amountSchema = v.pipe(v.number(), v.finite('must be a number'), v.minValue(0, 'must be 0 or more'))

export const recentActionsMaximum = 64

/** What an action used; what is not known is left out. */
export const resourceUsageSchema = v.strictObject({
  loadShare: v.optional(
    v.pipe(
      amountSchema,
      v.maxValue(1, 'must be 0 to 1'),
      v.description('The share of what the user may use that was in use; 1: refused for lack of it'),
    ),
  ),
  milliseconds: v.optional(v.pipe(amountSchema, v.description('How long it was worked on'))),
  bytes: v.optional(v.pipe(amountSchema, v.description('How much was answered'))),
})

export const nextActionSchema = v.strictObject({
  userAccountId: v.pipe(userSchema, v.description("A token's id, or for admins any name of a user")),
  recentActions: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          actionType: v.pipe(
            actionTypeSchema,
            v.description('The id of an operation; one that is not known is taken as something that happened'),
          ),
          at: v.pipe(v.string(), v.isoTimestamp('must be a time as 2026-01-31T12:00:00Z')),
        }),
      ),
      v.maxLength(recentActionsMaximum, `must be at most ${recentActionsMaximum}`),
      v.description("Oldest first; left out: those of the user's that were seen here"),
    ),
  ),
  resourceUsage: v.optional(v.pipe(resourceUsageSchema, v.description('Of the last of them'))),
})
export type NextActionQuestion = v.InferOutput<typeof nextActionSchema>

export const actionProbabilitiesSchema = v.array(v.object({ actionType: v.string(), probability: v.number() }))
export type ActionProbabilities = v.InferOutput<typeof actionProbabilitiesSchema>

const readSchema = {
  actionType: v.string(),
  parameters: v.record(v.string(), v.string()),
  query: v.record(v.string(), v.string()),
}

export const cachedReadSchema = v.object({
  /** Null: it is in a stream of its own, as events and measures are. */
  microshard: v.nullable(v.string()),
  actionType: v.string(),
  /** Who is answered with it: `admin`, or a project. */
  audience: v.string(),
  parameters: v.record(v.string(), v.string()),
  query: v.record(v.string(), v.string()),
  source: v.string(),
  version: v.number(),
  readAt: v.string(),
  ageSeconds: v.number(),
  bytes: v.number(),
  timesServed: v.number(),
  /** Why it is there. */
  reason: v.picklist(['missed', 'prefetched']),
  /** Of what was read ahead: for whom, how likely it was to be next, and what that was worth. */
  userAccountId: v.nullable(v.string()),
  probability: v.nullable(v.number()),
  valueMilliseconds: v.nullable(v.number()),
})

const countSchema = v.number()
export const prefetchSchema = v.object({
  isOn: v.boolean(),
  logsActions: v.boolean(),
  /** False: this controller was started with it off, whatever the switches say. */
  isAllowedHere: v.boolean(),
  ageSecondsMaximum: v.number(),
  bytes: v.number(),
  bytesMaximum: v.number(),
  /** Since this controller was started. */
  reads: v.object({
    hits: countSchema,
    prefetchedHits: countSchema,
    joined: countSchema,
    misses: v.record(v.string(), countSchema),
    prefetched: countSchema,
    prefetchedServed: countSchema,
    prefetchedInVain: countSchema,
    savedMilliseconds: v.number(),
    prefetchMilliseconds: v.number(),
    oldestServedMilliseconds: v.number(),
  }),
  model: v.object({
    users: countSchema,
    contexts: countSchema,
    actionTypes: countSchema,
    /** Up to where in the log of actions it has learned. */
    sequence: countSchema,
  }),
  log: v.object({ written: countSchema, lost: countSchema }),
  /** Those used last come first. */
  entries: v.array(cachedReadSchema),
})
export type PrefetchView = v.InferOutput<typeof prefetchSchema>

export const prefetchChangeSchema = v.strictObject({
  isOn: v.optional(v.pipe(v.boolean(), v.description('Whether reads are kept in memory and made ahead'))),
  logsActions: v.optional(v.pipe(v.boolean(), v.description('Whether what users do is logged, and so learned'))),
})
export type PrefetchChange = v.InferOutput<typeof prefetchChangeSchema>

export const prefetchExplanationSchema = v.object({
  userAccountId: v.string(),
  next: actionProbabilitiesSchema,
  /** The most valuable first. */
  candidates: v.array(
    v.object({
      ...readSchema,
      /** How it was found: as the user's last one was, aimed at what was looked at last, or as others read. */
      way: v.picklist(['asBefore', 'aimed', 'asOthers']),
      probability: v.number(),
      savedMilliseconds: v.number(),
      /** That what is read now is still as good when it is asked for. */
      validity: v.number(),
      costMilliseconds: v.number(),
      valueMilliseconds: v.number(),
      decision: v.picklist(['prefetch', 'cached', 'notWorth', 'overBudget']),
    }),
  ),
})
export type PrefetchExplanation = v.InferOutput<typeof prefetchExplanationSchema>
