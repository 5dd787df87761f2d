/**
 * `/v1/actions`: the JSON interface, by POST, by GET with a body, and by GET with `?request=`. A thin translation onto
 * the services of REST; a refusal is answered in the interface's own form, with the status of its problem.
 */

import * as v from 'valibot'
import { type ActionAnswer, actionAnswerSchema, actionRequestSchema } from '../../contract/json-interface.ts'
import { type Outcome, type Problem, succeed } from '../../contract/problem.ts'
import { loadBalancerKind, loadBalancerStatusKind } from '../../objects.ts'
import type { ControllerContext, Services } from '../../services.ts'
import { createKeyedLock } from '../keyed-lock.ts'
import { commonProblems, waitEntries } from '../parameters.ts'
import { parseJson, parseValue, refuseParameter } from '../parse.ts'
import { type Answer, type Call, defineRoute, type Route } from '../route.ts'
import { createInstance, deleteInstance, showInstance, updateInstance } from './act-on-instance.ts'
import {
  type ActionCall,
  type ActionResult,
  createProject,
  deleteProject,
  showProject,
  updateProject,
} from './act-on-project.ts'
import { translateProblem } from './translate-instance.ts'

type Asked = v.InferOutput<typeof actionRequestSchema>
type Act = (call: ActionCall, info: unknown) => Promise<Outcome<ActionResult>>

const acts: Readonly<Record<Asked['type'], Readonly<Record<Asked['action'], Act>>>> = {
  project: { create: createProject, info: showProject, update: updateProject, delete: deleteProject },
  instance: { create: createInstance, info: showInstance, update: updateInstance, delete: deleteInstance },
}

export function createActionRoutes(context: Pick<ControllerContext, 'store'>, services: Services): readonly Route[] {
  const common = {
    path: '/v1/actions',
    tag: 'action',
    access: 'bearer',
    takesText: true,
    takesIdempotencyKey: true,
    answers: [{ status: 200, description: 'What became of it', schema: actionAnswerSchema }],
    problems: [
      ...commonProblems,
      'malformed',
      'payload-too-large',
      'not-found',
      'name-taken',
      'in-use',
      'overlap',
      'quota-exceeded',
      'no-host',
      'timeout',
    ],
    describeRefusal,
  } as const
  const means = { context, services, lock: createKeyedLock() }
  const handle = (call: Call<{ readonly request?: string | undefined }, undefined>) => answerAction(means, call)
  return [
    defineRoute(
      {
        ...common,
        method: 'POST',
        operationId: 'act',
        summary: 'Act by the JSON interface',
        query: v.strictObject(waitEntries),
        textSchema: actionRequestSchema,
      },
      (call) => handle({ ...call, query: {} }),
    ),
    defineRoute(
      {
        ...common,
        method: 'GET',
        operationId: 'actByGet',
        summary: 'Act by the JSON interface, for clients that only GET',
        description: 'The request is the JSON body, or the query parameter `request`.',
        query: v.strictObject({ ...waitEntries, request: v.optional(v.string()) }),
      },
      handle,
    ),
  ]
}

async function answerAction(
  means: Pick<ActionCall, 'context' | 'services' | 'lock'>,
  call: Call<{ readonly request?: string | undefined }, undefined>,
): Promise<Outcome<Answer>> {
  const { request: asText } = call.query
  if (asText !== undefined && call.text.trim() !== '') {
    return refuseParameter('request', 'is given, and so is a body', 'Send one of the two.')
  }
  const json = parseJson(asText ?? call.text)
  if (!json.ok) return json
  const asked = parseValue(actionRequestSchema, json.value, 'the request')
  if (!asked.ok) return asked
  const own: ActionCall = { ...means, request: call.request, signal: call.signal }
  const { action, type, info } = asked.value
  const result = await acts[type][action](own, info)
  return result.ok ? succeed(describeAnswer(asked.value, result.value)) : result
}

function describeAnswer(asked: Asked, result: ActionResult): Answer {
  const { pending, info } = result
  const body: ActionAnswer = { status: 'successful', action: asked.action, type: asked.type, info }
  if (pending === undefined) return { status: 200, body }
  const { id, until, reread } = pending
  const answer = async (): Promise<Outcome<Answer>> => {
    const again = await reread()
    return again.ok ? succeed(describeAnswer(asked, again.value)) : again
  }
  return {
    status: 200,
    body,
    settles: { kind: loadBalancerKind, id, until, statusKind: loadBalancerStatusKind, answer },
  }
}

/** Problems of which the field says more than the detail, which is in the words of REST. */
const fieldCodes: readonly Problem['code'][] = ['invalid', 'malformed', 'not-found', 'name-taken', 'quota-exceeded']

/** What was asked for is said again as far as it can be read, so that whoever sent many knows which one failed. */
function describeRefusal(problem: Problem, text: string, request: string | null): ActionAnswer {
  const asked = readAsked(request ?? text)
  const { detail, remedy, errors, code } = translateProblem(problem)
  const first = errors?.[0]
  const error = first !== undefined && fieldCodes.includes(code) ? `${first.field}: ${first.message}` : detail
  const names = Object.fromEntries(
    Object.entries(asked.info).filter(([field]) => ['name', 'project', 'user'].includes(field)),
  )
  return {
    status: 'fail',
    action: asked.action,
    type: asked.type,
    info: {
      ...names,
      error,
      ...(first === undefined ? {} : { field: first.field }),
      ...(errors === undefined || errors.length < 2 ? {} : { errors }),
      code,
      ...(remedy === undefined ? {} : { remedy }),
    },
  }
}

function readAsked(text: string): {
  action: string | null
  type: string | null
  info: Readonly<Record<string, unknown>>
} {
  const json = parseJson(text)
  const looseSchema = v.object({
    action: v.fallback(v.nullable(v.string()), null),
    type: v.fallback(v.nullable(v.string()), null),
    info: v.fallback(v.record(v.string(), v.unknown()), {}),
  })
  const loose = v.safeParse(looseSchema, json.ok ? json.value : {})
  return loose.success ? loose.output : { action: null, type: null, info: {} }
}
