/** Changes that wait for a person, with the ways to decide; and changes that are still being made. */

import * as v from 'valibot'
import {
  escalationEditSchema,
  escalationIdSchema,
  escalationPageSchema,
  escalationSchema,
  escalationStatuses,
  pendingActionIdSchema,
  pendingActionSchema,
} from '../contract/escalation.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import { createEscalations, type EscalationMeans } from '../control-plane/writes/escalations.ts'
import { commonProblems, limitParameter, textParameter } from './parameters.ts'
import { type Answer, defineRoute, type Route } from './route.ts'

const tag = 'escalation'
const access = 'bearer'
const decisionProblems = [
  ...commonProblems,
  'not-found',
  'conflict',
  'escalated',
  'forbidden',
  'name-taken',
  'in-use',
  'overlap',
  'quota-exceeded',
  'no-space',
  'no-host',
] as const

export function createEscalationRoutes(means: EscalationMeans): readonly Route[] {
  const escalations = createEscalations(means)
  const path = '/v1/escalations/{id}'
  const one = { tag, access, parameters: { id: escalationIdSchema } } as const
  const decided = [{ status: 200, description: 'The escalation, resolved', schema: escalationSchema }] as const
  const idOf = ({ parameters }: { readonly parameters: Readonly<Record<string, string>> }) => parameters.id ?? ''
  return [
    defineRoute(
      {
        ...{ tag, access, method: 'GET', path: '/v1/escalations', operationId: 'listEscalations' },
        summary: 'List changes that wait for a person',
        query: v.strictObject({
          projectId: textParameter,
          status: v.optional(v.picklist(escalationStatuses)),
          after: textParameter,
          limit: limitParameter,
        }),
        answers: [{ status: 200, description: 'A page', schema: escalationPageSchema }],
        problems: commonProblems,
      },
      async ({ query, request }) => toAnswer(await escalations.list(definedOf(query), request)),
    ),
    defineRoute(
      {
        ...{ ...one, method: 'GET', path, operationId: 'showEscalation' },
        summary: 'Show a change that waits for a person',
        description: 'With the action, both versions, and the fields in which they differ.',
        answers: [{ status: 200, description: 'The escalation', schema: escalationSchema }],
        problems: [...commonProblems, 'not-found'],
      },
      async (call) => toAnswer(await escalations.show(idOf(call), call.request)),
    ),
    defineRoute(
      {
        ...{ ...one, method: 'POST', path: `${path}/retry`, operationId: 'retryEscalation' },
        summary: 'Make the change after all, on what is there now',
        answers: decided,
        problems: decisionProblems,
      },
      async (call) => toAnswer(await escalations.retry(idOf(call), call.request)),
    ),
    defineRoute(
      {
        ...{ ...one, method: 'POST', path: `${path}/edit`, operationId: 'editEscalation' },
        summary: 'Make the change with other values',
        description: 'Fields of the body replace those that were asked for; the others stay.',
        body: escalationEditSchema,
        answers: decided,
        problems: [...decisionProblems, 'malformed', 'payload-too-large'],
      },
      async (call) => toAnswer(await escalations.edit(idOf(call), call.body, call.request)),
    ),
    defineRoute(
      {
        ...{ ...one, method: 'POST', path: `${path}/discard`, operationId: 'discardEscalation' },
        summary: 'Give the change up',
        answers: decided,
        problems: [...commonProblems, 'not-found', 'conflict'],
      },
      async (call) => toAnswer(await escalations.discard(idOf(call), call.request)),
    ),
    defineRoute(
      {
        ...{ tag, access, method: 'GET', path: '/v1/actions/{id}', operationId: 'showAction' },
        parameters: { id: pendingActionIdSchema },
        summary: 'Show what became of a change that was answered 202',
        description: 'It can be read for an hour after it is settled.',
        answers: [{ status: 200, description: 'The action', schema: pendingActionSchema }],
        problems: [...commonProblems, 'not-found'],
      },
      async (call) => toAnswer(await escalations.showAction(idOf(call), call.request)),
    ),
  ]
}

const toAnswer = (outcome: Outcome<object>): Outcome<Answer> =>
  outcome.ok ? succeed({ status: 200, body: outcome.value }) : outcome

/** Without the fields that are not given. */
function definedOf<Fields extends object>(fields: Fields): { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof Fields]?: Exclude<Fields[Key], undefined>
  }
}
