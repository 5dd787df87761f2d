/** Waits until a change is done, woken by the store and never polling. Reads the store. */

import type { Condition } from '../contract/common.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import type { Change, StoredObject } from '../control-plane/store.ts'
import { addressKind, instanceKind, reservationKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import type { Settling } from './route.ts'

type Progress =
  | { readonly progress: 'done' }
  | { readonly progress: 'pending'; readonly detail: string }
  /** It was deleted while its creation or update was waited for. */
  | { readonly progress: 'lost' }

/** Refuses with `timeout`, naming what is pending; the object stays as it is and goes on by itself. */
export async function waitUntilSettled(
  context: Pick<ControllerContext, 'store'>,
  settling: Settling,
  options: { readonly milliseconds: number; readonly signal: AbortSignal },
): Promise<Outcome<true>> {
  const { kind, id, statusKind, until } = settling
  let wake = Promise.withResolvers<void>()
  const unsubscribe = context.store.subscribe((changes) => {
    const own: readonly unknown[] = [kind.name, statusKind?.name]
    const concerns = ({ object }: Change) =>
      (object.id === id && own.includes(object.kind)) || (until === 'gone' && heldKinds.includes(object.kind))
    if (changes.some(concerns)) wake.resolve()
  })
  let isOver = false
  const end = () => {
    isOver = true
    wake.resolve()
  }
  const timer = setTimeout(end, options.milliseconds)
  options.signal.addEventListener('abort', end)
  try {
    for (;;) {
      // Renewed before it looks, so that what changes while it looks wakes it again.
      wake = Promise.withResolvers<void>()
      const found = await look(context, settling)
      if (found.progress === 'done') return succeed(true)
      if (found.progress === 'lost') return refuseLost(settling)
      if (isOver || options.signal.aborted) return refuseTimeout(settling, found.detail, options.milliseconds)
      await wake.promise
    }
  } finally {
    clearTimeout(timer)
    options.signal.removeEventListener('abort', end)
    unsubscribe()
  }
}

async function look(context: Pick<ControllerContext, 'store'>, settling: Settling): Promise<Progress> {
  const { kind, id, until, statusKind } = settling
  const object = await context.store.get(kind, id)
  if (until === 'gone') {
    if (object !== null) return { progress: 'pending', detail: 'it is still being given up by hosts' }
    const held = await findHeld(context.store, id)
    return held === null ? { progress: 'done' } : { progress: 'pending', detail: `${held} is still being given back` }
  }
  if (object === null) return { progress: 'lost' }
  const judged = settling.judge?.(object.value)
  if (judged !== undefined) return judged.isDone ? { progress: 'done' } : { progress: 'pending', detail: judged.detail }
  if (statusKind === null) return { progress: 'done' }
  const status = await context.store.get(statusKind, id)
  if (status?.value.status === 'active' && status.value.observedGeneration >= object.version)
    return { progress: 'done' }
  return { progress: 'pending', detail: describePending(object, status) }
}

/**
 * What it held is given back right after its end. Whoever has waited for that end may take its name again, or its shard
 * away, at once. Null: nothing is held any more, neither by itself nor by an instance that ended with it.
 */
async function findHeld(store: ControllerContext['store'], id: string): Promise<string | null> {
  const reservation = store.snapshot(reservationKind, id).find(({ value }) => value.ownerId === id)
  if (reservation !== undefined) return reservation.value.words.join(' ')
  for (const { value } of store.snapshot(addressKind, id)) {
    if (value.ownerId === id) return value.address
    if (!value.ownerId.startsWith(`${instanceKind.prefix}_`)) continue
    const instance = await store.getOrTombstone(instanceKind, value.ownerId)
    if (instance?.value === null) return value.address
  }
  return null
}

const heldKinds: readonly string[] = [addressKind.name, reservationKind.name]

function describePending(
  object: StoredObject<unknown>,
  status: StoredObject<{
    readonly status: string
    readonly observedGeneration: number
    readonly conditions?: readonly Condition[]
  }> | null,
): string {
  if (status === null || status.value.observedGeneration < object.version) {
    return `generation ${object.version} has not been answered by every host yet`
  }
  const unmet = (status.value.conditions ?? []).filter((condition) => condition.status !== 'true')
  const reasons = unmet.map(({ type, message }) => `${type}: ${message}`).join('; ')
  return `its status is ${status.value.status}${reasons === '' ? '' : ` (${reasons})`}`
}

const refuseTimeout = ({ kind, id, until }: Settling, detail: string, milliseconds: number) =>
  refuse({
    code: 'timeout',
    title: 'It is not done yet',
    detail: `After ${milliseconds / 1000} s the ${kind.name} ${id} is not ${until}: ${detail}.`,
    remedy: 'What was asked for is stored and goes on by itself: read it again later, or follow /v1/events.',
  })

const refuseLost = ({ kind, id }: Settling) =>
  refuse({
    code: 'not-found',
    title: 'It has been deleted meanwhile',
    detail: `The ${kind.name} ${id} was deleted by another request while this one waited for it.`,
    remedy: 'Create it again if it is still wanted.',
  })
