/**
 * Events as other programs see them: CloudEvents 1.0 in JSON. Pure.
 * An event's id tells when it was made, so that a reader who names one can be served from there on.
 */

import { createId } from './shard-key.ts'
import type { EventDraft } from './store.ts'

/** The JSON form of CloudEvents 1.0, with the extensions `traceparent` and `projectid`. */
export interface CloudEvent {
  readonly specversion: '1.0'
  readonly id: string
  readonly source: 'sluice'
  /** Noun and past participle: `shard.deallocated`. */
  readonly type: string
  /** The id of the object that it is about. */
  readonly subject: string
  /** RFC 3339, UTC. */
  readonly time: string
  readonly datacontenttype: 'application/json'
  readonly data: unknown
  readonly traceparent?: string
  /** Absent: the event belongs to no project. */
  readonly projectid?: string
}

export const eventTypePattern = /^[a-z0-9-]+(\.[a-z0-9-]+)+$/
export const systemClient = 'system'

/** The id of any event of ours. */
export const eventIdPattern = /^evt_[0-9a-hjkmnp-tv-z]{25}$/

const eventIdPrefix = 'evt'

/** Makes the event of a draft. `now` is in milliseconds since the epoch. */
export function createCloudEvent(
  draft: EventDraft,
  options: {
    readonly now: number
    readonly traceparent?: string | undefined
    readonly random?: ((bytes: number) => Uint8Array) | undefined
  },
): CloudEvent {
  return {
    specversion: '1.0',
    id: createId(eventIdPrefix, draft.projectId ?? systemClient, options.now, options.random),
    source: 'sluice',
    type: draft.type,
    subject: draft.subject,
    time: new Date(options.now).toISOString(),
    datacontenttype: 'application/json',
    data: draft.data,
    ...(options.traceparent === undefined ? {} : { traceparent: options.traceparent }),
    ...(draft.projectId === null ? {} : { projectid: draft.projectId }),
  }
}
