/**
 * Reads what a balancer's instances have said: as it comes, or what is kept. It reads the stream LOGS and touches nothing
 * else.
 */

import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import {
  decodeLogLines,
  type LogKind,
  type LogLine,
  logStream,
  sourceOfSubject,
} from '../../../agent/contract/log-lines.ts'
import { type LogEntry, logEntryIdPattern } from '../../contract/logs.ts'
import { type FollowedMessage, type FollowStart, followStream } from '../../control-plane/follow-stream.ts'

/** Whose lines, and which of them. */
export interface LogQuery {
  readonly projectId: string
  readonly loadBalancerId: string
  readonly instanceId?: string | undefined
  /** All without it. */
  readonly kinds?: readonly LogKind[] | undefined
  /** Milliseconds since 1970. */
  readonly since?: number | undefined
  /** Begin after this entry. */
  readonly afterId?: string | undefined
}

export interface LogReader {
  /** From `afterId`, else `since`, else from now on, until the signal aborts. `onStarted`: from now on nothing is missed. */
  read(
    query: LogQuery & { readonly signal: AbortSignal; readonly onStarted?: () => void },
  ): AsyncGenerator<LogEntry, void>
  /** What is kept, oldest first: the first ones after `afterId` or `since`, or the newest. */
  list(
    query: LogQuery & { readonly limit: number },
  ): Promise<{ readonly items: readonly LogEntry[]; readonly next: string | null }>
  /** False: nothing is kept of this instance. */
  hasInstance(query: Pick<LogQuery, 'projectId' | 'loadBalancerId'> & { readonly instanceId: string }): Promise<boolean>
}

/** A line is stored after it was written, but by another clock. */
const clockSkewMilliseconds = 10_000
/** The newest are looked for in ever longer times back, as a stream can only be read forwards. */
const looksBackMilliseconds = [60_000, 15 * 60_000, 4 * 3600_000, Number.POSITIVE_INFINITY]

/** @param connection of the account in which agents are */
export function createLogReader(connection: NatsConnection, now: () => number): LogReader {
  const follow = (query: LogQuery, start: FollowStart, signal: AbortSignal) =>
    followStream({ connection, stream: logStream, filterSubject: subjectsOf(query), start, signal })

  /** An entry that is not there yet, as the stream has been lost since, is followed by what comes next. */
  const startOf = async (query: LogQuery, otherwise: FollowStart): Promise<FollowStart> => {
    const place = placeOf(query.afterId)
    if (place !== undefined) {
      const manager = await jetstreamManager(connection, { checkAPI: false })
      const { state } = await manager.streams.info(logStream)
      return place.sequence > state.last_seq ? { kind: 'new' } : { kind: 'sequence', sequence: place.sequence }
    }
    if (query.since !== undefined) return { kind: 'time', time: new Date(query.since - clockSkewMilliseconds) }
    return otherwise
  }

  async function* readKept(query: LogQuery, start: FollowStart): AsyncGenerator<LogEntry, void> {
    const done = new AbortController()
    try {
      for await (const item of follow(query, start, done.signal)) {
        if (item.kind === 'caughtUp') return
        if (item.kind === 'message') yield* entriesOf(item, query)
      }
    } finally {
      done.abort()
    }
  }

  const listFirst = async (query: LogQuery, limit: number) => {
    const items: LogEntry[] = []
    for await (const entry of readKept(query, await startOf(query, { kind: 'sequence', sequence: 1 }))) {
      if (items.length === limit) return { items, next: items.at(-1)?.id ?? null }
      items.push(entry)
    }
    return { items, next: null }
  }

  const listNewest = async (query: LogQuery, limit: number) => {
    for (const milliseconds of looksBackMilliseconds) {
      const isAll = milliseconds === Number.POSITIVE_INFINITY
      const start: FollowStart = isAll
        ? { kind: 'sequence', sequence: 1 }
        : { kind: 'time', time: new Date(now() - milliseconds) }
      const items: LogEntry[] = []
      for await (const entry of readKept(query, start)) {
        items.push(entry)
        if (items.length > 2 * limit) items.splice(0, limit)
      }
      if (isAll || items.length >= limit) return { items: items.slice(-limit), next: null }
    }
    return { items: [], next: null }
  }

  return {
    async *read(query) {
      const start = await startOf(query, { kind: 'new' })
      let isStarted = false
      for await (const item of follow(query, start, query.signal)) {
        if (!isStarted) query.onStarted?.()
        isStarted = true
        if (item.kind === 'message') yield* entriesOf(item, query)
      }
    },
    list({ limit, ...query }) {
      const isFirst = query.afterId !== undefined || query.since !== undefined
      return isFirst ? listFirst(query, limit) : listNewest(query, limit)
    },
    async hasInstance(query) {
      const manager = await jetstreamManager(connection, { checkAPI: false })
      const { state } = await manager.streams.info(logStream, { subjects_filter: subjectsOf(query) })
      return Object.keys(state.subjects ?? {}).length > 0
    },
  }
}

/** Of any host: an instance's successor is elsewhere. */
function subjectsOf({ projectId, loadBalancerId, instanceId, kinds }: LogQuery): string {
  const kind = kinds?.length === 1 ? kinds[0] : '*'
  return `logs.host.*.${projectId}.${loadBalancerId}.${instanceId ?? '*'}.${kind}`
}

function placeOf(id: string | undefined): { readonly sequence: number; readonly index: number } | undefined {
  const [, sequence, index] = logEntryIdPattern.exec(id ?? '') ?? []
  return sequence === undefined ? undefined : { sequence: Number(sequence), index: Number(index) }
}

/** What is no message of ours, or not asked for, is passed over. */
function entriesOf(message: FollowedMessage, query: LogQuery): readonly LogEntry[] {
  const source = sourceOfSubject(message.subject)
  if (source === undefined || query.kinds?.includes(source.kind) === false) return []
  const after = placeOf(query.afterId)
  const firstIndex = after?.sequence === message.sequence ? after.index + 1 : 0
  const { loadBalancerId, instanceId, host, kind } = source
  return (decodeLogLines(message.data) ?? []).flatMap((line, index) => {
    if (index < firstIndex || line.at < (query.since ?? 0)) return []
    const id = `${message.sequence}-${index}`
    const at = new Date(line.at).toISOString()
    return [{ id, at, loadBalancerId, instanceId, host, kind, ...describeLine(line) }]
  })
}

function describeLine(line: LogLine): Pick<LogEntry, 'request' | 'message' | 'dropped'> {
  return {
    request: 'request' in line ? line.request : null,
    message: 'message' in line ? line.message : null,
    dropped: 'dropped' in line ? line.dropped : null,
  }
}
