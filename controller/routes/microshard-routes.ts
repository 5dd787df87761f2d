/**
 * Where the control plane's data is: `/v1/directory` for whoever acts, `/v1/microshards` with the operations on them for
 * admins. An operation goes on by itself, whoever has asked for it.
 */

import * as v from 'valibot'
import {
  directorySchema,
  type MicroshardOperationView,
  mergeSchema,
  microshardIdSchema,
  microshardOperationSchema,
  microshardSchema,
  migrateSchema,
  operationIdSchema,
  shardLocationSchema,
  splitSchema,
} from '../contract/microshard.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import type { MicroshardsService } from '../control-plane/lifecycle/microshards.ts'
import { createNodeRoutes } from './node-routes.ts'
import { commonProblems, waitEntries } from './parameters.ts'
import { refuseParameter } from './parse.ts'
import { type Answer, defineRoute, type Route } from './route.ts'
import { createWeightsRoutes } from './weights-routes.ts'

const nameParameter = v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(200)))
const microshardParameter = { id: microshardIdSchema }
const operationsPath = '/v1/microshards/operations'
const common = { tag: 'microshard', access: 'admin' } as const
const changeProblems = [...commonProblems, 'forbidden', 'not-found', 'conflict', 'timeout'] as const

export function createMicroshardRoutes(microshards: MicroshardsService): readonly Route[] {
  return [
    directoryRoute(microshards),
    listRoute(microshards),
    ...createWeightsRoutes(microshards),
    operationRoute(microshards),
    abortRoute(microshards),
    showRoute(microshards),
    splitRoute(microshards),
    mergeRoute(microshards),
    migrateRoute(microshards),
    ...createNodeRoutes(microshards),
  ]
}

const directoryRoute = (microshards: MicroshardsService) =>
  defineRoute(
    {
      method: 'GET',
      path: '/v1/directory',
      operationId: 'showDirectory',
      tag: 'microshard',
      access: 'bearer',
      summary: 'Show where data is',
      description:
        'All of the directory; or, for `user` and `action`, the microshard in which what that action of that user touches is kept, and where it is reached. ' +
        'A user is a project, by its id, or anybody else by a name.',
      query: v.strictObject({ user: nameParameter, action: nameParameter }),
      answers: [
        {
          status: 200,
          description: 'The directory, or one place in it',
          schema: v.union([shardLocationSchema, directorySchema]),
        },
      ],
      problems: commonProblems,
    },
    async ({ query: { user, action } }): Promise<Outcome<Answer>> => {
      if (user === undefined && action === undefined) {
        const directory = await microshards.showDirectory()
        return succeed({ status: 200, body: directory, version: directory.version })
      }
      if (user === undefined || action === undefined) {
        const missing = user === undefined ? 'user' : 'action'
        return refuseParameter(missing, 'is missing', 'Name both `user` and `action`, or neither.')
      }
      const location = await microshards.locate({ user, action })
      return succeed({ status: 200, body: location, version: location.version })
    },
  )

const listRoute = (microshards: MicroshardsService) =>
  defineRoute(
    {
      ...common,
      method: 'GET',
      path: '/v1/microshards',
      operationId: 'listMicroshards',
      summary: 'List microshards',
      description: 'In the order of the ring, with how much each keeps; those that are being made or dropped follow.',
      answers: [{ status: 200, description: 'All of them', schema: v.object({ items: v.array(microshardSchema) }) }],
      problems: [...commonProblems, 'forbidden'],
    },
    async () => succeed({ status: 200, body: { items: await microshards.list() } }),
  )

const showRoute = (microshards: MicroshardsService) =>
  defineRoute(
    {
      ...common,
      method: 'GET',
      path: '/v1/microshards/{id}',
      operationId: 'showMicroshard',
      summary: 'Show a microshard',
      parameters: microshardParameter,
      answers: [{ status: 200, description: 'The microshard', schema: microshardSchema }],
      problems: [...commonProblems, 'forbidden', 'not-found'],
    },
    async ({ parameters: { id = '' } }) => {
      const shown = await microshards.show(id)
      return shown.ok ? succeed({ status: 200, body: shown.value }) : shown
    },
  )

