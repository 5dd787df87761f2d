/**
 * How a stack changes: decided on what is there, written on the condition that it still is, and decided again when
 * another was faster. Every write touches the stack itself, so that a state is written under the lock that it was
 * decided under, or not at all. Touches the store.
 */

import { refuseUnavailable, refuseUnknownOutcome } from '../../access/problems.ts'
import { type Outcome, type Problem, refuse, succeed } from '../../contract/problem.ts'
import { createNamedId } from '../../control-plane/shard-key.ts'
import {
  type EventDraft,
  OutcomeUnknownError,
  retryAfterSeconds,
  type Store,
  type StoredObject,
  type Write,
  write,
} from '../../control-plane/store.ts'
import { systemClient } from '../../objects.ts'
import type { RequestInfo } from '../../services.ts'
import type { SealedState } from './seal-state.ts'
import { type StackStateValue, type StackValue, stackKind, stackPartKind, stackStateKind } from './stack-kinds.ts'

/** Where a stack is: one of a project, or (null) of the rack. */
export interface StackPlace {
  readonly projectId: string | null
  readonly name: string
}

export const stackIdOf = ({ projectId, name }: StackPlace): string =>
  createNamedId(stackKind.prefix, projectId ?? systemClient, 'stack', name)

export const partIdOf = (place: StackPlace, part: number): string =>
  createNamedId(stackPartKind.prefix, place.projectId ?? systemClient, 'stack', place.name, String(part))

/** A stack as it is now; the state may be a tombstone. */
export interface StackNow {
  readonly stack: StoredObject<StackValue> | null
  readonly state: StoredObject<StackStateValue | null> | null
}

export type StackDecision =
  | { readonly kind: 'refuse'; readonly problem: Problem }
  /** It is so already. */
  | { readonly kind: 'keep' }
  | {
      readonly kind: 'write'
      /** Null: nothing is left of it. */
      readonly stack: StackValue | null
      /** Left out: it stays as it is. Null: it goes. */
      readonly state?: { readonly value: Omit<StackStateValue, 'parts'>; readonly sealed: SealedState } | null
      readonly events?: readonly EventDraft[]
    }

const attemptsMaximum = 30

export async function changeStack(
  store: Store,
  place: StackPlace,
  { actionId, traceparent }: Pick<RequestInfo, 'actionId' | 'traceparent'>,
  decide: (now: StackNow) => StackDecision | Promise<StackDecision>,
): Promise<Outcome<null>> {
  let isInDoubt = false
  for (let attempt = 0; attempt < attemptsMaximum; attempt++) {
    if (isInDoubt && (await isDone(store, place, actionId))) return succeed(null)
    const now = await readStack(store, place, attempt > 0)
    const decision = await decide(now)
    if (decision.kind === 'refuse') return refuse(decision.problem)
    if (decision.kind === 'keep') return succeed(null)
    const writes = await describeWrites(store, place, now, decision, attempt > 0)
    if (writes.length === 0) return succeed(null)
    try {
      const outcome = await store.transact({ writes, events: decision.events ?? [], actionId, traceparent })
      if (outcome.outcome === 'committed') return succeed(null)
      if (outcome.outcome === 'unavailable') return refuseUnavailable(outcome.reason, outcome.retryAfterSeconds)
    } catch (cause) {
      if (!(cause instanceof OutcomeUnknownError)) throw cause
      isInDoubt = true
    }
  }
  return isInDoubt
    ? refuseUnknownOutcome(retryAfterSeconds)
    : refuseUnavailable(`others changed the stack '${place.name}' each time`, retryAfterSeconds)
}

/** Every write of ours is one of the stack's too, which records by whose action. */
async function isDone(store: Store, place: StackPlace, actionId: string): Promise<boolean> {
  const stack = await store.getOrTombstone(stackKind, stackIdOf(place), { latest: true })
  return stack?.actionIds.includes(actionId) === true
}

export async function readStack(store: Store, place: StackPlace, latest = false): Promise<StackNow> {
  const id = stackIdOf(place)
  const [stack, state] = await Promise.all([
    store.get(stackKind, id, { latest }),
    store.getOrTombstone(stackStateKind, id, { latest }),
  ])
  return { stack, state }
}

/** The stack always, unless there is none and is to be none: it is what the others are fenced by. */
async function describeWrites(
  store: Store,
  place: StackPlace,
  now: StackNow,
  decision: Extract<StackDecision, { kind: 'write' }>,
  latest: boolean,
): Promise<readonly Write[]> {
  const id = stackIdOf(place)
  const own =
    now.stack === null && decision.stack === null
      ? []
      : [write({ kind: stackKind, id, expect: now.stack?.version ?? 'absent', value: decision.stack })]
  const { state } = decision
  if (state === undefined) return own
  if (state === null && (now.state?.value ?? null) === null) return own
  const sealed = state?.sealed.parts ?? []
  const before = now.state?.value?.parts.length ?? 0
  const places = Array.from({ length: Math.max(sealed.length, before) }, (_, part) => part)
  const parts = await Promise.all(
    places.map(async (part) => {
      const known = await store.getOrTombstone(stackPartKind, partIdOf(place, part), { latest })
      const text = sealed[part]
      return { version: known?.version ?? 0, isThere: known !== null && known.value !== null, text, part }
    }),
  )
  const versions = parts.slice(0, sealed.length).map(({ version }) => version + 1)
  const expect = now.state === null || now.state.value === null ? ('absent' as const) : now.state.version
  const value = state === null ? null : { ...state.value, parts: versions }
  return [
    ...own,
    write({ kind: stackStateKind, id, expect, value }),
    ...parts.flatMap(({ version, isThere, text, part }) => {
      if (!isThere && text === undefined) return []
      const value = text === undefined ? null : { sealed: text }
      return [
        write({
          kind: stackPartKind,
          id: partIdOf(place, part),
          expect: isThere ? version : ('absent' as const),
          value,
        }),
      ]
    }),
  ]
}
