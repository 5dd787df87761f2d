/** Reads the events that are kept, as a list that ends. It reads the stream EVENTS and touches nothing else. */

import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { CloudEvent } from './cloud-event.ts'
import { eventStream, eventSubjects, messageIdHeader } from './event-stream.ts'
import { type FollowStart, followStream } from './follow-stream.ts'
import { timeOfId } from './shard-key.ts'

export interface ListEventsOptions {
  readonly connection: NatsConnection
  /** Only what belongs to this project; all events without it. */
  readonly projectId?: string
  /** The first ones after this event, or after all when it is not kept any more; without it, the newest. */
  readonly afterId?: string
  readonly limit: number
  readonly isWanted: (event: CloudEvent) => boolean
}

export interface EventList {
  /** Oldest first. */
  readonly items: readonly CloudEvent[]
  /** The last one's id when there are more after it. */
  readonly next: string | null
  /** Where the last of those lies that were looked at; 0: none was. */
  readonly lastSequence: number
}

/** How much the clock that an event's id was made by may be ahead of the server's. */
const clockSkewMilliseconds = 60_000

/** The newest events are looked for among so many: a week's events may be a gigabyte. */
const lookedThroughMaximum = 10_000
const emptyList: EventList = { items: [], next: null, lastSequence: 0 }

export async function listEvents(options: ListEventsOptions): Promise<EventList> {
  const { afterId } = options
  const all: FollowStart = { kind: 'sequence', sequence: 1 }
  if (afterId === undefined) return (await readKept(options, await findNewest(options), undefined)) ?? emptyList
  const time = timeOfId(afterId)
  const likely: FollowStart = time === null ? all : { kind: 'time', time: new Date(time - clockSkewMilliseconds) }
  // One that is not kept any more has all that are kept come out: better twice than never.
  return (
    (await readKept(options, likely, afterId)) ??
    (await readKept(options, all, afterId)) ??
    (await readKept(options, all, '')) ??
    emptyList
  )
}

async function findNewest({ connection }: ListEventsOptions): Promise<FollowStart> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const { state } = await manager.streams.info(eventStream)
  return { kind: 'sequence', sequence: Math.max(1, state.last_seq - lookedThroughMaximum + 1) }
}

/** Null: the event `afterId` is not there. An empty one is before all others. */
async function readKept(
  options: ListEventsOptions,
  start: FollowStart,
  afterId: string | undefined,
): Promise<EventList | null> {
  const { connection, limit, isWanted } = options
  const done = new AbortController()
  const filterSubject = eventSubjects(options.projectId)
  const items: CloudEvent[] = []
  let isFound = afterId === undefined || afterId === ''
  let lastSequence = 0
  try {
    for await (const item of followStream({
      connection,
      stream: eventStream,
      filterSubject,
      start,
      signal: done.signal,
    })) {
      if (item.kind === 'caughtUp') break
      if (item.kind !== 'message') continue
      lastSequence = item.sequence
      if (!isFound) {
        isFound = item.headers?.get(messageIdHeader) === afterId
        continue
      }
      const event = JSON.parse(Buffer.from(item.data).toString()) as CloudEvent
      if (!isWanted(event)) continue
      if (items.length === limit) {
        if (afterId !== undefined) return { items, next: items.at(-1)?.id ?? null, lastSequence }
        items.shift()
      }
      items.push(event)
    }
  } finally {
    done.abort()
  }
  return isFound ? { items, next: null, lastSequence } : null
}
