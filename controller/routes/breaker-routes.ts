/** The mass failure breaker: whether it holds replacements back, which, and the way to let them go on. */

import { breakerSchema } from '../contract/breaker.ts'
import { succeed } from '../contract/problem.ts'
import { createBreakerService } from '../load-balancing/life/breaker-service.ts'
import type { ControllerContext } from '../services.ts'
import { commonProblems } from './parameters.ts'
import { defineRoute, type Route } from './route.ts'

export function createBreakerRoutes(context: Pick<ControllerContext, 'store' | 'now' | 'wake'>): readonly Route[] {
  const breaker = createBreakerService(context)
  const common = { tag: 'breaker', access: 'bearer' } as const
  return [
    defineRoute(
      {
        ...common,
        method: 'GET',
        path: '/v1/breaker',
        operationId: 'showBreaker',
        summary: 'Show the mass failure breaker',
        description:
          'It opens when several hosts fail together; while it is open nothing is replaced. It closes when they recover, or when it is reset.',
        answers: [{ status: 200, description: 'The breaker, and what it holds back', schema: breakerSchema }],
        problems: commonProblems,
      },
      async ({ request }) => {
        const shown = await breaker.show(request)
        return shown.ok ? succeed({ status: 200, body: shown.value }) : shown
      },
    ),
    defineRoute(
      {
        ...common,
        method: 'POST',
        path: '/v1/breaker/reset',
        operationId: 'resetBreaker',
        summary: 'Close the mass failure breaker',
        description: 'What has failed by now is replaced; only what fails later counts for the breaker.',
        answers: [{ status: 200, description: 'The breaker', schema: breakerSchema }],
        problems: [...commonProblems, 'conflict'],
      },
      async ({ request }) => {
        const reset = await breaker.reset(request)
        return reset.ok ? succeed({ status: 200, body: reset.value }) : reset
      },
    ),
  ]
}
