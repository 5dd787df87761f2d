/**
 * A model of next actions as it is kept: JSON with the number of its format, and up to where it has learned. What another
 * program has written, or what is damaged, is told apart from what can be gone on with. Pure.
 */

import * as v from 'valibot'
import type { SavedCounts } from './context-counts.ts'
import { ages, trusts } from './evidence.ts'
import type { SavedMixer } from './mixer.ts'
import { slots } from './slots.ts'

/** Counted up whenever what is kept would be read wrongly by a program of before. */
export const modelFormat = 1

export interface SavedModel {
  /** By their numbers, from 1. */
  readonly names: readonly string[]
  readonly shared: SavedCounts
  readonly mixer: SavedMixer
  readonly novelty: number
  /** Those seen last come last. */
  readonly users: readonly {
    readonly userAccountId: string
    readonly recent: readonly { readonly action: number; readonly at: number; readonly usage: number }[]
    readonly counts: SavedCounts
  }[]
}

export type ParsedModel =
  | { readonly kind: 'model'; readonly model: SavedModel; readonly sequence: number }
  /** It is begun anew, from what is kept of the log. */
  | { readonly kind: 'unusable'; readonly reason: string }

const wholeSchema = v.pipe(v.number(), v.integer(), v.minValue(0))
const shareSchema = v.pipe(v.number(), v.minValue(0), v.maxValue(1))
const countsSchema = v.array(v.tuple([wholeSchema, v.array(v.tuple([wholeSchema, v.pipe(v.number(), v.minValue(0))]))]))
const weightsSchema = v.pipe(v.array(v.number()), v.length(slots.length * trusts + ages))
/** JSON has no NaN: a time that is not known is null. */
const timeSchema = v.pipe(
  v.nullable(v.number()),
  v.transform((at) => at ?? Number.NaN),
)

const fileSchema = v.object({
  format: v.literal(modelFormat),
  /** Slots by their names, as the numbers of contexts are made from their places. */
  slots: v.pipe(
    v.array(v.string()),
    v.check((names) => names.join() === slots.map(({ name }) => name).join(), 'are those of another program'),
  ),
  /** The last message of the log that it has learned. */
  sequence: wholeSchema,
  model: v.object({
    names: v.array(v.string()),
    shared: countsSchema,
    mixer: v.object({ weights: weightsSchema, squares: weightsSchema }),
    novelty: shareSchema,
    users: v.array(
      v.object({
        userAccountId: v.string(),
        recent: v.array(v.object({ action: wholeSchema, at: timeSchema, usage: wholeSchema })),
        counts: countsSchema,
      }),
    ),
  }),
})

export const describeModel = (model: SavedModel, sequence: number): string =>
  JSON.stringify({ format: modelFormat, slots: slots.map(({ name }) => name), sequence, model })

/** Never throws. */
export function parseModel(text: string): ParsedModel {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return { kind: 'unusable', reason: 'it is no JSON' }
  }
  const parsed = v.safeParse(fileSchema, json)
  if (parsed.success) return { kind: 'model', model: parsed.output.model, sequence: parsed.output.sequence }
  const [issue] = parsed.issues
  return { kind: 'unusable', reason: `${v.getDotPath(issue) ?? 'the file'}: ${issue.message}` }
}
