/** The NATS servers that microshards are on, for admins: which there are, and which are to hold nothing. */

import * as v from 'valibot'
import { type NodeView, nodeNameSchema, nodeSchema } from '../contract/microshard.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import type { MicroshardsService } from '../control-plane/lifecycle/microshards.ts'
import { commonProblems } from './parameters.ts'
import { type Answer, defineRoute, type Route } from './route.ts'

const common = { tag: 'microshard', access: 'admin' } as const
const changing = {
  ...common,
  method: 'POST',
  parameters: { name: nodeNameSchema },
  takesIdempotencyKey: true,
  answers: [{ status: 200, description: 'The node', schema: nodeSchema }],
  problems: [...commonProblems, 'forbidden', 'not-found', 'conflict'],
} as const

export const createNodeRoutes = (microshards: MicroshardsService): readonly Route[] => [
  defineRoute(
    {
      ...common,
      method: 'GET',
      path: '/v1/nodes',
      operationId: 'listNodes',
      summary: 'List the nodes that microshards are on',
      description: 'By name, each with how many microshards it holds, or leads where several hold them.',
      answers: [
        {
          status: 200,
          description: 'Those that are there, and those that were',
          schema: v.object({ items: v.array(nodeSchema) }),
        },
      ],
      problems: [...commonProblems, 'forbidden'],
    },
    async () => succeed({ status: 200, body: { items: await microshards.listNodes() } }),
  ),
  defineRoute(
    {
      ...changing,
      path: '/v1/nodes/{name}/drain',
      operationId: 'drainNode',
      summary: 'Take everything off a node',
      description: 'What it holds or leads goes to other nodes, one microshard after the other, while it is in use.',
    },
    async ({ parameters: { name = '' } }) => answer(await microshards.drainNode(name)),
  ),
  defineRoute(
    {
      ...changing,
      path: '/v1/nodes/{name}/resume',
      operationId: 'resumeNode',
      summary: 'Let a node that was drained take microshards again',
    },
    async ({ parameters: { name = '' } }) => answer(await microshards.resumeNode(name)),
  ),
]

const answer = (changed: Outcome<NodeView>): Outcome<Answer> =>
  changed.ok ? succeed({ status: 200, body: changed.value }) : changed
