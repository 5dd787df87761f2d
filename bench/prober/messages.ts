/** What the driver and a prober say to each other: JSON lines on the prober's standard input and output. */

import * as v from 'valibot'

const targetSchema = v.object({ address: v.string(), port: v.number() })
export type Target = v.InferOutput<typeof targetSchema>

const pace = { periodMilliseconds: v.number(), timeoutMilliseconds: v.number() }

export const commandSchema = v.variant('kind', [
  /** Asks every target until each has answered 200 once, and answers `first`. */
  v.object({
    kind: v.literal('awaitFirst'),
    targets: v.array(targetSchema),
    ...pace,
    giveUpMilliseconds: v.number(),
  }),
  /** Asks the target steadily until `endWatch`; answers `watching` at the first 200. */
  v.object({ kind: v.literal('watch'), target: targetSchema, ...pace, giveUpMilliseconds: v.number() }),
  v.object({ kind: v.literal('endWatch') }),
])
export type Command = v.InferOutput<typeof commandSchema>

/** Wall-clock milliseconds of a probe's start and end. */
const spanSchema = v.tuple([v.number(), v.number()])
export type Span = v.InferOutput<typeof spanSchema>

const watchedSchema = v.object({
  kind: v.literal('watched'),
  from: v.number(),
  to: v.number(),
  successes: v.array(spanSchema),
  failures: v.array(v.object({ span: spanSchema, why: v.string() })),
  /** The longest time between two probes' starts: above the period, it was the prober that waited for the processor. */
  longestStallMilliseconds: v.number(),
})
export type Watched = v.InferOutput<typeof watchedSchema>

export const answerSchema = v.variant('kind', [
  v.object({ kind: v.literal('ready') }),
  /** When each target's first 200 was there whole, in the order of the targets; null where none came in time. */
  v.object({ kind: v.literal('first'), at: v.array(v.nullable(v.number())) }),
  v.object({ kind: v.literal('watching') }),
  watchedSchema,
])
export type Answer = v.InferOutput<typeof answerSchema>
