/** What the driver and a worker say to each other: JSON lines on the worker's standard input and output. */

import * as v from 'valibot'

const spaceSchema = v.object({ projectId: v.string(), networkId: v.string(), shards: v.number() })
export type BenchSpace = v.InferOutput<typeof spaceSchema>

const paceSchema = v.object({ inFlight: v.number(), warmUpMilliseconds: v.number(), milliseconds: v.number() })
export type Pace = v.InferOutput<typeof paceSchema>

export const commandSchema = v.variant('kind', [
  /** Connects as a controller does, with the store in memory; answers `ready`. */
  v.object({ kind: v.literal('openController'), url: v.string() }),
  /** Connects without a store, to publish by hand; answers `ready`. */
  v.object({ kind: v.literal('openRaw'), url: v.string() }),
  /** A project with a network of so many empty shards; answers `space`. */
  v.object({ kind: v.literal('createSpace'), shards: v.number() }),
  /** Waits until this controller sees the whole of it; answers `ready`. */
  v.object({ kind: v.literal('awaitSpace'), space: spaceSchema }),
  /** Allocates from that network; answers `ran`. */
  v.object({ kind: v.literal('allocate'), space: spaceSchema, pace: paceSchema }),
  /** Allocates and releases in turns, so that the shards stay as full as they are; answers `ran`. */
  v.object({ kind: v.literal('turnOver'), space: spaceSchema, pace: paceSchema }),
  /** Allocates until so many of its addresses are held; answers `ready`. */
  v.object({ kind: v.literal('fill'), space: spaceSchema, heldAddresses: v.number() }),
  /** Publishes the same batches by hand, which all who name the same record race for; answers `ran`. */
  v.object({
    kind: v.literal('publish'),
    record: v.string(),
    bytes: v.number(),
    /** As one message, else as an atomic batch of one for each address. */
    isOneMessage: v.boolean(),
    pace: paceSchema,
  }),
  /** Collects garbage and answers `memory`. */
  v.object({ kind: v.literal('memory') }),
])
export type Command = v.InferOutput<typeof commandSchema>

export const reportSchema = v.object({
  operationsPerSecond: v.number(),
  failed: v.number(),
  p50Milliseconds: v.number(),
  p99Milliseconds: v.number(),
})

export const answerSchema = v.variant('kind', [
  v.object({ kind: v.literal('ready') }),
  v.object({ kind: v.literal('space'), space: spaceSchema }),
  v.object({ kind: v.literal('ran'), report: reportSchema }),
  v.object({ kind: v.literal('memory'), residentBytes: v.number() }),
])
export type Answer = v.InferOutput<typeof answerSchema>
