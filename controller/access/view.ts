/** What every noun's view is made of, its pages, and who may see it. Reads the store. */

import type { Condition, Page } from '../contract/common.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import { type Kind, listLimitDefault, listLimitMaximum, type StoredObject } from '../control-plane/store.ts'
import type { Caller, ControllerContext, ListQuery, RequestInfo } from '../services.ts'
import { refuseNotFound } from './problems.ts'

/** The fields that every object shows; the noun's own are added: `{ ...viewObject(object, {…}), cidr }`. */
export function viewObject(
  object: StoredObject<unknown>,
  shown: {
    readonly name: string
    readonly projectId: string | null
    readonly conditions?: readonly Condition[]
  },
) {
  return {
    id: object.id,
    name: shown.name,
    projectId: shown.projectId,
    shardKey: object.shardKey,
    version: object.version,
    generation: object.version,
    conditions: [...(shown.conditions ?? [])],
    createdAt: object.createdAt,
    updatedAt: object.updatedAt,
  }
}

/** True when a caller may see what belongs to a project (null: to the rack). What one may not see is not found. */
export const maySee = (caller: Caller, projectId: string | null): boolean =>
  caller.scope === 'admin' || (projectId !== null && caller.projectId === projectId)

/**
 * An object that the caller may see; else `not-found`, whether it is there or not.
 * @example const found = await findVisible(context, poolKind, id, ({ value }) => value.projectId, request)
 */
export async function findVisible<Value>(
  context: Pick<ControllerContext, 'store'>,
  kind: Kind<Value>,
  id: string,
  projectIdOf: (object: StoredObject<Value>) => string | null,
  request: Pick<RequestInfo, 'caller'>,
): Promise<Outcome<StoredObject<Value>>> {
  const object = await context.store.get(kind, id)
  return object !== null && maySee(request.caller, projectIdOf(object))
    ? succeed(object)
    : refuseNotFound(kind.name, id)
}

export interface Listing<Value, View> {
  readonly kind: Kind<Value>
  /** Null: it belongs to the rack. */
  readonly projectIdOf: (object: StoredObject<Value>) => string | null
  readonly view: (object: StoredObject<Value>) => View
}

/**
 * A page of a noun in the order of ids, of what the caller may see and asked for. A query's field that a view does not
 * have leaves nothing out.
 * @example listObjects(context, { kind: poolKind, projectIdOf: ({ value }) => value.projectId, view: viewPool }, query, request)
 */
export function listObjects<Value, View extends object>(
  context: Pick<ControllerContext, 'store'>,
  listing: Listing<Value, View>,
  query: ListQuery,
  request: Pick<RequestInfo, 'caller'>,
): Page<View> {
  const { kind, projectIdOf, view } = listing
  const { after = '', limit = listLimitDefault, projectId, ...fields } = query
  const most = Math.min(Math.max(1, limit), listLimitMaximum)
  const items: View[] = []
  let last: string | null = null
  // What belongs to a project is kept by the project as client: its own arc is enough to look through.
  for (const object of context.store.snapshot(kind, projectId ?? request.caller.projectId ?? undefined)) {
    if (object.id <= after) continue
    const own = projectIdOf(object)
    if (!maySee(request.caller, own) || (projectId !== undefined && own !== projectId)) continue
    const shown = view(object)
    if (!matches(shown, fields)) continue
    if (items.length === most) return { items, next: last }
    items.push(shown)
    last = object.id
  }
  return { items, next: null }
}

function matches(shown: object, fields: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(fields).every(([field, wanted]) => {
    if (wanted === undefined || !(field in shown)) return true
    return shown[field as keyof typeof shown] === wanted
  })
}
