/**
 * Events: as they come, over Server-Sent Events with replay from a given one, or as a list. A project's token is given
 * its own project's only, whatever it asks for.
 */

import * as v from 'valibot'
import { idSchema } from '../contract/common.ts'
import { type CloudEvent, cloudEventSchema } from '../contract/events.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import type { Basis } from '../prediction/prefetch/read-cache.ts'
import type { RequestInfo } from '../services.ts'
import { streamEvents } from './event-stream.ts'
import { commonProblems, limitParameter } from './parameters.ts'
import { parseValue, refuseParameter } from './parse.ts'
import { type Answer, defineRoute, type Route } from './route.ts'

/** What is asked of the event stream. */
export interface EventQuery {
  /** Only this project's; all without it. */
  readonly projectId?: string
  /** Begin after this event. */
  readonly afterId?: string
}

/** The reading side of events; main.ts puts the bus behind it. */
export interface EventReader {
  /** What comes after `afterId`, or from now on, until the signal aborts. `onStarted`: from now on nothing is missed. */
  read(
    options: EventQuery & { readonly signal: AbortSignal; readonly onStarted?: () => void },
  ): AsyncIterable<CloudEvent>
  /** What is kept, oldest first: the first ones after `afterId`, or the newest. At most `limit` that `isWanted`. */
  list(
    options: EventQuery & { readonly limit: number; readonly isWanted: (event: CloudEvent) => boolean },
  ): Promise<{ readonly items: readonly CloudEvent[]; readonly next: string | null; readonly basis?: Basis }>
}

const eventIdSchema = v.pipe(
  v.string(),
  v.regex(/^evt_[0-9a-hjkmnp-tv-z]{25}$/, 'must be the id of an event: evt_ and 25 characters'),
)
const typePattern = /^[a-z0-9-]+(\.[a-z0-9-]+)*(\.\*)?$|^\*$/
const listLimitDefault = 100

export function createEventRoutes(events: EventReader): readonly Route[] {
  return [
    defineRoute(
      {
        method: 'GET',
        path: '/v1/events',
        operationId: 'readEvents',
        tag: 'event',
        summary: 'Read events',
        description:
          'A stream of Server-Sent Events, each a CloudEvent with its id, from now on, or after the event named by Last-Event-ID or `after`; ' +
          'with `format=json` a list of what is kept, the newest, or the first after `after`.',
        access: 'bearer',
        isRead: ({ format }) => format === 'json',
        query: v.strictObject({
          projectId: v.optional(idSchema('prj')),
          type: v.optional(
            v.pipe(
              v.string(),
              v.check(
                (text) => text.split(',').every((type) => typePattern.test(type)),
                'must be types, separated by commas, as shard.deallocated or load-balancer.*',
              ),
            ),
          ),
          after: v.optional(eventIdSchema),
          format: v.optional(v.picklist(['sse', 'json'])),
          limit: limitParameter,
        }),
        answers: [{ status: 200, description: 'The events', schema: cloudEventSchema, mediaType: 'text/event-stream' }],
        problems: commonProblems,
      },
      async ({ query, request, headers, signal }) => {
        const asked = describeQuery(query.projectId, query.after ?? headers.get('last-event-id') ?? undefined, request)
        if (!asked.ok) return asked
        const isWanted = selectTypes(query.type)
        if (query.format === 'json') {
          const { items, next, basis } = await events.list({
            ...asked.value,
            limit: query.limit ?? listLimitDefault,
            isWanted,
          })
          return succeed<Answer>({ status: 200, body: { items, next }, ...(basis === undefined ? {} : { basis }) })
        }
        if (query.limit !== undefined)
          return refuseParameter('limit', 'is for format=json', 'Leave it out, or ask with format=json.')
        const stream = streamEvents({ read: (own) => events.read({ ...asked.value, ...own }), isWanted, signal })
        return succeed<Answer>({ status: 200, stream })
      },
    ),
  ]
}

/** Another project's events are as silent as those of one that is not there. */
function describeQuery(
  projectId: string | undefined,
  afterId: string | undefined,
  request: RequestInfo,
): Outcome<EventQuery> {
  const { caller } = request
  const own = caller.scope === 'admin' ? projectId : (caller.projectId ?? undefined)
  if (projectId !== undefined && own !== projectId) {
    return refuseParameter('projectId', 'names no project that you can see', 'Leave it out: your own events are shown.')
  }
  if (afterId !== undefined) {
    const parsed = parseValue(v.object({ after: eventIdSchema }), { after: afterId }, 'the query or Last-Event-ID')
    if (!parsed.ok) return parsed
  }
  return succeed({
    ...(own === undefined ? {} : { projectId: own }),
    ...(afterId === undefined ? {} : { afterId }),
  })
}

/** `load-balancer.*` is all that begins with `load-balancer.`. */
function selectTypes(types: string | undefined): (event: CloudEvent) => boolean {
  if (types === undefined) return () => true
  const wanted = types.split(',')
  return ({ type }) => wanted.some((one) => (one.endsWith('*') ? type.startsWith(one.slice(0, -1)) : type === one))
}
