/**
 * Reads events as they come out, from now on or from a given one: what is served as a stream of events. It reads the
 * stream EVENTS and touches nothing else.
 */

import type { NatsConnection } from '@nats-io/transport-node'
import { type CloudEvent, eventIdPattern } from './cloud-event.ts'
import { eventStream, eventSubjects, messageIdHeader } from './event-stream.ts'
import { type FollowStart, followStream } from './follow-stream.ts'
import { timeOfId } from './shard-key.ts'

export interface ReadEventsOptions {
  readonly connection: NatsConnection
  /** Only what belongs to this project; all events without it. */
  readonly projectId?: string
  /**
   * Begin after this event; without it, with the next one that comes out. An event that is not kept any more has all
   * that are kept come out: better twice than never.
   */
  readonly afterId?: string
  /** Ends the iteration. */
  readonly signal: AbortSignal
  /** Called once, when whatever comes out from then on will be read. */
  readonly onStarted?: () => void
  /** Told where an event lies before it is yielded. */
  readonly onRead?: (subject: string, sequence: number) => void
}

/** How much the clock that an event's id was made by may be ahead of the server's before the search takes longer. */
const clockSkewMilliseconds = 60_000

/**
 * Yields what is kept, and then goes on with what comes, without a gap. Throws when `afterId` is not an event's id.
 * @example for await (const event of readEvents({ connection, projectId, afterId, signal })) console.log(event.type)
 */
export async function* readEvents(options: ReadEventsOptions): AsyncGenerator<CloudEvent, void> {
  const { connection, signal } = options
  const filterSubject = eventSubjects(options.projectId)
  const sequence = options.afterId === undefined ? null : await findEvent(options, filterSubject, options.afterId)
  const start: FollowStart = sequence === null ? { kind: 'new' } : { kind: 'sequence', sequence: sequence + 1 }
  let isStarted = false
  for await (const item of followStream({ connection, stream: eventStream, filterSubject, start, signal })) {
    if (item.kind === 'message') {
      options.onRead?.(item.subject, item.sequence)
      yield JSON.parse(Buffer.from(item.data).toString()) as CloudEvent
    }
    if (isStarted) continue
    isStarted = true
    options.onStarted?.()
  }
}

/** The sequence of an event, or 0 when it is not kept. It looks from the time in the id on, at headers only. */
async function findEvent(options: ReadEventsOptions, filterSubject: string, id: string): Promise<number> {
  const time = timeOfId(id)
  if (time === null || !eventIdPattern.test(id)) {
    throw new Error(`'${id}' is not an event's id: evt_ and 25 characters, as in the id of an event that was read`)
  }
  const likely: FollowStart = { kind: 'time', time: new Date(time - clockSkewMilliseconds) }
  // By a clock that is far ahead the event seems younger than it is: then look through all.
  for (const start of [likely, { kind: 'sequence', sequence: 1 } as const]) {
    const sequence = await findHeader(options, filterSubject, id, start)
    if (sequence !== null) return sequence
  }
  return 0
}

async function findHeader(
  options: ReadEventsOptions,
  filterSubject: string,
  id: string,
  start: FollowStart,
): Promise<number | null> {
  const { connection, signal } = options
  const items = followStream({ connection, stream: eventStream, filterSubject, start, headersOnly: true, signal })
  for await (const item of items) {
    if (item.kind === 'message' && item.headers?.get(messageIdHeader) === id) return item.sequence
    if (item.kind === 'caughtUp') return null
  }
  return null
}
