/**
 * Objects that are there before hosts have made them. A run that is interrupted while it waits for one leaves it in the
 * state; the next one waits for it again, as an update that changes nothing. The state's private part remembers that.
 */

import type * as v from 'valibot'
import { type Client, waitUntilActive } from '../api/client.ts'
import type { PrivateState, ResourceContext } from '../plugin/index.ts'

const key = 'isAwaited'

export async function awaitCreated<Schema extends v.GenericSchema>(
  path: string,
  schema: Schema,
  context: ResourceContext<Client>,
): Promise<v.InferOutput<Schema>> {
  context.privateState.set(key, true)
  const view = await waitUntilActive(path, schema, context)
  noteAwaited(context.privateState)
  return view
}

/** It has become what was waited for. */
export const noteAwaited = (privateState: PrivateState): void => privateState.set(key, undefined)

export const isAwaited = (privateState: PrivateState): boolean => privateState.get(key) === true
