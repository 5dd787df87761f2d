/** Reads the lines that templates/haproxy-log.ts has haproxy write. Pure; any bytes may be in them. */

import { memberIdOfServer } from '../../templates/haproxy-config.ts'
import type { LoggedRequest } from '../contract/log-lines.ts'

/** What the agent itself needs of a line, besides what it says. */
export interface AccessLine {
  readonly at: number
  /** The worker, and its request's number: together they name the line. */
  readonly worker: number
  readonly number: number
  readonly listenerPort: number
  /** How many of the listener the worker had counted before it, those that were left out included. */
  readonly countBefore: number
  /** One of so many is written down. */
  readonly oneOf: number
  readonly request: LoggedRequest
}

/** Undefined: haproxy wrote something else there, or it is cut off. */
export function parseAccessLine(line: string): AccessLine | undefined {
  if (!line.startsWith('{')) return undefined
  const row = parseObject(line)
  if (row === undefined) return undefined
  const at = toCount(row.at)
  const worker = toCount(row.w)
  const number = toCount(row.r)
  const countBefore = toCount(row.n)
  const listenerPort = toCount(/_(\d+)$/.exec(String(row.f))?.[1])
  if (at === null || worker === null || number === null || countBefore === null || listenerPort === null) {
    return undefined
  }
  return {
    at,
    worker,
    number,
    listenerPort,
    countBefore,
    oneOf: toCount(row.o) ?? 1,
    request: {
      clientAddress: toText(row.a),
      listenerPort,
      method: toText(row.m),
      host: toText(row.h),
      path: toText(row.p),
      // haproxy's word for what was no request is in brackets.
      protocol: typeof row.v === 'string' && row.v.startsWith('HTTP/') ? row.v : null,
      userAgent: toText(row.u),
      status: toCount(row.c),
      memberId: typeof row.s === 'string' && row.s.includes('.') ? memberIdOfServer(row.s) : null,
      // `+1`: to another member in the end.
      retries: toCount(String(row.x ?? '').replace('+', '')) ?? 0,
      bytesReceived: toCount(row.i) ?? 0,
      bytesSent: toCount(row.b) ?? 0,
      ending: String(row.e ?? '').slice(0, 4),
      milliseconds: describeTimes(row),
    },
  }
}

type Row = Readonly<Record<string, unknown>>

function parseObject(line: string): Row | undefined {
  try {
    return JSON.parse(line) as Row
  } catch {
    return undefined
  }
}

/** Of http five times, of tcp three. */
function describeTimes({ t, c }: Row): LoggedRequest['milliseconds'] {
  const times = Array.isArray(t) ? t.map(toCount) : []
  const isHttp = c !== undefined
  const [request = null, queue = null, connect = null, response = null, total = null] = isHttp
    ? times
    : [null, times[0], times[1], null, times[2]]
  return { request, queue, connect, response, total }
}

/** -1 and `-` are haproxy's words for what there was not. */
function toCount(value: unknown): number | null {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null
}

/** Each character is a byte: put together again they are what the client sent, where that was UTF-8. */
function toText(value: unknown): string | null {
  if (typeof value !== 'string' || value === '-' || value === '') return null
  return Buffer.from(value, 'latin1').toString('utf8')
}
