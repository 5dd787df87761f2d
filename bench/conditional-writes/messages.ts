/** What the driver and a worker say to each other: JSON lines on the worker's standard input and output. */

import * as v from 'valibot'
import { reportSchema as closedLoopSchema } from '../allocate/messages.ts'

export const policies = ['ours', 'blind retry', 'read first', 'raw'] as const
export type Policy = (typeof policies)[number]

const loadSchema = v.object({
  policy: v.picklist(policies),
  /** Whose the keys are: those who name the same race for them. */
  name: v.string(),
  keys: v.number(),
  /** The exponent by which they are drawn; null: each writer has a key of its own. */
  zipf: v.nullable(v.number()),
  inFlight: v.number(),
  warmUpMilliseconds: v.number(),
  milliseconds: v.number(),
})
export type Load = v.InferOutput<typeof loadSchema>

export const commandSchema = v.variant('kind', [
  /** Connects as a controller does; answers `ready`. */
  v.object({ kind: v.literal('open'), url: v.string(), name: v.string() }),
  /** Makes the keys; answers `ready`. */
  v.object({ kind: v.literal('create'), name: v.string(), keys: v.number() }),
  /** Changes them; answers `ran`. */
  v.object({ kind: v.literal('run'), load: loadSchema }),
])
export type Command = v.InferOutput<typeof commandSchema>

export const reportSchema = v.object({
  ...closedLoopSchema.entries,
  /** Writes that were begun, warm-up and all, and those of them that another was faster than. */
  begun: v.number(),
  wasted: v.number(),
})
export type Report = v.InferOutput<typeof reportSchema>

export const answerSchema = v.variant('kind', [
  v.object({ kind: v.literal('ready') }),
  v.object({ kind: v.literal('ran'), report: reportSchema }),
])
export type Answer = v.InferOutput<typeof answerSchema>
