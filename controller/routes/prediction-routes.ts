/** What users will probably do next, and what is read ahead for it: asked, shown, explained, switched. */

import * as v from 'valibot'
import {
  actionProbabilitiesSchema,
  nextActionSchema,
  prefetchChangeSchema,
  prefetchExplanationSchema,
  prefetchSchema,
} from '../contract/prefetch.ts'
import { succeed } from '../contract/problem.ts'
import type { PrefetchService } from '../prediction/prefetch/prefetch-service.ts'
import { commonProblems } from './parameters.ts'
import { defineRoute, type Route } from './route.ts'

const tag = 'prediction'
const path = '/v1/prediction/prefetch'

export const createPredictionRoutes = (service: PrefetchService): readonly Route[] => [
  defineRoute(
    {
      tag,
      method: 'POST',
      path: '/v1/prediction/next-action',
      operationId: 'predictNextAction',
      summary: 'Predict what a user will do next',
      description:
        "The likeliest first; what is missing to 1 is for all else. After `recentActions`, or else after what the user was seen to do. A project's token asks about itself and the project's other tokens.",
      access: 'bearer',
      body: nextActionSchema,
      answers: [{ status: 200, description: 'Actions with their probabilities', schema: actionProbabilitiesSchema }],
      problems: [...commonProblems, 'malformed', 'payload-too-large', 'not-found'],
    },
    async ({ body, request }) => {
      const next = await service.predict(body, request)
      return next.ok ? succeed({ status: 200, body: next.value }) : next
    },
  ),
  defineRoute(
    {
      tag,
      method: 'GET',
      path,
      operationId: 'showPrefetch',
      summary: 'Show what this controller keeps in memory of reads, and why',
      access: 'admin',
      answers: [{ status: 200, description: 'Switches, counts and entries', schema: prefetchSchema }],
      problems: [...commonProblems, 'forbidden'],
    },
    async () => succeed({ status: 200, body: service.show() }),
  ),
  defineRoute(
    {
      tag,
      method: 'PATCH',
      path,
      operationId: 'updatePrefetch',
      summary: 'Switch prefetching or the log of actions on or off',
      description: 'For all controllers. What is in memory of reads is dropped when it is switched off.',
      access: 'admin',
      body: prefetchChangeSchema,
      answers: [{ status: 200, description: 'As it is now', schema: prefetchSchema }],
      problems: [...commonProblems, 'malformed', 'payload-too-large', 'forbidden', 'conflict'],
    },
    async ({ body, request }) => {
      const changed = await service.change(body, request)
      return changed.ok ? succeed({ status: 200, body: changed.value }) : changed
    },
  ),
  defineRoute(
    {
      tag,
      method: 'GET',
      path: `${path}/explain`,
      operationId: 'explainPrefetch',
      summary: 'Explain what would be read ahead for a user now',
      description:
        'Each read that may be next, with its probability, what it would save, what it would cost, and what is decided.',
      access: 'admin',
      query: v.strictObject({ userAccountId: v.pipe(v.string(), v.minLength(1), v.maxLength(64)) }),
      answers: [{ status: 200, description: 'The candidates', schema: prefetchExplanationSchema }],
      problems: [...commonProblems, 'forbidden', 'not-found'],
    },
    async ({ query: { userAccountId } }) => {
      const explained = await service.explain(userAccountId)
      return explained.ok ? succeed({ status: 200, body: explained.value }) : explained
    },
  ),
]
