/** Measures: asked for by object, measure and range. A project's token is answered of its own objects only. */

import * as v from 'valibot'
import { metricsQuerySchema, metricsSchema } from '../contract/metrics.ts'
import { succeed } from '../contract/problem.ts'
import { chooseFormat, expositionTypes } from '../observed/metrics/exposition-text.ts'
import type { MetricsService } from '../observed/metrics/metrics-service.ts'
import { commonProblems } from './parameters.ts'
import { defineRoute, type Route } from './route.ts'

export function createMetricsRoutes(metrics: MetricsService): readonly Route[] {
  return [
    defineRoute(
      {
        method: 'GET',
        path: '/v1/metrics',
        operationId: 'readMetrics',
        tag: 'metrics',
        summary: 'Read measures of an object over time',
        description:
          'Of a load balancer, a listener (`<load balancer>:<port>`), a member, an instance, a network, a shard, a machine; for admins of a host and of the controller. `from` and `to` are times or so long ago as -6h; the last hour when left out. The values stand for whole steps, the first of which begins at `from` of the answer.',
        access: 'bearer',
        isRead: () => true,
        query: metricsQuerySchema,
        answers: [{ status: 200, description: 'One series, or one for each of `by`', schema: metricsSchema }],
        problems: [...commonProblems, 'not-found'],
      },
      async ({ query, request }) => {
        const basis = await metrics.basisOf(query, request)
        const answer = await metrics.ask(query, request)
        if (!answer.ok) return answer
        return succeed({ status: 200, body: answer.value, ...(basis === null ? {} : { basis }) })
      },
    ),
    defineRoute(
      {
        method: 'GET',
        path: '/metrics',
        operationId: 'scrapeMetrics',
        tag: 'metrics',
        summary: 'Read what is so now, as Prometheus scrapes it',
        description:
          "The last measures of all objects, and for admins the controller's own: as Prometheus' text, or as OpenMetrics where that is accepted. A project's token is shown its own objects.",
        access: 'bearer',
        answers: [{ status: 200, description: 'Samples', schema: v.string(), mediaType: expositionTypes.prometheus }],
        problems: ['unauthenticated', 'unavailable', 'internal'],
      },
      async ({ headers, request }) => {
        const format = chooseFormat(headers.get('accept'))
        const text = metrics.expose(format, request)
        return succeed({
          status: 200,
          stream: new Response(text, { headers: { 'content-type': expositionTypes[format] } }),
        })
      },
    ),
  ]
}
