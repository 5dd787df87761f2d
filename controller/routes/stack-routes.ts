/**
 * Stacks, and their states as Terraform and OpenTofu keep them by their HTTP backend: GET, POST, DELETE, LOCK and UNLOCK
 * of one path, with a token as the password of Basic authentication.
 */

import * as v from 'valibot'
import { findVisible } from '../access/view.ts'
import { idSchema } from '../contract/common.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import {
  lockInfoSchema,
  stackNameSchema,
  stackPageSchema,
  stackRollbackSchema,
  stackSchema,
  stackVersionsSchema,
} from '../contract/stack.ts'
import type { StackPlace } from '../hypervisor/state/stack-change.ts'
import { listStacks, showStack } from '../hypervisor/state/stacks.ts'
import { type States, stateBytesMaximum } from '../hypervisor/state/states.ts'
import { projectKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import { commonProblems, limitParameter, textParameter } from './parameters.ts'
import { parseJson, parseValue } from './parse.ts'
import { type Answer, type Call, defineRoute, type Route } from './route.ts'

const projectEntry = {
  projectId: v.optional(
    v.pipe(idSchema('prj'), v.description("An admin says whose stack is meant; left out, it is the rack's")),
  ),
}
const placeQuery = v.strictObject(projectEntry)
/** Both programs name their lock so. */
const lockIdEntry = { ID: v.optional(v.pipe(v.string(), v.maxLength(200))) }
const heldQuery = v.strictObject({ ...projectEntry, ...lockIdEntry })
const listQuery = v.strictObject({ ...projectEntry, after: textParameter, limit: limitParameter })
const breakQuery = v.strictObject({
  ...projectEntry,
  id: v.pipe(v.string(), v.description('The lock that is there, as it was shown: no other is broken')),
})
const versionSchema = v.pipe(v.string(), v.regex(/^[1-9]\d{0,14}$/))

const common = { tag: 'stack', access: 'bearer' } as const
const parameters = { stack: stackNameSchema }
const statePath = '/v1/stacks/{stack}/state'
const problems = [...commonProblems, 'not-found'] as const
const changeProblems = [...problems, 'locked', 'conflict', 'quota-exceeded', 'payload-too-large', 'malformed'] as const
const stateAnswer = { status: 200, description: 'The state, as it was written' } as const

type PlaceCall = Pick<
  Call<{ readonly projectId?: string | undefined } | undefined, unknown>,
  'request' | 'query' | 'parameters'
>

export function createStackRoutes({ store }: Pick<ControllerContext, 'store'>, states: States): readonly Route[] {
  /** A project's token has its own project's stacks alone; an admin the rack's, and any project's. */
  async function findPlace({ request, query, parameters: { stack = '' } }: PlaceCall): Promise<Outcome<StackPlace>> {
    const projectId = query?.projectId ?? request.caller.projectId
    if (projectId === null) return succeed({ projectId, name: stack })
    const project = await findVisible({ store }, projectKind, projectId, ({ id }) => id, request)
    return project.ok ? succeed({ projectId, name: stack }) : project
  }

  /** Of what answers with no more than that it is done. */
  const at = async (
    call: PlaceCall,
    act: (place: StackPlace) => Promise<Outcome<unknown>>,
  ): Promise<Outcome<Answer>> => {
    const place = await findPlace(call)
    if (!place.ok) return place
    const done = await act(place.value)
    return done.ok ? succeed({ status: 200 }) : done
  }

  const readText = async (call: PlaceCall, read: (place: StackPlace) => Promise<Outcome<string | null>>) => {
    const place = await findPlace(call)
    if (!place.ok) return place
    const text = await read(place.value)
    if (!text.ok) return text
    if (text.value === null) return succeed<Answer>({ status: 204 })
    const headers = { 'content-type': 'application/json', 'cache-control': 'private, no-store' }
    return succeed<Answer>({ status: 200, stream: new Response(text.value, { headers }) })
  }

  return [
    defineRoute(
      {
        ...common,
        method: 'GET',
        path: '/v1/stacks',
        operationId: 'listStacks',
        summary: 'List stacks',
        query: listQuery,
        answers: [{ status: 200, description: 'A page of them', schema: stackPageSchema }],
        problems,
      },
      async ({ query: { projectId, after, limit }, request }) => {
        const asked = { ...(projectId && { projectId }), ...(after && { after }), ...(limit && { limit }) }
        return succeed({ status: 200, body: listStacks(store, asked, request) })
      },
    ),
    defineRoute(
      {
        ...common,
        method: 'GET',
        path: '/v1/stacks/{stack}',
        operationId: 'showStack',
        summary: 'Show a stack, and who holds it',
        parameters,
        query: placeQuery,
        answers: [{ status: 200, description: 'The stack', schema: stackSchema }],
        problems,
      },
      async (call) => {
        const place = await findPlace(call)
        if (!place.ok) return place
        const stack = await showStack(store, place.value)
        return stack.ok ? succeed({ status: 200, body: stack.value, version: stack.value.version }) : stack
      },
    ),
    defineRoute(
      {
        ...common,
        method: 'GET',
        path: statePath,
        operationId: 'readState',
        summary: 'Read the state of a stack',
        parameters,
        query: placeQuery,
        answers: [stateAnswer, { status: 204, description: 'There is none' }],
        problems,
      },
      (call) => readText(call, states.read),
    ),
    defineRoute(
      {
        ...common,
        method: 'POST',
        path: statePath,
        operationId: 'writeState',
        summary: 'Write the state of a stack',
        description:
          'By whoever holds the lock, whose id is `ID`, or without one where nobody does. With Content-MD5 it is checked to have come whole.',
        parameters,
        query: heldQuery,
        takesText: true,
        bodyBytesMaximum: stateBytesMaximum,
        answers: [{ status: 200, description: 'It is stored' }],
        problems: changeProblems,
      },
      (call) => {
        const written = { text: call.text, lockId: call.query.ID ?? null, md5: call.headers.get('content-md5') }
        return at(call, (place) => states.write(place, written, call.request))
      },
    ),
    defineRoute(
      {
        ...common,
        method: 'DELETE',
        path: statePath,
        operationId: 'removeState',
        summary: 'Remove the state of a stack',
        description: 'What it describes stays. It can be rolled back to.',
        parameters,
        query: heldQuery,
        answers: [{ status: 200, description: 'There is none any more' }],
        problems: changeProblems,
      },
      (call) => at(call, (place) => states.remove(place, call.query.ID ?? null, call.request)),
    ),
    ...(['LOCK', 'UNLOCK'] as const).map((method) => lockRoute(states, method, at)),
    defineRoute(
      {
        ...common,
        access: 'admin',
        method: 'DELETE',
        path: '/v1/stacks/{stack}/lock',
        operationId: 'breakStackLock',
        summary: 'Break a lock whose holder is gone',
        description:
          'If that one lives after all, it can write no more: what it applies meanwhile is not in the state.',
        parameters,
        query: breakQuery,
        answers: [{ status: 200, description: 'Nobody holds it' }],
        problems: [...problems, 'forbidden', 'conflict'],
      },
      (call) => at(call, (place) => states.breakLock(place, call.query.id, call.request)),
    ),
    defineRoute(
      {
        ...common,
        method: 'GET',
        path: '/v1/stacks/{stack}/versions',
        operationId: 'listStateVersions',
        summary: 'List the versions of a state that are kept',
        parameters,
        query: placeQuery,
        answers: [{ status: 200, description: 'The newest first', schema: stackVersionsSchema }],
        problems,
      },
      async (call) => {
        const place = await findPlace(call)
        if (!place.ok) return place
        const versions = await states.listVersions(place.value)
        return versions.ok ? succeed({ status: 200, body: { items: versions.value } }) : versions
      },
    ),
    defineRoute(
      {
        ...common,
        method: 'GET',
        path: '/v1/stacks/{stack}/versions/{version}',
        operationId: 'readStateVersion',
        summary: 'Read a version of a state',
        parameters: { ...parameters, version: versionSchema },
        query: placeQuery,
        answers: [stateAnswer],
        problems,
      },
      (call) => readText(call, (place) => states.readVersion(place, Number(call.parameters.version))),
    ),
    defineRoute(
      {
        ...common,
        method: 'POST',
        path: '/v1/stacks/{stack}/rollback',
        operationId: 'rollBackState',
        summary: 'Write an earlier version of a state again',
        description: 'As a new version. What it describes stays as it is: plan afterwards.',
        parameters,
        query: placeQuery,
        body: stackRollbackSchema,
        answers: [{ status: 200, description: 'It is the newest now' }],
        problems: changeProblems,
      },
      (call) => at(call, (place) => states.rollBack(place, call.body.version, call.request)),
    ),
  ]
}

const lockRoute = (
  states: States,
  method: 'LOCK' | 'UNLOCK',
  at: (call: PlaceCall, act: (place: StackPlace) => Promise<Outcome<unknown>>) => Promise<Outcome<Answer>>,
): Route =>
  defineRoute(
    {
      ...common,
      method,
      path: statePath,
      operationId: method === 'LOCK' ? 'lockState' : 'unlockState',
      summary: method === 'LOCK' ? 'Lock the state of a stack' : 'Release the lock of a stack',
      description:
        'Refused with 423 while another holds it; the body names that one as Terraform and OpenTofu read it.',
      parameters,
      query: heldQuery,
      takesText: true,
      answers: [{ status: 200, description: method === 'LOCK' ? 'It is held' : 'It is free' }],
      problems: changeProblems,
    },
    async (call) => {
      const json = parseJson(call.text)
      if (!json.ok) return json
      const info = parseValue(lockInfoSchema, json.value, 'the lock')
      if (!info.ok) return info
      const act = (place: StackPlace) =>
        method === 'LOCK'
          ? states.lock(place, info.value, call.request)
          : states.unlock(place, info.value.ID, call.request)
      return at(call, act)
    },
  )
