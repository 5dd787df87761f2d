/** Measures: asked for by object, measure and range. A project's token is answered of its own objects only. */

import { metricsQuerySchema, metricsSchema } from '../contract/metrics.ts'
import { succeed } from '../contract/problem.ts'
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
        query: metricsQuerySchema,
        answers: [{ status: 200, description: 'One series, or one for each of `by`', schema: metricsSchema }],
        problems: [...commonProblems, 'not-found'],
      },
      async ({ query, request }) => {
        const answer = await metrics.ask(query, request)
        return answer.ok ? succeed({ status: 200, body: answer.value }) : answer
      },
    ),
  ]
}
