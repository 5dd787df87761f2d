/**
 * What instances say, as hosts tell the controller: requests that haproxy has served, and the daemons' own words. Many
 * lines in one message, on a subject that names whose they are. Pure.
 */

import * as v from 'valibot'
import { hostNameSchema, idPattern } from './host-instructions.ts'

/** The stream that keeps them. */
export const logStream = 'LOGS'
export const logSubjects = 'logs.host.>'

/** `access`: requests (http) or connections (tcp). The others: what the daemon itself writes. */
export const logKinds = ['access', 'haproxy', 'keepalived'] as const
export type LogKind = (typeof logKinds)[number]

/** Whose lines a message holds. */
export interface LogSource {
  readonly host: string
  readonly projectId: string
  readonly loadBalancerId: string
  readonly instanceId: string
  readonly kind: LogKind
}

/** What an agent may publish; `{{name()}}` in place of the host makes its right. */
export const logSubjectsOfHost = (host: string) => `logs.host.${host}.>`

export const logSubject = ({ host, projectId, loadBalancerId, instanceId, kind }: LogSource) =>
  `logs.host.${host}.${projectId}.${loadBalancerId}.${instanceId}.${kind}`

/** Undefined: it is no subject of lines. */
export function sourceOfSubject(subject: string): LogSource | undefined {
  const [root, of, host, projectId, loadBalancerId, instanceId, kind, ...rest] = subject.split('.')
  if (root !== 'logs' || of !== 'host' || rest.length > 0 || !v.is(hostNameSchema, host)) return undefined
  if (projectId === undefined || loadBalancerId === undefined || instanceId === undefined) return undefined
  if (![projectId, loadBalancerId, instanceId].every((id) => idPattern.test(id))) return undefined
  const known = logKinds.find((each) => each === kind)
  return known && { host, projectId, loadBalancerId, instanceId, kind: known }
}

const countSchema = v.pipe(v.number(), v.integer(), v.minValue(0))
/** Null: it did not come so far. */
const millisecondsSchema = v.nullable(countSchema)
const textMaximum = 4096
/** Null: there was none, or it could not be read. Bytes that are no UTF-8 are U+FFFD. */
const textSchema = v.nullable(v.pipe(v.string(), v.maxLength(textMaximum)))

/** A request, or of tcp a connection: then what only http has is null. */
export const requestSchema = v.object({
  /** As the balancer's `logging.clientAddress` has it; null: left out. */
  clientAddress: textSchema,
  listenerPort: countSchema,
  method: textSchema,
  /** The first 128 bytes. */
  host: textSchema,
  /** The first 512 bytes, without the query: that is where passwords and tokens are. */
  path: textSchema,
  protocol: textSchema,
  /** The first 256 bytes. */
  userAgent: textSchema,
  /** What the client was answered; null: nothing. */
  status: v.nullable(countSchema),
  /** Null: it came to none, as when none was up. */
  memberId: textSchema,
  /** How often it was tried again. */
  retries: countSchema,
  bytesReceived: countSchema,
  bytesSent: countSchema,
  /** haproxy's two letters for how it ended: `--` is well, and the first says by whom not. */
  ending: v.pipe(v.string(), v.maxLength(4)),
  milliseconds: v.object({
    /** Until the request's header was whole. */
    request: millisecondsSchema,
    /** In the queue for a member. */
    queue: millisecondsSchema,
    connect: millisecondsSchema,
    /** Until the member began to answer. */
    response: millisecondsSchema,
    total: millisecondsSchema,
  }),
})

/**
 * `rate`: the instance said more than is kept. `unread`: haproxy's buffer was full, or the agent was away for longer than
 * it lasts. `buffer`: the bus was away for longer than the agent's own lasts.
 */
export const dropReasons = ['rate', 'unread', 'buffer'] as const

/** `at`: milliseconds since 1970; of a request when it was over. */
export const logLineSchema = v.union([
  v.object({ at: countSchema, request: requestSchema }),
  v.object({ at: countSchema, message: v.pipe(v.string(), v.maxLength(textMaximum)) }),
  v.object({ at: countSchema, dropped: v.object({ lines: countSchema, reason: v.picklist(dropReasons) }) }),
])

export type LoggedRequest = v.InferOutput<typeof requestSchema>
export type LogLine = v.InferOutput<typeof logLineSchema>
export type DropReason = (typeof dropReasons)[number]

/** In one message. */
export const logLinesMaximum = 1000
const batchSchema = v.object({
  format: v.literal(1),
  lines: v.pipe(v.array(logLineSchema), v.maxLength(logLinesMaximum)),
})

/** The payload of a message on `logSubject(source)`. */
export const encodeLogLines = (lines: readonly LogLine[]): string => JSON.stringify({ format: 1, lines })

/** Undefined: it is none. */
export function decodeLogLines(payload: Uint8Array): readonly LogLine[] | undefined {
  try {
    const parsed = v.safeParse(batchSchema, JSON.parse(new TextDecoder().decode(payload)))
    return parsed.success ? parsed.output.lines : undefined
  } catch {
    return undefined
  }
}
