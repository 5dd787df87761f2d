/**
 * Reads events for callers of the API: as they come, or a list of what is kept. It reads the stream EVENTS and touches
 * nothing else.
 */

import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { CloudEvent } from './cloud-event.ts'
import { eventStream, eventSubjects } from './event-stream.ts'
import { readEvents } from './events.ts'
import { type FollowStart, followStream } from './follow-stream.ts'
import { timeOfId } from './shard-key.ts'

export interface EventListOptions {
  /** Only what belongs to this project; all without it. */
  readonly projectId?: string
  /** Begin after this event; without it, the newest are listed. */
  readonly afterId?: string
  readonly limit: number
  readonly isWanted: (event: CloudEvent) => boolean
}

export interface EventList {
  /** Oldest first. */
  readonly items: readonly CloudEvent[]
  /** The id after which to go on; null when there is nothing more now. */
  readonly next: string | null
}

/** The newest events are looked for among so many. */
const lookedThroughMaximum = 10_000
/** How much the clock that an event's id was made by may be ahead of the server's. */
const clockSkewMilliseconds = 60_000

export function createEventReader(connection: NatsConnection) {
  return {
    read: (options: Omit<Parameters<typeof readEvents>[0], 'connection'>) => readEvents({ ...options, connection }),
    list: (options: EventListOptions) => listEvents(connection, options),
  }
}

/** At most `limit` events, all of which were kept when it was asked. */
async function listEvents(connection: NatsConnection, options: EventListOptions): Promise<EventList> {
  const { afterId, limit, isWanted } = options
  const kept: CloudEvent[] = []
  let isPassed = false
  for await (const event of readKept(connection, options)) {
    if (event.id === afterId) {
      // What came before is not asked for, whatever its time says.
      kept.length = 0
      isPassed = true
    } else if (isWanted(event)) kept.push(event)
    if (afterId === undefined && kept.length > limit) kept.shift()
    if (isPassed && kept.length > limit) break
  }
  // An event that is not kept any more: those that were made after it are the best that is known.
  const from = afterId === undefined || isPassed ? 0 : (timeOfId(afterId) ?? 0)
  const items = kept.filter(({ id }) => (timeOfId(id) ?? 0) >= from)
  const page = items.slice(0, limit)
  return { items: page, next: items.length > limit ? (page.at(-1)?.id ?? null) : null }
}

async function* readKept(connection: NatsConnection, options: EventListOptions): AsyncGenerator<CloudEvent, void> {
  const abort = new AbortController()
  const items = followStream({
    connection,
    stream: eventStream,
    filterSubject: eventSubjects(options.projectId),
    start: await chooseStart(connection, options.afterId),
    signal: abort.signal,
  })
  try {
    for await (const item of items) {
      if (item.kind === 'message') yield JSON.parse(Buffer.from(item.data).toString()) as CloudEvent
      if (item.kind === 'caughtUp') return
    }
  } finally {
    abort.abort()
  }
}

async function chooseStart(connection: NatsConnection, afterId: string | undefined): Promise<FollowStart> {
  const time = afterId === undefined ? null : timeOfId(afterId)
  if (time !== null) return { kind: 'time', time: new Date(time - clockSkewMilliseconds) }
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const { state } = await manager.streams.info(eventStream)
  return { kind: 'sequence', sequence: Math.max(1, state.last_seq - lookedThroughMaximum + 1) }
}
