/** What the driver and the echo connections say to each other: JSON lines on their standard input and output. */

import * as v from 'valibot'

const targetSchema = v.object({ address: v.string(), port: v.number() })

export const commandSchema = v.variant('kind', [
  /** Opens so many connections to each target; answers `open` once every one of them has had an echo. */
  v.object({ kind: v.literal('open'), targets: v.array(targetSchema), perTarget: v.number() }),
  /** Answers `seen`. */
  v.object({ kind: v.literal('look') }),
  /** Closes those that live, and forgets all; answers `seen`, with how they were before. */
  v.object({ kind: v.literal('close') }),
])
export type Command = v.InferOutput<typeof commandSchema>

const connectionSchema = v.object({
  target: targetSchema,
  echoes: v.number(),
  /** Between two echoes one after the other, the time since the last one included while it lives. */
  longestGapMilliseconds: v.number(),
  /** Wall-clock milliseconds; null while it lives. */
  endedAt: v.nullable(v.number()),
  why: v.nullable(v.string()),
})
export type EchoConnection = v.InferOutput<typeof connectionSchema>

export const answerSchema = v.variant('kind', [
  v.object({ kind: v.literal('open') }),
  v.object({ kind: v.literal('seen'), connections: v.array(connectionSchema) }),
])
export type Answer = v.InferOutput<typeof answerSchema>
