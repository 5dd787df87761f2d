/** The routes that every noun has: create, list, show, update, delete, history. Made from a description of the noun. */

import * as v from 'valibot'
import { pageSchema } from '../contract/common.ts'
import type { RouteDescription, Schema } from '../contract/openapi.ts'
import { type Outcome, type ProblemCode, succeed } from '../contract/problem.ts'
import type { Kind, StoredObject } from '../control-plane/store.ts'
import type { ControllerContext, ListQuery, RequestInfo, Service } from '../services.ts'
import { changeEntries, commonProblems, limitParameter, textParameter, waitEntries } from './parameters.ts'
import { type Answer, defineRoute, type Route, type Settling } from './route.ts'
import { createHistoryRoute, readKeptVersion, showEntries, shownOrKept } from './version-routes.ts'

export interface Noun<View extends NounView, Create, Update, Created extends NounView, Value extends object> {
  /** `load balancer`: in sentences. */
  readonly name: string
  /** `load-balancers`: in paths. */
  readonly path: string
  /** `LoadBalancer`: in operation ids. */
  readonly typeName: string
  readonly idSchema: Schema
  readonly access: 'bearer' | 'admin'
  readonly service: Service<View, Create, Update, Created>
  readonly kind: Kind<Value>
  readonly statusKind: Settling['statusKind']
  readonly projectIdOf: (object: StoredObject<Value>) => string | null
  readonly create: v.GenericSchema<unknown, Create>
  /** Null: it has nothing that could be changed. */
  readonly update: v.GenericSchema<unknown, Update> | null
  readonly view: Schema
  readonly created?: Schema
  readonly isCreatedWithSecret?: boolean
  /** Left out: any word may be asked for as `status`. */
  readonly statuses?: readonly string[]
  /** Besides `name` and `status`. */
  readonly filters: readonly ('projectId' | 'networkId' | 'poolId')[]
  readonly isAllInVersion?: boolean
  /** Fields of what is stored that are not for callers. */
  readonly hidden?: readonly (keyof Value & string)[]
  readonly createProblems: readonly ProblemCode[]
  readonly removeProblems: readonly ProblemCode[]
}

interface NounView {
  readonly id: string
  readonly version: number
}

export function createNounRoutes<View extends NounView, Create, Update, Created extends NounView, Value extends object>(
  context: Pick<ControllerContext, 'store'>,
  noun: Noun<View, Create, Update, Created, Value>,
  prefix = '/v1',
): readonly Route[] {
  const routes = [createRoute(noun, prefix), listRoute(noun, prefix), showRoute(context, noun, prefix)]
  if (noun.update !== null) routes.push(updateRoute(noun, noun.update, prefix))
  routes.push(removeRoute(noun, prefix))
  routes.push(createHistoryRoute(context, noun, prefix))
  return routes
}

type AnyNoun<View extends NounView, Create, Update, Created extends NounView, Value extends object> = Noun<
  View,
  Create,
  Update,
  Created,
  Value
>

function createRoute<V extends NounView, C, U, D extends NounView, X extends object>(
  noun: AnyNoun<V, C, U, D, X>,
  prefix: string,
): Route {
  const description = {
    ...describe(noun, prefix, 'POST', 'create', `Create a ${noun.name}`),
    query: v.strictObject(waitEntries),
    body: noun.create,
    answers: [
      { status: 201, description: `The ${noun.name}; Location says where it is`, schema: noun.created ?? noun.view },
    ],
    problems: [
      ...commonProblems,
      'malformed',
      'payload-too-large',
      'name-taken',
      'idempotency-key-reused',
      'timeout',
      ...noun.createProblems,
    ],
    takesIdempotencyKey: true,
    isSecret: noun.isCreatedWithSecret === true,
  } as const
  return defineRoute(description, async (call) => {
    const created = await noun.service.create(call.body as C, call.request)
    if (!created.ok) return created
    const { id } = created.value
    const answer = async (): Promise<Outcome<Answer>> => {
      if (noun.isCreatedWithSecret === true) return succeed(describeCreated(noun, prefix, created.value))
      const shown = await noun.service.show(id, call.request)
      return shown.ok ? succeed(describeCreated(noun, prefix, shown.value)) : shown
    }
    return succeed({ ...describeCreated(noun, prefix, created.value), settles: settle(noun, id, 'active', answer) })
  })
}

function listRoute<V extends NounView, C, U, D extends NounView, X extends object>(
  noun: AnyNoun<V, C, U, D, X>,
  prefix: string,
): Route {
  const filters = Object.fromEntries(noun.filters.map((filter) => [filter, textParameter]))
  const description = {
    ...describe(noun, prefix, 'GET', 'list', `List ${noun.name}s`),
    description: 'In the order of ids, in pages: `next` is given as `after` for the page that follows.',
    query: v.strictObject({
      ...filters,
      name: textParameter,
      status: noun.statuses === undefined ? textParameter : v.optional(v.picklist(noun.statuses)),
      after: textParameter,
      limit: limitParameter,
    }),
    answers: [{ status: 200, description: 'A page', schema: pageSchema(noun.view) }],
    problems: commonProblems,
  } as const
  return defineRoute(description, async (call) => {
    const page = await noun.service.list(call.query as ListQuery, call.request)
    return page.ok ? succeed({ status: 200, body: page.value }) : page
  })
}

