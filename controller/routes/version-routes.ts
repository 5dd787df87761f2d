/**
 * The versions of an object that are kept: one of them by `?version=`, and all of them at `/history`; of any noun, also
 * after it was deleted. Reads the store.
 */

import * as v from 'valibot'
import { refuseNotFound } from '../access/problems.ts'
import { maySee } from '../access/view.ts'
import type { Schema } from '../contract/openapi.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import type { Kind, StoredObject } from '../control-plane/store.ts'
import type { Basis } from '../prediction/prefetch/read-cache.ts'
import type { ControllerContext, RequestInfo } from '../services.ts'
import { commonProblems, versionParameter } from './parameters.ts'
import { type Answer, defineRoute, type Route } from './route.ts'

export interface Versioned<Value extends object> {
  /** `load balancer`: in sentences. */
  readonly name: string
  /** `load-balancers`: in paths. */
  readonly path: string
  /** `LoadBalancer`: in operation ids. */
  readonly typeName: string
  readonly idSchema: Schema
  readonly access: 'bearer' | 'admin'
  readonly kind: Kind<Value>
  readonly projectIdOf: (object: StoredObject<Value>) => string | null
  /** Fields of what is stored that are not for callers. */
  readonly hidden?: readonly (keyof Value & string)[]
}

const specSchema = v.nullable(v.record(v.string(), v.unknown()))
const versionEntries = {
  version: v.number(),
  updatedAt: v.string(),
  /** As it was declared; what follows from it is not kept. Null: this version is its deletion. */
  spec: specSchema,
  traceparent: v.nullable(v.string()),
}
export const keptVersionSchema = v.object({ id: v.string(), ...versionEntries })
export const historySchema = v.object({ items: v.array(v.object(versionEntries)) })

/** Of the route that shows one. */
export const showEntries = {
  version: v.optional(
    v.pipe(versionParameter, v.description('As it was declared in that version; the last ones are kept')),
  ),
}

/** What such a route answers: the object as it is, or a kept version. */
export const shownOrKept = (view: Schema): Schema => v.union([view, keptVersionSchema])

export async function readKeptVersion<Value extends object>(
  context: Pick<ControllerContext, 'store'>,
  versioned: Pick<Versioned<Value>, 'name' | 'kind' | 'projectIdOf' | 'hidden'>,
  asked: { readonly id: string; readonly version: number },
  request: RequestInfo,
): Promise<Outcome<Answer>> {
  const versions = await readVersions(context, versioned, asked.id, request)
  if (!versions.ok) return versions
  const { items, basis } = versions.value
  const found = items.find(({ version }) => version === asked.version)
  if (found !== undefined) return succeed({ status: 200, body: { id: asked.id, ...found }, basis })
  const [oldest, latest] = [items[0]?.version, items.at(-1)?.version]
  return refuse({
    code: 'not-found',
    title: 'The version is not kept',
    detail: `Version ${asked.version} of ${versioned.name} ${asked.id} is not kept; versions ${oldest} to ${latest} are.`,
    remedy: 'Ask for one of those.',
    errors: [{ field: 'version', message: `versions ${oldest} to ${latest} are kept` }],
  })
}

/** @param prefix paths without /v1 answer too, each with an operation id of its own */
export function createHistoryRoute<Value extends object>(
  context: Pick<ControllerContext, 'store'>,
  versioned: Versioned<Value>,
  prefix = '/v1',
): Route {
  const { name, path, typeName, access, idSchema } = versioned
  const description = {
    method: 'GET',
    path: `${prefix}/${path}/{id}/history`,
    operationId: `show${typeName}History${prefix === '/v1' ? '' : 'WithoutVersion'}`,
    tag: name,
    summary: `Show the versions of a ${name}`,
    description: 'The last versions of its spec that are kept, oldest first; also after it was deleted.',
    access,
    parameters: { id: idSchema },
    isRead: () => true,
    answers: [{ status: 200, description: 'Its versions', schema: historySchema }],
    problems: [...commonProblems, 'not-found'],
  } as const
  return defineRoute(description, async ({ parameters: { id = '' }, request }) => {
    const versions = await readVersions(context, versioned, id, request)
    if (!versions.ok) return versions
    const { items, basis } = versions.value
    return succeed({ status: 200, body: { items }, basis, version: basis.version, isAllInVersion: true })
  })
}

interface Versions {
  readonly items: v.InferOutput<typeof historySchema>['items']
  readonly basis: Basis
}

async function readVersions<Value extends object>(
  { store }: Pick<ControllerContext, 'store'>,
  { name, kind, projectIdOf, hidden = [] }: Pick<Versioned<Value>, 'name' | 'kind' | 'projectIdOf' | 'hidden'>,
  id: string,
  request: RequestInfo,
): Promise<Outcome<Versions>> {
  const versions = await store.history(kind, id)
  const owner = versions.findLast((version): version is StoredObject<Value> => version.value !== null)
  if (owner === undefined || !maySee(request.caller, projectIdOf(owner))) return refuseNotFound(name, id)
  const items = versions.map(({ version, updatedAt, value, traceparent }) => ({
    version,
    updatedAt,
    spec: value === null ? null : withoutHidden(value, hidden),
    traceparent: traceparent ?? null,
  }))
  const basis: Basis = {
    source: `${kind.name}/${id}`,
    shardKey: owner.shardKey,
    version: versions.at(-1)?.version ?? 0,
    current: async () => (await store.getOrTombstone(kind, id))?.version ?? 0,
  }
  return succeed({ items, basis })
}

function withoutHidden<Value extends object>(value: Value, hidden: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([field]) => !hidden.includes(field)))
}
