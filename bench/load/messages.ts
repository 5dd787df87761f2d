/** What the driver and the load say to each other: JSON lines on the load's standard input and output. */

import * as v from 'valibot'

export const commandSchema = v.variant('kind', [
  /** Begins; answers `running` once every connection has been answered. */
  v.object({
    kind: v.literal('start'),
    targets: v.array(v.object({ address: v.string(), port: v.number() })),
    connections: v.number(),
    requestsPerSecond: v.number(),
    timeoutMilliseconds: v.number(),
    /** Every other connection is given up for a fresh one after so many requests. */
    requestsPerConnection: v.number(),
    phase: v.string(),
  }),
  /** From here on requests count under another name; answers `phase`. */
  v.object({ kind: v.literal('phase'), name: v.string() }),
  /** Asks how many requests of this phase have ended; answers `count`. */
  v.object({ kind: v.literal('count') }),
  /** Lets what is under way end; answers `ended`. */
  v.object({ kind: v.literal('end') }),
])
export type Command = v.InferOutput<typeof commandSchema>

const failureSchema = v.object({ at: v.number(), target: v.string(), why: v.string(), afterMilliseconds: v.number() })
export type Failure = v.InferOutput<typeof failureSchema>

const phaseReportSchema = v.object({
  name: v.string(),
  requests: v.number(),
  failed: v.number(),
  reasons: v.record(v.string(), v.number()),
  /** The first of them, closer. */
  failures: v.array(failureSchema),
  p50Milliseconds: v.number(),
  p99Milliseconds: v.number(),
  maximumMilliseconds: v.number(),
})
export type PhaseReport = v.InferOutput<typeof phaseReportSchema>

export const answerSchema = v.variant('kind', [
  v.object({ kind: v.literal('running') }),
  v.object({ kind: v.literal('phase') }),
  v.object({ kind: v.literal('count'), requests: v.number() }),
  v.object({ kind: v.literal('ended'), phases: v.array(phaseReportSchema) }),
])
export type Answer = v.InferOutput<typeof answerSchema>
