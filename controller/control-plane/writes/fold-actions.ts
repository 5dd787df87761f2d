/**
 * Many actions on one object as one write: each decides on what those before it have made of it. Reads what it is given
 * and writes nothing. What is decided here holds only once the write is stored.
 */

import type { Action, Decision } from '../act.ts'
import { type EventDraft, type StoredObject, transactionWritesMaximum, type Write } from '../store.ts'

export type AnyAction = Action<unknown, unknown>
export type AnyObject = StoredObject<unknown>

export type Verdict =
  /** It is part of the write. */
  | { readonly kind: 'written' }
  | { readonly kind: 'kept' }
  | { readonly kind: 'refused'; readonly problem: unknown }
  /** The object, or an action before it in the same write, has its id already. */
  | { readonly kind: 'repeated'; readonly isOfThisWrite: boolean }
  /** It may have been done, and it can't be told. */
  | { readonly kind: 'untold' }
  | { readonly kind: 'failed'; readonly cause: unknown }

export interface Fold {
  /** One for each action that was taken, in their order; the rest have to wait for the next write. */
  readonly verdicts: readonly Verdict[]
  /** What each of them wanted, for those who fail in the end. */
  readonly wanted: readonly unknown[]
  /** Null: nothing is to be written. */
  readonly write: FoldedWrite | null
}

export interface FoldedWrite {
  readonly value: unknown
  readonly writes: readonly Write[]
  readonly events: readonly EventDraft[]
  readonly actionIds: readonly string[]
}

export const actionsFoldedMaximum = 64
/** With all that goes beside them. */
const messagesMaximum = transactionWritesMaximum / 2

/**
 * Decides as many actions as can be one write on `current`, a tombstone or null where it is absent.
 * @param isUntold whether an action that is not recorded in `current` may have been done all the same
 */
export async function foldActions(
  current: AnyObject | null,
  actions: readonly AnyAction[],
  isUntold: (action: AnyAction) => Promise<boolean>,
): Promise<Fold> {
  const verdicts: Verdict[] = []
  const wanted: unknown[] = []
  const actionIds: string[] = []
  const events: EventDraft[] = []
  let folding: Omit<FoldedWrite, 'actionIds'> | null = null
  for (const action of actions.slice(0, actionsFoldedMaximum)) {
    if (folding !== null && (action.isOnStoredVersion === true || isFull(folding))) break
    const known = current?.actionIds.includes(action.actionId) === true
    if (known || actionIds.includes(action.actionId)) {
      verdicts.push({ kind: 'repeated', isOfThisWrite: !known })
      wanted.push(null)
      continue
    }
    const seen = folding === null ? current : withValue(current, action, folding.value, actionIds)
    const verdict = await decide(action, seen, isUntold)
    wanted.push(verdict.kind === 'write' ? verdict.value : null)
    if (verdict.kind !== 'write') {
      verdicts.push(verdict)
      continue
    }
    verdicts.push({ kind: 'written' })
    actionIds.push(action.actionId)
    const writes: readonly Write[] = verdict.writes ?? []
    events.push(...(verdict.events ?? []))
    folding = { value: verdict.value, writes, events }
    // Nothing is decided on other objects that are not stored yet, and nothing on what is about to go.
    if (writes.length > 0 || verdict.value === null) break
  }
  return { verdicts, wanted, write: folding === null ? null : { ...folding, actionIds } }
}

type Decided =
  | Extract<Decision<unknown, unknown>, { kind: 'write' }>
  | Exclude<Verdict, { kind: 'written' | 'repeated' }>

async function decide(
  action: AnyAction,
  seen: AnyObject | null,
  isUntold: (action: AnyAction) => Promise<boolean>,
): Promise<Decided> {
  try {
    if (await isUntold(action)) return { kind: 'untold' }
    const decision = await action.apply(seen === null || seen.value === null ? null : seen)
    switch (decision.kind) {
      case 'write':
        return decision
      case 'keep':
        return { kind: 'kept' }
      case 'refuse':
        return { kind: 'refused', problem: decision.problem }
      default:
        return decision satisfies never
    }
  } catch (cause) {
    return { kind: 'failed', cause }
  }
}

const isFull = ({ writes, events }: Pick<FoldedWrite, 'writes' | 'events'>) =>
  writes.length + events.length >= messagesMaximum

/** The object as the actions so far would leave it: still of the version that is stored, as they are written as one. */
function withValue(
  current: AnyObject | null,
  { kind, id }: AnyAction,
  value: unknown,
  actionIds: readonly string[],
): AnyObject {
  const nothing = {
    kind: kind.name,
    id,
    shardKey: '',
    version: 0,
    revision: { epoch: 0, sequence: 0 },
    createdAt: '',
    updatedAt: '',
    actionIds: [],
  }
  const base = current ?? nothing
  return { ...base, value, actionIds: [...base.actionIds, ...actionIds] }
}
