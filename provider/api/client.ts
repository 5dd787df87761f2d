/**
 * What a resource does with the API: make, find, change and take away one object, and wait until hosts have made it so.
 * Every step may be repeated, and none is done twice.
 */

import type * as v from 'valibot'
import type { CallContext } from '../plugin/index.ts'
import type { Api, ApiRequest } from './api.ts'
import { ApiError, isRefusal } from './api-error.ts'
import type { Creation, Creations } from './creations.ts'
import type { Listed, Views } from './views.ts'

export interface Client {
  readonly api: Api
  readonly views: Views
  readonly creations: Creations
  readonly createKey: () => string
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Rejects when the signal aborts. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>
}

type Context = Pick<CallContext, 'signal' | 'log'> & { readonly client: Client }
type ViewSchema = v.GenericSchema<unknown, { readonly id: string }>

/** The API is asked to wait for so long at once, so that the log says how it goes. */
const waitSliceSeconds = 10
const waitQuery = { wait: 'true', timeout: `${waitSliceSeconds}s` }
const waitAnswerMilliseconds = (waitSliceSeconds + 20) * 1000

/** Makes an object: what an earlier run began with the same body is carried on. */
export async function createObject<Schema extends ViewSchema>(
  creating: {
    readonly path: string
    readonly body: object
    readonly schema: Schema
    /** Of a body that holds a secret, which is another in each run: the rest. */
    readonly remembered?: object
    /** Takes away what an earlier run began, where that can't be carried on. */
    readonly discard?: () => Promise<void>
  },
  { client, signal, log }: Context,
): Promise<v.InferOutput<Schema>> {
  const { path, body, schema, remembered = body, discard } = creating
  for (;;) {
    const creation = client.creations.begin(path, remembered)
    if (creation.isResumed && discard !== undefined) {
      await discard()
      creation.refused()
      continue
    }
    const answer = await postOnce({ path, body, schema, creation }, client, signal)
    creation.made(answer.body.id)
    if (!answer.isReplayed && !creation.isResumed) return answer.body
    log.info('an earlier run began it; it is carried on', { path, id: answer.body.id })
    const view = await findObject(`${path}/${answer.body.id}`, schema, { client, signal })
    if (view !== null) return view
    // Somebody has deleted it since: its key would give the same answer again.
    creation.refused()
  }
}

async function postOnce<Schema extends ViewSchema>(
  posting: { readonly path: string; readonly body: object; readonly schema: Schema; readonly creation: Creation },
  { api }: Client,
  signal: AbortSignal,
) {
  const { path, body, schema, creation } = posting
  const { idempotencyKey } = creation
  try {
    return await api.call({ method: 'POST', path, body, idempotencyKey }, schema, signal)
  } catch (error) {
    // Of what passes nobody knows whether it was done.
    if (error instanceof ApiError && !error.isPassing && error.problem.code !== 'cancelled') creation.refused()
    throw error
  }
}

/** Null: there is no such object. */
export async function findObject<Schema extends v.GenericSchema>(
  path: string,
  schema: Schema,
  { client, signal }: Pick<Context, 'client' | 'signal'>,
): Promise<v.InferOutput<Schema> | null> {
  try {
    return (await client.api.call({ method: 'GET', path }, schema, signal)).body
  } catch (error) {
    if (isRefusal(error, 'not-found')) return null
    throw error
  }
}

/** The object that a state has: from then on nothing has to be remembered of its making. */
export async function readObject<Schema extends ViewSchema>(
  path: string,
  schema: Schema,
  context: Pick<Context, 'client' | 'signal'>,
): Promise<v.InferOutput<Schema> | null> {
  const view = await findObject(path, schema, context)
  if (view !== null) context.client.creations.found(view.id)
  return view
}

/** The same for a refresh, in which what was shown for another object may do. */
export async function refreshObject<Schema extends ViewSchema>(
  listed: Listed,
  schema: Schema,
  { client, signal }: Pick<Context, 'client' | 'signal'>,
): Promise<v.InferOutput<Schema> | null> {
  const view = await client.views.read(listed, schema, signal)
  if (view !== null) client.creations.found(view.id)
  return view
}

/** Changes the fields that are given, and waits until hosts have done it. Without fields it waits alone. */
export function updateObject<Schema extends v.GenericSchema>(
  path: string,
  changes: object,
  schema: Schema,
  context: Context,
): Promise<v.InferOutput<Schema>> {
  return askInSlices({ method: 'PATCH', path, body: changes }, schema, context)
}

/** Waits until hosts have made what is wanted. */
export const waitUntilActive = <Schema extends v.GenericSchema>(path: string, schema: Schema, context: Context) =>
  updateObject(path, {}, schema, context)

/** Takes an object away and waits until it is gone; one that is gone is as it should be. */
export async function deleteObject(path: string, schema: v.GenericSchema, context: Context): Promise<void> {
  try {
    await askInSlices({ method: 'DELETE', path }, schema, context)
  } catch (error) {
    if (!isRefusal(error, 'not-found')) throw error
  }
}

/** Asks the same again until the wait that is part of it is over; each time the log says what is pending. */
async function askInSlices<Schema extends v.GenericSchema>(
  request: ApiRequest,
  schema: Schema,
  { client, signal, log }: Context,
): Promise<v.InferOutput<Schema>> {
  for (;;) {
    try {
      const slice = {
        ...request,
        query: { ...request.query, ...waitQuery },
        timeoutMilliseconds: waitAnswerMilliseconds,
      }
      return (await client.api.call(slice, schema, signal)).body
    } catch (error) {
      if (!isRefusal(error, 'timeout')) throw error
      log.info('still waiting', { path: request.path, pending: error.problem.detail })
      if (signal.aborted) throw error
    }
  }
}
