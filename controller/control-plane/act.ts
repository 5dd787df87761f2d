/**
 * An action: read an object, decide what becomes of it, write on the condition that it is still as it was read, and
 * if it is not, decide again. Idempotent by the action's id. It knows the store's contract and nothing below it.
 */

import {
  type EventDraft,
  type Kind,
  retryAfterSeconds,
  type Store,
  type StoredObject,
  StoreUnavailableError,
  type Transaction,
  type TransactionOutcome,
  type VersionConflict,
  type Write,
} from './store.ts'

export interface Action<Value, Problem> {
  readonly kind: Kind<Value>
  readonly id: string
  /** The same for each attempt at the same action, and for no other. */
  readonly actionId: string
  readonly traceparent?: string
  /** Decides from the object as it is; null: absent. It may be asked again with a newer object, so it changes nothing itself. */
  readonly apply: (current: StoredObject<Value> | null) => Decision<Value, Problem> | Promise<Decision<Value, Problem>>
}

export type Decision<Value, Problem> =
  | {
      readonly kind: 'write'
      /** Null deletes the object. */
      readonly value: Value | null
      /** More objects of its entity group, each with the version that `apply` has read. */
      readonly writes?: readonly Write[]
      readonly events?: readonly EventDraft[]
    }
  /** It is as it should be already. */
  | { readonly kind: 'keep' }
  | { readonly kind: 'refuse'; readonly problem: Problem }

export type ActionOutcome<Value, Problem> =
  /** `isRepeated`: an earlier attempt had done it; the object is as that one left it, or the oldest known since. */
  | { readonly outcome: 'done'; readonly object: StoredObject<Value | null> | null; readonly isRepeated: boolean }
  | { readonly outcome: 'refused'; readonly problem: Problem }
  /** Others kept winning the race; nothing is written. */
  | { readonly outcome: 'contended'; readonly conflicts: readonly VersionConflict[] }
  | Extract<TransactionOutcome, { readonly outcome: 'unavailable' }>

/** One writer wins each round of a race, so that this many can meet on one object and all come through. */
export const actionAttemptsMaximum = 32

/**
 * Does an action, once. Rejects like `Store.transact`; the same action may then be done again.
 * @example await act(store, { kind, id, actionId, apply: (current) => ({ kind: 'write', value: { count: 1 } }) })
 */
export async function act<Value, Problem = never>(
  store: Store,
  action: Action<Value, Problem>,
): Promise<ActionOutcome<Value, Problem>> {
  let conflicts: readonly VersionConflict[] = []
  for (let attempt = 1; attempt <= actionAttemptsMaximum; attempt++) {
    // Memory is enough for each attempt: after a conflict it is at least as new as what stood in the way.
    const current = await store.getOrTombstone(action.kind, action.id)
    if (current?.actionIds.includes(action.actionId) === true) return recallResult(store, action)
    const alive = current === null || current.value === null ? null : (current as StoredObject<Value>)
    const decision = await action.apply(alive)
    if (decision.kind === 'refuse') return { outcome: 'refused', problem: decision.problem }
    if (decision.kind === 'keep') return { outcome: 'done', object: alive, isRepeated: false }
    const outcome = await store.transact(describeTransaction(action, alive, decision))
    switch (outcome.outcome) {
      case 'committed': {
        const [object] = outcome.objects
        return { outcome: 'done', object: object as StoredObject<Value | null>, isRepeated: false }
      }
      case 'conflict':
        conflicts = outcome.conflicts
        break
      case 'unavailable':
        return outcome
      default:
        outcome satisfies never
    }
  }
  return { outcome: 'contended', conflicts }
}

function describeTransaction<Value, Problem>(
  action: Action<Value, Problem>,
  current: StoredObject<Value> | null,
  decision: Extract<Decision<Value, Problem>, { kind: 'write' }>,
): Transaction {
  const own: Write = { kind: action.kind, id: action.id, expect: current?.version ?? 'absent', value: decision.value }
  return {
    writes: [own, ...(decision.writes ?? [])],
    actionId: action.actionId,
    ...(decision.events === undefined ? {} : { events: decision.events }),
    ...(action.traceparent === undefined ? {} : { traceparent: action.traceparent }),
  }
}

/** The object as the action left it: the oldest kept version that records it. */
async function recallResult<Value, Problem>(
  store: Store,
  action: Action<Value, Problem>,
): Promise<ActionOutcome<Value, Problem>> {
  try {
    const history = await store.history(action.kind, action.id)
    const object = history.find(({ actionIds }) => actionIds.includes(action.actionId)) ?? null
    return { outcome: 'done', object, isRepeated: true }
  } catch (cause) {
    if (!(cause instanceof StoreUnavailableError)) throw cause
    return { outcome: 'unavailable', retryAfterSeconds, reason: cause.message }
  }
}
