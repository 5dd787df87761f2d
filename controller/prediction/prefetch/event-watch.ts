/**
 * Hears of every event by its headers, so that lists of events that are kept in memory are known to be outdated. It reads
 * the stream EVENTS and tells the cache.
 */

import type { NatsConnection } from '@nats-io/transport-node'
import { eventStream, eventSubjects } from '../../control-plane/event-stream.ts'
import { type FollowStart, followStream } from '../../control-plane/follow-stream.ts'
import type { EventList } from '../../control-plane/list-events.ts'
import type { Basis, ReadCache } from './read-cache.ts'

export interface EventWatch {
  /** What a list of a project's events rests on; of all events without a project. */
  basisOf(projectId: string | undefined, list: EventList): Basis
  /** Somebody is shown this event now: nobody is shown less from now on. */
  noteShown(subject: string, sequence: number): void
  close(): Promise<void>
}

const sourceOf = (projectId: string | undefined) => `events/${projectId ?? 'all'}`

export interface EventWatchOptions {
  readonly connection: NatsConnection
  readonly cache: Pick<ReadCache<unknown>, 'raise'>
  readonly onTrouble: (trouble: Error) => void
}

export function watchEvents({ connection, cache, onTrouble }: EventWatchOptions): EventWatch {
  const stopping = new AbortController()
  /** While it can't hear what happens, no list is known to be good. */
  let isHearing = false

  function noteShown(subject: string, sequence: number): void {
    // sluice.events.<project>.<type>
    cache.raise(sourceOf(subject.split('.')[2]), sequence)
    cache.raise(sourceOf(undefined), sequence)
  }

  async function follow(start: FollowStart): Promise<void> {
    const items = followStream({
      connection,
      stream: eventStream,
      filterSubject: eventSubjects(),
      start,
      headersOnly: true,
      signal: stopping.signal,
      onTrouble: () => {
        isHearing = false
      },
    })
    for await (const item of items) {
      if (item.kind === 'message') noteShown(item.subject, item.sequence)
      else isHearing = item.kind === 'caughtUp'
    }
  }

  // A stream that has lost what was heard of it is no ground to tell by which list is good: none is kept any more.
  const following = follow({ kind: 'new' }).catch((trouble: unknown) => {
    isHearing = false
    onTrouble(trouble instanceof Error ? trouble : new Error(String(trouble)))
  })

  return {
    noteShown,
    basisOf(projectId, { next, lastSequence }) {
      // What lies between two events stays as it is; what comes after the last one does not.
      const isWhole = next === null
      return {
        source: isWhole ? sourceOf(projectId) : `${sourceOf(projectId)}/pages`,
        shardKey: null,
        version: isWhole ? lastSequence : 0,
        current: async () => (isHearing ? 0 : Number.POSITIVE_INFINITY),
      }
    },
    async close() {
      stopping.abort()
      await following
    },
  }
}
