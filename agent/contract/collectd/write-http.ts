/** What collectd's `write_http` plugin posts with `Format "JSON"`: an array of value lists. Pure. */

import * as v from 'valibot'
import { type DataSourceKind, valuesMaximum } from '../points.ts'
import type { ValueList } from './packet-parts.ts'

/** collectd gathers 4 KB by default and 64 KB at most that anybody configures; then come other programs. */
export const bodyBytesMaximum = 1024 * 1024
export const listsMaximum = 10_000

const textSchema = v.pipe(v.string(), v.maxLength(1024))

const bodyListSchema = v.object({
  host: textSchema,
  plugin: textSchema,
  plugin_instance: v.optional(textSchema, ''),
  type: textSchema,
  type_instance: v.optional(textSchema, ''),
  /** Since 1970. */
  time: v.number(),
  interval: v.optional(v.number(), 10),
  /** JSON has null for what is not known. `StoreRates` must be off, as it is by default: counters come as they are. */
  values: v.pipe(v.array(v.nullable(v.number())), v.minLength(1), v.maxLength(valuesMaximum)),
  dstypes: v.array(v.picklist(['gauge', 'derive', 'counter', 'absolute'])),
})
export const writeHttpSchema = v.pipe(v.array(bodyListSchema), v.maxLength(listsMaximum))
type Body = v.InferOutput<typeof writeHttpSchema>

const kinds = { gauge: 'GAUGE', derive: 'DERIVE', counter: 'COUNTER', absolute: 'ABSOLUTE' } as const

export const listsOfBody = (body: Body): readonly ValueList[] =>
  body.map((list) => ({
    host: list.host,
    plugin: list.plugin,
    pluginInstance: list.plugin_instance,
    type: list.type,
    typeInstance: list.type_instance,
    timeSeconds: list.time,
    intervalSeconds: list.interval,
    values: list.values.map((value) => value ?? Number.NaN),
    kinds: list.dstypes.map((name) => kinds[name]),
  }))

export type WriteHttpReading =
  | { readonly kind: 'lists'; readonly lists: readonly ValueList[] }
  | { readonly kind: 'refused'; readonly message: string }

/** All of it or nothing: the message says what is wrong. */
export function parseWriteHttp(body: string): WriteHttpReading {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return { kind: 'refused', message: 'the body is no JSON' }
  }
  const parsed = v.safeParse(writeHttpSchema, value)
  if (parsed.success) return { kind: 'lists', lists: listsOfBody(parsed.output) }
  const [issue] = parsed.issues
  return { kind: 'refused', message: `${v.getDotPath(issue) ?? 'the body'}: ${issue.message}` }
}

/** The other way. */
export function renderWriteHttp(lists: readonly ValueList[]): string {
  const lower = (kind: DataSourceKind) => kind.toLowerCase()
  return JSON.stringify(
    lists.map((list) => ({
      values: list.values,
      dstypes: list.kinds.map(lower),
      dsnames: list.kinds.map((_, index) => `value${index}`),
      time: list.timeSeconds,
      interval: list.intervalSeconds,
      host: list.host,
      plugin: list.plugin,
      plugin_instance: list.pluginInstance,
      type: list.type,
      type_instance: list.typeInstance,
    })),
  )
}
