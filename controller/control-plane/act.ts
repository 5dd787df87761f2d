/**
 * An action: read an object, decide what becomes of it, write on the condition that it is still as it was read, and
 * if it is not, decide again. Idempotent by the action's id. The words only: `writes/action-queue.ts` does them.
 */

import type { Clash } from '../contract/escalation.ts'
import type { EventDraft, Kind, StoredObject, TransactionOutcome, VersionConflict, Write } from './store.ts'

export interface Action<Value, Problem> {
  readonly kind: Kind<Value>
  readonly id: string
  /** The same for each attempt at the same action, and for no other. */
  readonly actionId: string
  readonly traceparent?: string
  /**
   * Given: it may have been done by somebody else, who was asked for it before, in a version after this one. Then it is
   * done only when it is certain that it has not been.
   */
  readonly doneAfterVersion?: number
  /** It is decided on what is stored, never on what another action is about to make of it: If-Match names a version. */
  readonly isOnStoredVersion?: boolean
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
  | { readonly outcome: 'contended'; readonly conflicts: readonly VersionConflict[]; readonly clash: Clash }
  /** Too much was written since it was first asked for to tell whether it is done; it is not done now. */
  | { readonly outcome: 'untold'; readonly clash: Clash }
  | Extract<TransactionOutcome, { readonly outcome: 'unavailable' }>

/** Does actions, each once; what is asked for at the same time on one object is written as one. */
export interface Actions {
  /**
   * Rejects like `Store.transact`; the same action may then be done again.
   * @example await actions.act({ kind, id, actionId, apply: (current) => ({ kind: 'write', value: { count: 1 } }) })
   */
  act<Value, Problem = never>(action: Action<Value, Problem>): Promise<ActionOutcome<Value, Problem>>
  /** Whether others write an object so often that a write which begins now will probably meet one of theirs. */
  isContended(kind: Kind<unknown>, id: string): boolean
  /** Follows an object's versions after this one, so that it can be told later which actions made them. */
  follow(kind: Kind<unknown>, id: string, version: number): void
}
