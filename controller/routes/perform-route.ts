/**
 * How a route that changes something is done: as a control plane action, the same whether its caller waits for it, or
 * it is carried on, made after all or done by another controller. Calls handlers and the performer of actions.
 */

import * as v from 'valibot'
import { type PendingAction, pendingActionSchema } from '../contract/escalation.ts'
import type { RouteAnswer } from '../contract/openapi.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import type { Kind } from '../control-plane/store.ts'
import { viewPending } from '../control-plane/writes/escalations.ts'
import type { OwnerRouting } from '../control-plane/writes/owner-routing.ts'
import {
  type ActionPerformer,
  type ControlPlaneAction,
  createActionPerformer,
  type Run,
} from '../control-plane/writes/perform-action.ts'
import type { ControllerContext, RequestInfo } from '../services.ts'
import { actionTypeOf, actionTypes } from './action-types.ts'
import { parseValue } from './parse.ts'
import type { Answer, Call, Route } from './route.ts'

/** A request that has been parsed, and what its query and body were before. */
export interface ParsedCall {
  readonly call: Call<never, never>
  readonly given: { readonly query: Readonly<Record<string, string>>; readonly body: unknown }
}

export interface RoutePerformer {
  /** Answers what the route answers; 202 with the action when it takes long. */
  perform(route: Route, parsed: ParsedCall): Promise<Outcome<Answer>>
  sweep(): Promise<void>
}

/** Does a change as it was asked for: parsed anew, by the route that makes it. */
export function createRun(listRoutes: () => readonly Route[]): Run<Answer> {
  return async (action, request) => {
    const route = listRoutes().find(({ operationId }) => operationId === action.actionType)
    if (route === undefined) throw new Error(`BUG: no route does ${action.actionType}`)
    const { parameters } = action.payload
    const query = route.query === undefined ? succeed({}) : parseValue(route.query, action.payload.query, 'the query')
    if (!query.ok) return query
    const body = route.body === undefined ? succeed(undefined) : parseValue(route.body, action.payload.body, 'the body')
    if (!body.ok) return body
    const { currentVersion } = action
    return route.handle({
      request: { ...request, ...(currentVersion === undefined ? {} : { currentVersion }) },
      parameters,
      query: query.value as never,
      givenQuery: {},
      body: body.value as never,
      text: JSON.stringify(action.payload.body ?? null),
      headers: new Headers(),
      signal: new AbortController().signal,
    })
  }
}

export function createRoutePerformer(
  context: Pick<ControllerContext, 'store' | 'actions' | 'now' | 'random' | 'sleep' | 'logger'>,
  run: Run<Answer>,
  owners?: OwnerRouting<Answer>,
): RoutePerformer {
  const { store, actions, now, random, sleep, logger } = context
  const performer: ActionPerformer<Answer> = createActionPerformer({
    ...{ store, actions, now, random, sleep, logger, run, owners },
    types: actionTypes,
  })

  owners?.serve(run)

  return {
    sweep: performer.sweep,
    async perform(route, { call, given }) {
      const type = actionTypes[actionTypeOf(route.operationId)]
      if (type === undefined) return route.handle(call)
      const action = describeAction(route, type, call, given)
      const performed = await performer.performControlPlaneAction(action, call.request, () => route.handle(call))
      if (!performed.ok) return performed
      return performed.value.kind === 'answered'
        ? succeed(performed.value.answer)
        : succeed(describePending(viewPending(performed.value.pending)))
    },
  }
}

/** What the description of such a route says besides its own: it may be answered later, and it may be escalated. */
export function describeAsAction(route: Route): Route {
  const type = actionTypes[actionTypeOf(route.operationId)]
  if (type?.isKept !== true) return route
  const own = route.answers.find(({ status }) => status === 202)
  const later = 'Others keep changing it: it is still being made, and `GET /v1/actions/{id}` tells what becomes of it'
  const accepted =
    own?.schema === undefined
      ? { status: 202, description: later, schema: pendingActionSchema }
      : { status: 202, description: `${own.description}. ${later}`, schema: v.union([own.schema, pendingActionSchema]) }
  const answers = [...route.answers.filter((answer) => answer !== own), accepted as RouteAnswer]
  const problems = [...new Set([...route.problems, 'conflict', 'escalated'] as const)]
  return { ...route, answers, problems }
}

function describeAction(
  route: Route,
  { kind, parameter }: { readonly kind: Kind<unknown>; readonly parameter: string | null },
  { request, parameters }: { readonly request: RequestInfo; readonly parameters: Readonly<Record<string, string>> },
  given: ParsedCall['given'],
): ControlPlaneAction {
  const { currentVersion } = request
  return {
    clientId: (parameter === null ? undefined : parameters[parameter]) ?? clientOf(given.body) ?? 'system',
    actionType: actionTypeOf(route.operationId),
    dataType: kind.dataType,
    payload: { parameters: { ...parameters }, query: given.query, body: given.body },
    ...(currentVersion === undefined ? {} : { currentVersion }),
  }
}

function clientOf(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('projectId' in body)) return undefined
  return typeof body.projectId === 'string' ? body.projectId : undefined
}

/** What of an answer another controller gives on: that nobody waits with it any more, and nothing streams. */
export const plainAnswer = ({ status, body, headers, version, isAllInVersion }: Answer): Answer => ({
  status,
  ...(body === undefined ? {} : { body }),
  ...(headers === undefined ? {} : { headers }),
  ...(version === undefined ? {} : { version }),
  ...(isAllInVersion === undefined ? {} : { isAllInVersion }),
})

const describePending = (pending: PendingAction): Answer => ({
  status: 202,
  body: pending,
  isPending: true,
  headers: { location: `/v1/actions/${pending.id}`, 'retry-after': '1' },
})
