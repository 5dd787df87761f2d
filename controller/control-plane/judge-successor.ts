/** What became of a write that was not acknowledged, judged by the first message after the one that it expected. Pure. */

import type { Cargo, StoredMessage } from './message.ts'
import type { CertainOutcome } from './microshard.ts'
import type { KnownObject, PlannedObject } from './plan-transaction.ts'
import { OutcomeUnknownError } from './store.ts'

export interface Doubt {
  readonly transactionId: string
  /** The object of the transaction's first message, what it was to replace, and what that carried. */
  readonly object: PlannedObject
  readonly base: KnownObject | null
  readonly baseCargo: Cargo
  readonly isCopy: boolean
  readonly messages: number
}

/** Throws an OutcomeUnknownError where the message that came first is not kept any more. */
export function judgeSuccessor(doubt: Doubt, successor: StoredMessage): CertainOutcome {
  const { sequence } = successor.object.revision
  if (successor.transaction.id === doubt.transactionId) {
    return { kind: 'stored', lastSequence: sequence + doubt.messages - 1 }
  }
  // Another's write or fence has taken the place: the doubtful one can't be stored any more.
  if (isTheNext(doubt, successor)) return { kind: 'wrongSequence', lastSequence: sequence }
  throw new OutcomeUnknownError(
    `a write of ${doubt.object.kind} ${doubt.object.id} was not acknowledged, and its version ${doubt.object.version} ` +
      'is not kept any more',
  )
}

/** A carrier's messages are counted; a copy of what carries nothing yet has the version of what it copies. */
function isTheNext({ object, isCopy, baseCargo }: Doubt, successor: StoredMessage): boolean {
  if (baseCargo.turn > 0) return successor.cargo.turn <= baseCargo.turn + 1
  return successor.object.version <= object.version + (isCopy ? 1 : 0)
}
