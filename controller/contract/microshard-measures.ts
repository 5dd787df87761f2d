/** How microshards and nodes are used, by what all controllers have counted: what `sluice microshard top` shows. */

import * as v from 'valibot'

const rate = v.number()
const share = v.number()

export const microshardMeasureSchema = v.object({
  id: v.string(),
  node: v.nullable(v.string()),
  from: v.string(),
  /** Accesses a second that cost its node something: writes, and reads that only its leader answers. Averaged. */
  load: rate,
  /** Over the load of the average microshard; null: nobody has any. */
  overMean: v.nullable(v.number()),
  /** Over the last minute, a second. */
  memoryReadsPerSecond: rate,
  leaderReadsPerSecond: rate,
  writesPerSecond: rate,
  errorsPerSecond: rate,
  /** Of all accesses; null: there were none. */
  readShare: v.nullable(share),
  /** Of writes and reads from the leader; null: there were none. */
  p50Milliseconds: v.nullable(v.number()),
  p99Milliseconds: v.nullable(v.number()),
  bytes: v.number(),
  objects: v.number(),
  keys: v.number(),
  /** Over the last quarter of an hour, the clients with most accesses: a project's id, or the client's 8 hex digits. */
  clients: v.array(v.object({ client: v.string(), perSecond: rate })),
  locations: v.array(v.object({ location: v.string(), perSecond: rate })),
  /** Those that most requests use together with it. */
  together: v.array(v.object({ id: v.string(), perSecond: rate })),
  /** The last half hour in steps of five minutes, the newest last. */
  history: v.array(v.number()),
  /** At the horizon of the policies; null: no forecast has earned to be believed. */
  expectedLoad: v.nullable(v.number()),
})

export const nodeMeasureSchema = v.object({
  name: v.string(),
  location: v.nullable(v.string()),
  isAlive: v.boolean(),
  microshards: v.number(),
  load: rate,
  overMean: v.nullable(v.number()),
  /** Null: it has not told. */
  cpuPercent: v.nullable(v.number()),
  memoryBytes: v.nullable(v.number()),
  /** Of what JetStream may take. */
  diskShare: v.nullable(share),
  diskBytes: v.nullable(v.number()),
  receivedBytesPerSecond: v.nullable(v.number()),
  sentBytesPerSecond: v.nullable(v.number()),
})

export const microshardMeasuresSchema = v.object({
  /** RFC 3339. */
  at: v.string(),
  items: v.array(microshardMeasureSchema),
  nodes: v.array(nodeMeasureSchema),
})

export type MicroshardMeasure = v.InferOutput<typeof microshardMeasureSchema>
export type NodeMeasure = v.InferOutput<typeof nodeMeasureSchema>
export type MicroshardMeasures = v.InferOutput<typeof microshardMeasuresSchema>
