/** The space of pools as a picture, and room made in pools and networks. */

import type * as v from 'valibot'
import { createRoomService } from '../address-space/make-room.ts'
import { idSchema } from '../contract/common.ts'
import { succeed } from '../contract/problem.ts'
import {
  compactionSchema,
  compactSchema,
  defragmentationSchema,
  defragmentSchema,
  poolSpaceSchema,
  type RoomStatus,
} from '../contract/space.ts'
import type { ControllerContext, Services } from '../services.ts'
import { commonProblems } from './parameters.ts'
import { type Answer, defineRoute, type Route } from './route.ts'

const runProblems = [
  ...commonProblems,
  'malformed',
  'payload-too-large',
  'not-found',
  'idempotency-key-reused',
] as const

export function createSpaceRoutes(
  context: Pick<ControllerContext, 'store' | 'now'>,
  services: Pick<Services, 'shards' | 'migrations'>,
): readonly Route[] {
  const room = createRoomService(context, services)
  return [
    defineRoute(
      {
        method: 'GET',
        path: '/v1/pools/{id}/space',
        operationId: 'showPoolSpace',
        tag: 'pool',
        summary: 'Show the space of a pool',
        description: 'Its shards and free blocks, how full they are, and how much of what is free is in one piece.',
        access: 'bearer',
        parameters: { id: idSchema('pol') },
        answers: [{ status: 200, description: 'Its space', schema: poolSpaceSchema }],
        problems: [...commonProblems, 'not-found'],
      },
      async ({ parameters: { id = '' }, request }) => {
        const space = await room.showSpace(id, request)
        return space.ok ? succeed({ status: 200, body: space.value }) : space
      },
    ),
    defineRoute(
      {
        method: 'POST',
        path: '/v1/pools/{id}/defragment',
        operationId: 'defragmentPool',
        tag: 'pool',
        summary: 'Free a block of a wanted size by the fewest moves',
        description:
          'Shows the plan, or what is in the way. With dryRun false it starts the migrations, and once the shards are empty the same request, with the cidr of the block, gives them back.',
        access: 'bearer',
        parameters: { id: idSchema('pol') },
        body: defragmentSchema,
        answers: answersOf(defragmentationSchema),
        problems: [...runProblems, 'no-space'],
        takesIdempotencyKey: true,
      },
      async ({ parameters: { id = '' }, body, request }) => {
        const made = await room.defragment(id, body, request)
        return made.ok ? succeed(describeRoom(made.value)) : made
      },
    ),
    defineRoute(
      {
        method: 'POST',
        path: '/v1/networks/{id}/compact',
        operationId: 'compactNetwork',
        tag: 'network',
        summary: 'Empty as many shards as can be by the fewest moves',
        description: 'Shows the plan. With dryRun false it starts the migrations; the shards are available afterwards.',
        access: 'bearer',
        parameters: { id: idSchema('net') },
        body: compactSchema,
        answers: answersOf(compactionSchema),
        problems: runProblems,
        takesIdempotencyKey: true,
      },
      async ({ parameters: { id = '' }, body, request }) => {
        const made = await room.compact(id, body, request)
        return made.ok ? succeed(describeRoom(made.value)) : made
      },
    ),
  ]
}

const answersOf = (schema: v.GenericSchema) =>
  [
    { status: 200, description: 'The plan, or what was done', schema },
    { status: 202, description: 'Holders are on their way', schema },
  ] as const

const describeRoom = (made: { readonly status: RoomStatus }): Answer => ({
  status: made.status === 'migrating' ? 202 : 200,
  body: made,
})