const operationRoute = (microshards: MicroshardsService) =>
  defineRoute(
    {
      ...common,
      method: 'GET',
      path: `${operationsPath}/{id}`,
      operationId: 'showMicroshardOperation',
      summary: 'Show an operation on microshards',
      description: 'One that is under way, or one of the last that have ended.',
      parameters: { id: operationIdSchema },
      answers: [{ status: 200, description: 'The operation', schema: microshardOperationSchema }],
      problems: [...commonProblems, 'forbidden', 'not-found'],
    },
    async ({ parameters: { id = '' } }) => {
      const shown = await microshards.showOperation(id)
      return shown.ok ? succeed({ status: 200, body: shown.value }) : shown
    },
  )

/** What each of them has in common. */
const changing = {
  ...common,
  method: 'POST',
  query: v.strictObject(waitEntries),
  takesIdempotencyKey: true,
  answers: [
    {
      status: 202,
      description: 'The operation, which goes on by itself; Location says where it is followed',
      schema: microshardOperationSchema,
    },
  ],
} as const

const abortRoute = (microshards: MicroshardsService) =>
  defineRoute(
    {
      ...changing,
      path: `${operationsPath}/{id}/abort`,
      operationId: 'abortMicroshardOperation',
      summary: 'Abort an operation on microshards',
      description: 'As long as it has not been switched; everything is read and written where it was.',
      parameters: { id: operationIdSchema },
      problems: changeProblems,
    },
    async ({ parameters: { id = '' } }) => accept(microshards, await microshards.abort(id)),
  )

const splitRoute = (microshards: MicroshardsService) =>
  defineRoute(
    {
      ...changing,
      path: '/v1/microshards/{id}/split',
      operationId: 'splitMicroshard',
      summary: 'Split a microshard',
      description: 'Where its load halves, by the writes of each of its keys; or at a key.',
      parameters: microshardParameter,
      body: splitSchema,
      problems: [...changeProblems, 'malformed', 'payload-too-large'],
    },
    async ({ parameters: { id = '' }, body, request }) =>
      accept(microshards, await microshards.split(id, body, request.seed)),
  )

const mergeRoute = (microshards: MicroshardsService) =>
  defineRoute(
    {
      ...changing,
      path: '/v1/microshards/{id}/merge',
      operationId: 'mergeMicroshards',
      summary: 'Merge a microshard with its neighbour',
      parameters: microshardParameter,
      body: mergeSchema,
      problems: [...changeProblems, 'malformed', 'payload-too-large'],
    },
    async ({ parameters: { id = '' }, body, request }) =>
      accept(microshards, await microshards.merge(id, body, request.seed)),
  )

const migrateRoute = (microshards: MicroshardsService) =>
  defineRoute(
    {
      ...changing,
      path: '/v1/microshards/{id}/migrate',
      operationId: 'migrateMicroshard',
      summary: 'Migrate a microshard to another node',
      parameters: microshardParameter,
      body: migrateSchema,
      problems: [...changeProblems, 'malformed', 'payload-too-large', 'no-host'],
    },
    async ({ parameters: { id = '' }, body, request }) =>
      accept(microshards, await microshards.migrate(id, body, request.seed)),
  )

function accept(microshards: MicroshardsService, begun: Outcome<MicroshardOperationView>): Outcome<Answer> {
  if (!begun.ok) return begun
  const { id } = begun.value
  const describe = (body: MicroshardOperationView): Answer => ({
    status: 202,
    body,
    headers: { location: `${operationsPath}/${id}` },
  })
  return succeed({
    ...describe(begun.value),
    waitForEnd: async (wait) => {
      const ended = await microshards.waitForEnd(id, wait)
      if (!ended.ok) return ended
      return ended.value.status === 'running'
        ? refuseTimeout(ended.value, wait.milliseconds)
        : succeed(describe(ended.value))
    },
  })
}

const refuseTimeout = ({ id, kind, phase }: MicroshardOperationView, milliseconds: number) =>
  refuse({
    code: 'timeout',
    title: 'It is not done yet',
    detail: `After ${milliseconds / 1000} s the ${kind} ${id} is ${phase}.`,
    remedy: `It goes on by itself: see GET ${operationsPath}/${id}.`,
  })
