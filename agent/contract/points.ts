/**
 * What was measured, where and when, as hosts and controllers tell each other: collectd's value lists, many in one message.
 * Pure; point-types.ts says what the values of each type mean, point-names.ts which object a point is about.
 */

import * as v from 'valibot'
import { hostNameSchema, idPattern } from './host-instructions.ts'

/**
 * One collectd value list: what a source has measured of one thing at one time. Strings that are not there are empty.
 * Within a plugin, `pluginInstance`, `type` and `typeInstance` tell series apart, and with the host they name one.
 */
export interface Point {
  readonly host: string
  readonly plugin: string
  readonly pluginInstance: string
  /** Says what the values are; see point-types.ts, and `types.db` of collectd for those that are not ours. */
  readonly type: string
  readonly typeInstance: string
  /** Since 1970, UTC. The wire of collectd has 2^-30 s; a number holds 2^-22 s of it in this century. */
  readonly timeSeconds: number
  /** How often its source measures. */
  readonly intervalSeconds: number
  /** In the order of the type's data sources. Counters are raw, as they were read; what is not known is NaN. */
  readonly values: readonly number[]
}

/** collectd's words for how a value is to be read. */
export const dataSourceKinds = ['GAUGE', 'DERIVE', 'COUNTER', 'ABSOLUTE'] as const

/**
 * `GAUGE`: as it is. `DERIVE`: counts up, and begins anew with what is counted. `COUNTER`: likewise, but one that is smaller
 * than before has gone past 2^32 or 2^64. `ABSOLUTE`: so many since the point before.
 */
export type DataSourceKind = (typeof dataSourceKinds)[number]

/** Who vouches for a batch. All points of a host's bear its own name; those of a project name whatever host it likes. */
export type PointOrigin =
  | { readonly kind: 'host'; readonly host: string }
  | { readonly kind: 'project'; readonly projectId: string }
  | { readonly kind: 'controller' }

/** One message. */
export interface PointBatch {
  readonly origin: PointOrigin
  readonly points: readonly Point[]
}

/** The stream that keeps batches as they come. */
export const pointStream = 'POINTS'
export const pointSubjects = 'points.>'

/** `{{name()}}` in place of a host makes the right of its agent. */
export function pointSubject(origin: PointOrigin): string {
  switch (origin.kind) {
    case 'host':
      return `points.host.${origin.host}`
    case 'project':
      return `points.project.${origin.projectId}`
    case 'controller':
      return 'points.controller'
    default:
      return origin satisfies never
  }
}

/** The other way; undefined: it is no subject of points. */
export function originOfSubject(subject: string): PointOrigin | undefined {
  const [root, kind, name, ...rest] = subject.split('.')
  if (root !== 'points' || rest.length > 0) return undefined
  if (kind === 'controller') return name === undefined ? { kind } : undefined
  if (kind === 'host' && v.is(hostNameSchema, name)) return { kind, host: name }
  if (kind === 'project' && name !== undefined && idPattern.test(name)) return { kind, projectId: name }
  return undefined
}

/** How often a host measures itself; what it costs is in bench/collectd-ingest.ts. */
export const pointIntervalSeconds = 10

/** An agent holds batches back for so long while NATS is away; what is older is dropped, and counted. */
export const pointsHeldSecondsMaximum = 600

/** In one message; a source with more sends several. */
export const batchPointsMaximum = 4000
/** collectd keeps 127 characters of a name, and so do we. */
export const nameCharactersMaximum = 127
/** Of one point; collectd's own types have at most a few. */
export const valuesMaximum = 64
/** A batch unpacked: what is larger was not made by us, and is not unpacked. */
const batchBytesMaximum = 8 * 1024 * 1024

const batchFormat = 1

const nameSchema = v.pipe(v.string(), v.maxLength(nameCharactersMaximum))
/** JSON knows no NaN. */
const valueSchema = v.union([v.number(), v.null()])
/** An array, since the names would be most of a message. */
const rowSchema = v.tuple([
  nameSchema,
  nameSchema,
  nameSchema,
  nameSchema,
  nameSchema,
  v.pipe(v.number(), v.minValue(0)),
  v.pipe(v.number(), v.minValue(0)),
  v.pipe(v.array(valueSchema), v.minLength(1), v.maxLength(valuesMaximum)),
])
const batchSchema = v.object({
  format: v.literal(batchFormat),
  points: v.pipe(v.array(rowSchema), v.maxLength(batchPointsMaximum)),
})

/**
 * The payload of a message on `pointSubject(origin)`: zstd of
 * `{"format": 1, "points": [[host, plugin, pluginInstance, type, typeInstance, timeSeconds, intervalSeconds, values], …]}`.
 * Names recur from point to point, so that a tenth of the text is left.
 */
export function encodePoints(points: readonly Point[]): Uint8Array {
  const rows = points.map((point) => [
    point.host,
    point.plugin,
    point.pluginInstance,
    point.type,
    point.typeInstance,
    point.timeSeconds,
    point.intervalSeconds,
    point.values,
  ])
  // JSON has null for NaN and for what is infinite.
  return Bun.zstdCompressSync(JSON.stringify({ format: batchFormat, points: rows }), { level: 1 })
}

/** Undefined: it is none, or it says something of a host that its origin may not speak for. */
export function decodePoints(subject: string, payload: Uint8Array): PointBatch | undefined {
  const origin = originOfSubject(subject)
  const text = unpack(payload)
  if (origin === undefined || text === undefined) return undefined
  const parsed = v.safeParse(batchSchema, parseJson(text))
  if (!parsed.success) return undefined
  const points = parsed.output.points.map(
    ([host, plugin, pluginInstance, type, typeInstance, timeSeconds, intervalSeconds, values]): Point => ({
      host,
      plugin,
      pluginInstance,
      type,
      typeInstance,
      timeSeconds,
      intervalSeconds,
      values: values.map((value) => value ?? Number.NaN),
    }),
  )
  if (origin.kind === 'host' && points.some(({ host }) => host !== origin.host)) return undefined
  return { origin, points }
}

/** What names a series on a host: the same for all its points, and for no other's. */
export const seriesKey = ({ host, plugin, pluginInstance, type, typeInstance }: Omit<Point, 'values'>) =>
  `${host}/${plugin}/${pluginInstance}/${type}/${typeInstance}`

function unpack(payload: Uint8Array): string | undefined {
  const size = contentSize(payload)
  if (size === undefined || size > batchBytesMaximum) return undefined
  try {
    return Bun.zstdDecompressSync(payload).toString('utf8')
  } catch {
    return undefined
  }
}

/**
 * What a zstd frame says it unpacks to (RFC 8878, 3.1.1.1), so that a few bytes can't take all memory; undefined: it does
 * not say, which ours always do.
 */
function contentSize(payload: Uint8Array): number | undefined {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  if (payload.byteLength < 18 || view.getUint32(0, true) !== 0xfd2fb528) return undefined
  const descriptor = view.getUint8(4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 0x03] ?? 0
  const at = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes
  switch (descriptor >> 6) {
    case 0:
      return isSingleSegment ? view.getUint8(at) : undefined
    case 1:
      return view.getUint16(at, true) + 256
    case 2:
      return view.getUint32(at, true)
    default:
      return Number(view.getBigUint64(at, true))
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
