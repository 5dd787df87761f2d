/** How microshards are used, by which policies they are split, merged and placed, and why what was decided was decided. */

import * as v from 'valibot'
import { microshardIdSchema } from '../contract/microshard.ts'
import { microshardMeasuresSchema } from '../contract/microshard-measures.ts'
import { explanationSchema, microshardPoliciesSchema } from '../contract/microshard-policies.ts'
import { succeed } from '../contract/problem.ts'
import type { LifecycleService } from '../prediction/policies/open-lifecycle-manager.ts'
import type { KeptPolicies } from '../prediction/policies/policies-service.ts'
import { commonProblems } from './parameters.ts'
import { type Answer, defineRoute, type Route } from './route.ts'

const path = '/v1/microshard-policies'
const common = { tag: 'microshard', access: 'admin' } as const
const readProblems = [...commonProblems, 'forbidden'] as const

export function createMicroshardPolicyRoutes(lifecycle: LifecycleService): readonly Route[] {
  return [
    defineRoute(
      {
        ...common,
        method: 'GET',
        path: '/v1/microshard-measures',
        operationId: 'measureMicroshards',
        summary: 'Show how microshards and nodes are used',
        description:
          'By what all controllers have counted: rates of the last minute, clients of the last quarter of an hour.',
        answers: [{ status: 200, description: 'All that are active, and all nodes', schema: microshardMeasuresSchema }],
        problems: readProblems,
      },
      async () => succeed({ status: 200, body: await lifecycle.measure() }),
    ),
    defineRoute(
      {
        ...common,
        method: 'GET',
        path,
        operationId: 'showMicroshardPolicies',
        summary: 'Show the policies of microshards',
        answers: [{ status: 200, description: 'All of them, defaults included', schema: microshardPoliciesSchema }],
        problems: readProblems,
      },
      async () => succeed(answer(lifecycle.show())),
    ),
    defineRoute(
      {
        ...common,
        method: 'PUT',
        path,
        operationId: 'replaceMicroshardPolicies',
        summary: 'Replace the policies of microshards',
        description:
          'What is left out is as by default. Policies that contradict each other are refused, with each two.',
        body: microshardPoliciesSchema,
        takesIfMatch: true,
        answers: [{ status: 200, description: 'As they are now', schema: microshardPoliciesSchema }],
        problems: [...readProblems, 'malformed', 'payload-too-large', 'conflict', 'precondition-failed'],
      },
      async ({ body, request }) => {
        const replaced = await lifecycle.replace(body, request)
        return replaced.ok ? succeed(answer(replaced.value)) : replaced
      },
    ),
    defineRoute(
      {
        ...common,
        method: 'GET',
        path: `${path}/explanation`,
        operationId: 'explainMicroshards',
        summary: 'Show what was decided, and why',
        query: v.strictObject({ microshard: v.optional(microshardIdSchema) }),
        answers: [
          {
            status: 200,
            description: 'The policy in force, its rules, the budget, and the last decisions with their figures',
            schema: explanationSchema,
          },
        ],
        problems: readProblems,
      },
      async ({ query: { microshard } }) => succeed({ status: 200, body: lifecycle.explain(microshard) }),
    ),
  ]
}

/** A version of 0 can be named by nobody: those by default are replaced without one. */
const answer = ({ policies, version }: KeptPolicies): Answer => ({
  status: 200,
  body: policies,
  ...(version === 0 ? {} : { version }),
})
