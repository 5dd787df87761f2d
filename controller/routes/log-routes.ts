/**
 * What a balancer's instances say: as it comes, over Server-Sent Events that go on where they broke off, or as a list. A
 * project's token is given its own balancers' only.
 */

import * as v from 'valibot'
import { refuseField } from '../access/problems.ts'
import { idSchema } from '../contract/common.ts'
import type { LoadBalancer } from '../contract/load-balancer.ts'
import { logEntryIdPattern, logEntrySchema, logKinds } from '../contract/logs.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import type { LogQuery, LogReader } from '../observed/logs/read-logs.ts'
import type { ControllerContext, Services } from '../services.ts'
import { streamItems } from './event-stream.ts'
import { commonProblems, limitParameter } from './parameters.ts'
import { parseValue, refuseParameter } from './parse.ts'
import { type Answer, defineRoute, type Route } from './route.ts'

const entryIdSchema = v.pipe(v.string(), v.regex(logEntryIdPattern, 'must be the id of an entry, as 1024-0'))
const listLimitDefault = 100
/** How much the caller's clock may be ahead. */
const futureMilliseconds = 60_000

const kindSchema = v.picklist(logKinds)

const querySchema = v.strictObject({
  instance: v.optional(idSchema('lbi')),
  kind: v.optional(
    v.pipe(
      v.string(),
      v.check(
        (text) => text.split(',').every((kind) => v.is(kindSchema, kind)),
        `must be some of ${logKinds.join(', ')}, separated by commas`,
      ),
      v.transform((text) => text.split(',').filter((kind) => v.is(kindSchema, kind))),
    ),
  ),
  since: v.optional(
    v.pipe(v.string(), v.isoTimestamp('must be a time as 2026-01-31T12:00:00Z'), v.transform(Date.parse)),
  ),
  after: v.optional(entryIdSchema),
  format: v.optional(v.picklist(['sse', 'json'])),
  limit: limitParameter,
})
type Query = v.InferOutput<typeof querySchema>

export function createLogRoutes(
  { now }: Pick<ControllerContext, 'now'>,
  { loadBalancers }: Pick<Services, 'loadBalancers'>,
  logs: LogReader,
): readonly Route[] {
  return [
    defineRoute(
      {
        method: 'GET',
        path: '/v1/load-balancers/{id}/logs',
        operationId: 'readLogs',
        tag: 'load balancer',
        summary: "Read what a load balancer's instances say",
        description:
          'Requests that were served, where `logging.access` is on, and the own words of haproxy and keepalived. A stream of Server-Sent ' +
          'Events, each an entry with its id: after the entry named by Last-Event-ID or `after`, else from `since`, else from now on. With ' +
          '`format=json` a list of what is kept: the first after these, or the newest. Where lines are missing an entry says how many and why.',
        access: 'bearer',
        parameters: { id: idSchema('lb') },
        query: querySchema,
        answers: [{ status: 200, description: 'The entries', schema: logEntrySchema, mediaType: 'text/event-stream' }],
        problems: [...commonProblems, 'not-found'],
      },
      async ({ parameters: { id = '' }, query, request, headers, signal }) => {
        const balancer = await loadBalancers.show(id, request)
        if (!balancer.ok) return balancer
        const asked = await describeQuery(query, balancer.value, headers.get('last-event-id'))
        if (!asked.ok) return asked
        if (query.format === 'json') {
          const page = await logs.list({ ...asked.value, limit: query.limit ?? listLimitDefault })
          return succeed<Answer>({ status: 200, body: page })
        }
        if (query.limit !== undefined) {
          return refuseParameter('limit', 'is for format=json', 'Leave it out, or ask with format=json.')
        }
        const stream = streamItems({
          read: (own) => logs.read({ ...asked.value, ...own }),
          describe: (entry) => ({ id: entry.id, type: entry.kind, item: entry }),
          signal,
        })
        return succeed<Answer>({ status: 200, stream })
      },
    ),
  ]

  async function describeQuery(
    { instance, kind, since, after }: Query,
    { id, projectId, instances }: LoadBalancer,
    lastEventId: string | null,
  ): Promise<Outcome<LogQuery>> {
    if (since !== undefined && since > now() + futureMilliseconds) {
      return refuseParameter('since', 'is in the future', 'Leave it out to read from now on.')
    }
    const afterId = after ?? lastEventId ?? undefined
    if (afterId !== undefined) {
      const parsed = parseValue(v.object({ after: entryIdSchema }), { after: afterId }, 'the query or Last-Event-ID')
      if (!parsed.ok) return parsed
    }
    const query = { projectId: projectId ?? '', loadBalancerId: id, kinds: kind, since, afterId }
    if (instance === undefined) return succeed(query)
    // One that is gone has left its words behind.
    const isKnown =
      instances.some((each) => each.id === instance) ||
      (await logs.hasInstance({ projectId: query.projectId, loadBalancerId: id, instanceId: instance }))
    if (!isKnown) {
      const known = instances.map((each) => each.id).join(', ')
      return refuseField('instance', `the balancer has no instance ${instance}`, `Ask for one of ${known}.`)
    }
    return succeed({ ...query, instanceId: instance })
  }
}
