/** What NATS servers tell of themselves by `/varz` and `/jsz`, which the system account can ask as well; and their rates. Pure. */

import * as v from 'valibot'

export interface NodeFigures {
  readonly cpuPercent: number
  readonly memoryBytes: number
  /** What JetStream has written, and the share of what it may write; null: it has no limit. */
  readonly diskBytes: number
  readonly diskShare: number | null
  /** Null: it has told once only. */
  readonly receivedBytesPerSecond: number | null
  readonly sentBytesPerSecond: number | null
}

/** Of one server at one moment. */
export interface ServerSample {
  readonly node: string
  readonly atMilliseconds: number
  readonly cpuPercent: number
  readonly memoryBytes: number
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly diskBytes: number
  readonly diskBytesMaximum: number
}

const count = v.pipe(v.number(), v.minValue(0))
export const varzSchema = v.object({
  cpu: count,
  mem: count,
  in_bytes: count,
  out_bytes: count,
  jetstream: v.optional(
    v.object({
      config: v.optional(v.object({ max_storage: v.optional(v.number()) })),
      stats: v.optional(v.object({ storage: v.optional(count) })),
    }),
  ),
})

export function readSample(node: string, atMilliseconds: number, answer: v.InferOutput<typeof varzSchema>): ServerSample {
  return {
    node,
    atMilliseconds,
    cpuPercent: answer.cpu,
    memoryBytes: answer.mem,
    receivedBytes: answer.in_bytes,
    sentBytes: answer.out_bytes,
    diskBytes: answer.jetstream?.stats?.storage ?? 0,
    diskBytesMaximum: answer.jetstream?.config?.max_storage ?? 0,
  }
}

/** Counters that went back are of a server that was started anew: then there is no rate. */
export function compareSamples(before: ServerSample | undefined, after: ServerSample): NodeFigures {
  const seconds = before === undefined ? 0 : (after.atMilliseconds - before.atMilliseconds) / 1000
  const rate = (of: (sample: ServerSample) => number) =>
    before === undefined || seconds <= 0 || of(after) < of(before) ? null : (of(after) - of(before)) / seconds
  return {
    cpuPercent: after.cpuPercent,
    memoryBytes: after.memoryBytes,
    diskBytes: after.diskBytes,
    diskShare: after.diskBytesMaximum > 0 ? after.diskBytes / after.diskBytesMaximum : null,
    receivedBytesPerSecond: rate(({ receivedBytes }) => receivedBytes),
    sentBytesPerSecond: rate(({ sentBytes }) => sentBytes),
  }
}
