/**
 * What one controller tells the others of how microshards were accessed through it in one window: counts that can be
 * added. Travels over NATS, and is kept by nobody there. Pure.
 */

import * as v from 'valibot'
import { bucketCount } from './latency-sketch.ts'

/** Windows begin at whole multiples of this, so that those of all controllers are the same ones. */
export const windowMilliseconds = 10_000
export const accessReportSubject = 'sluice.measures.microshards'
/** Of one message: what is more goes in another. */
export const microshardsPerReportMaximum = 500
export const clientsKept = 8
export const pairsKept = 64

const countSchema = v.pipe(v.number(), v.integer(), v.minValue(0))

const microshardWindowSchema = v.object({
  id: v.pipe(v.string(), v.regex(/^[0-9a-z]{1,16}$/)),
  /** From memory, which costs its node nothing. */
  memoryReads: countSchema,
  /** From its leader. */
  leaderReads: countSchema,
  writes: countSchema,
  /** Of reads from the leader and writes: not answered, or refused as unavailable. */
  errors: countSchema,
  /** Of reads from the leader and writes. */
  latency: v.array(v.tuple([v.pipe(countSchema, v.maxValue(bucketCount - 1)), countSchema])),
  /** The client's part of the shard key, 8 hex digits; the most frequent first. */
  clients: v.pipe(
    v.array(v.tuple([v.pipe(v.string(), v.regex(/^[0-9a-f]{8}$/)), countSchema])),
    v.maxLength(clientsKept),
  ),
})

const accessReportSchema = v.object({
  controller: v.pipe(v.string(), v.maxLength(100)),
  /** Where its callers are, as far as anybody knows: where it is itself. */
  location: v.nullable(v.pipe(v.string(), v.maxLength(100))),
  /** The window's number: since the epoch, in windows. */
  window: countSchema,
  microshards: v.pipe(v.array(microshardWindowSchema), v.maxLength(microshardsPerReportMaximum)),
  /** Two microshards and how many requests used both. */
  together: v.pipe(v.array(v.tuple([v.string(), v.string(), countSchema])), v.maxLength(pairsKept)),
})

export type MicroshardWindow = v.InferOutput<typeof microshardWindowSchema>
export type AccessReport = v.InferOutput<typeof accessReportSchema>

/** Null: it is none, as from a controller of another version. */
export function parseAccessReport(text: string): AccessReport | null {
  try {
    const parsed = v.safeParse(accessReportSchema, JSON.parse(text))
    return parsed.success ? parsed.output : null
  } catch {
    return null
  }
}