function showRoute<V extends NounView, C, U, D extends NounView, X extends object>(
  context: Pick<ControllerContext, 'store'>,
  noun: AnyNoun<V, C, U, D, X>,
  prefix: string,
): Route {
  const description = {
    ...describe(noun, prefix, 'GET', 'show', `Show a ${noun.name}`),
    query: v.strictObject(showEntries),
    isRead: ({ version }: Readonly<Record<string, string>>) => version !== undefined,
    answers: [{ status: 200, description: `The ${noun.name}, or a version of it`, schema: shownOrKept(noun.view) }],
    problems: [...commonProblems, 'not-found'],
  } as const
  return defineRoute(description, async (call) => {
    const { version } = call.query
    if (version !== undefined) return readKeptVersion(context, noun, { id: idOf(call), version }, call.request)
    const shown = await noun.service.show(idOf(call), call.request)
    return shown.ok ? succeed(describeShown(noun, shown.value)) : shown
  })
}

function updateRoute<V extends NounView, C, U, D extends NounView, X extends object>(
  noun: AnyNoun<V, C, U, D, X>,
  schema: v.GenericSchema<unknown, U>,
  prefix: string,
): Route {
  const description = {
    ...describe(noun, prefix, 'PATCH', 'update', `Update a ${noun.name}`),
    description: 'Fields that are left out stay as they are; objects and lists within are replaced whole.',
    query: v.strictObject(changeEntries),
    body: schema,
    answers: [{ status: 200, description: `The ${noun.name} as it is now`, schema: noun.view }],
    problems: [
      ...commonProblems,
      'malformed',
      'payload-too-large',
      'not-found',
      'name-taken',
      'conflict',
      'precondition-failed',
      'idempotency-key-reused',
      'timeout',
    ],
    takesIfMatch: true,
    takesIdempotencyKey: true,
  } as const
  return defineRoute(description, async (call) => {
    const id = idOf(call)
    const updated = await noun.service.update(id, call.body as U, call.request)
    if (!updated.ok) return updated
    const answer = () => showAgain(noun, id, call.request)
    return succeed({ ...describeShown(noun, updated.value), settles: settle(noun, id, 'active', answer) })
  })
}

function removeRoute<V extends NounView, C, U, D extends NounView, X extends object>(
  noun: AnyNoun<V, C, U, D, X>,
  prefix: string,
): Route {
  const description = {
    ...describe(noun, prefix, 'DELETE', 'delete', `Delete a ${noun.name}`),
    query: v.strictObject(changeEntries),
    answers: [
      { status: 204, description: 'It is gone' },
      ...(noun.statusKind === null
        ? []
        : [{ status: 202, description: 'Hosts are giving it up; it is gone then', schema: noun.view } as const]),
    ],
    problems: [
      ...commonProblems,
      'not-found',
      'in-use',
      'precondition-failed',
      'idempotency-key-reused',
      'timeout',
      ...noun.removeProblems,
    ],
    takesIfMatch: true,
    takesIdempotencyKey: true,
  } as const
  return defineRoute(description, async (call) => {
    const id = idOf(call)
    const removed = await noun.service.remove(id, call.request)
    if (!removed.ok) return removed
    if (removed.value) return succeed({ status: 204 })
    const shown = await noun.service.show(id, call.request)
    // It may have gone between the two.
    if (!shown.ok) return shown.problem.code === 'not-found' ? succeed({ status: 204 }) : shown
    const settles = settle(noun, id, 'gone', async () => succeed({ status: 204 }))
    return succeed({ ...describeShown(noun, shown.value), status: 202, settles })
  })
}

type Verb = 'create' | 'list' | 'show' | 'update' | 'delete'

function describe<
  V extends NounView,
  C,
  U,
  D extends NounView,
  X extends object,
  Method extends RouteDescription['method'],
>(noun: AnyNoun<V, C, U, D, X>, prefix: string, method: Method, verb: Verb, summary: string) {
  const isOfAll = verb === 'create' || verb === 'list'
  // Paths without /v1 answer too, and each needs an operation id of its own.
  const suffix = prefix === '/v1' ? '' : 'WithoutVersion'
  return {
    method,
    path: `${prefix}/${noun.path}${isOfAll ? '' : '/{id}'}`,
    operationId: `${verb}${noun.typeName}${verb === 'list' ? 's' : ''}${suffix}`,
    tag: noun.name,
    summary,
    access: noun.access,
    ...(isOfAll ? {} : { parameters: { id: noun.idSchema } }),
  }
}

const idOf = (call: { readonly parameters: Readonly<Record<string, string>> }): string => call.parameters.id ?? ''

const describeShown = (noun: { readonly isAllInVersion?: boolean }, view: NounView) =>
  ({ status: 200, body: view, version: view.version, isAllInVersion: noun.isAllInVersion === true }) as const

const describeCreated = (noun: { readonly path: string }, prefix: string, view: NounView) =>
  ({
    status: 201,
    body: view,
    version: view.version,
    headers: { location: `${prefix}/${noun.path}/${view.id}` },
  }) as const

async function showAgain<V extends NounView, C, U, D extends NounView, X extends object>(
  noun: AnyNoun<V, C, U, D, X>,
  id: string,
  request: RequestInfo,
): Promise<Outcome<Answer>> {
  const shown = await noun.service.show(id, request)
  return shown.ok ? succeed(describeShown(noun, shown.value)) : shown
}

function settle<V extends NounView, C, U, D extends NounView, X extends object>(
  noun: AnyNoun<V, C, U, D, X>,
  id: string,
  until: Settling['until'],
  answer: Settling['answer'],
): Settling {
  return { kind: noun.kind, id, until, statusKind: noun.statusKind, answer }
}
