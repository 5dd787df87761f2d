/** The weights of keys: which there are, which the load calls for, and how the ring goes over to others. For admins. */

import { keyWeightsViewSchema, reshardSchema } from '../contract/microshard.ts'
import { succeed } from '../contract/problem.ts'
import type { MicroshardsService } from '../control-plane/lifecycle/microshards.ts'
import { commonProblems } from './parameters.ts'
import { defineRoute, type Route } from './route.ts'

const common = { tag: 'microshard', access: 'admin', path: '/v1/microshards/weights' } as const

export const createWeightsRoutes = (microshards: MicroshardsService): readonly Route[] => [
  defineRoute(
    {
      ...common,
      method: 'GET',
      operationId: 'showMicroshardWeights',
      summary: 'Show the weights of keys',
      description: 'With how far the ring has gone over to them, and which the measured load calls for.',
      answers: [{ status: 200, description: 'The weights', schema: keyWeightsViewSchema }],
      problems: [...commonProblems, 'forbidden'],
    },
    async () => succeed({ status: 200, body: await microshards.showWeights() }),
  ),
  defineRoute(
    {
      ...common,
      method: 'POST',
      operationId: 'reshardMicroshards',
      summary: 'Give keys other weights',
      description:
        'The microshards hand their arcs over one after the other, while they are read and written; ids stay as they are. With `dryRun` nothing is changed, and what would move is told.',
      body: reshardSchema,
      takesIdempotencyKey: true,
      answers: [
        { status: 200, description: 'What it would do', schema: keyWeightsViewSchema },
        { status: 202, description: 'It goes on by itself', schema: keyWeightsViewSchema },
      ],
      problems: [...commonProblems, 'forbidden', 'conflict', 'malformed', 'payload-too-large'],
    },
    async ({ body }) => {
      const named = await microshards.reshard(body)
      if (!named.ok) return named
      return succeed({ status: named.value.isDryRun ? 200 : 202, body: named.value })
    },
  ),
]
