/** How one write went, as a value, for whoever plans again from what is so: nothing is repeated blindly. Writes the store. */

import { OutcomeUnknownError, type Store, type Transaction } from './store.ts'

/** `overtaken`: another was faster, which the next turn sees. `failed`: why, in words. */
export type ApplyOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'overtaken' }
  | { readonly kind: 'failed'; readonly reason: string }

export async function applyTransaction(
  { store }: { readonly store: Pick<Store, 'transact'> },
  transaction: Transaction,
): Promise<ApplyOutcome> {
  try {
    const outcome = await store.transact(transaction)
    switch (outcome.outcome) {
      case 'committed':
        return done
      case 'conflict':
        return overtaken
      case 'unavailable':
        return failed(outcome.reason)
      default:
        return outcome satisfies never
    }
  } catch (error) {
    if (error instanceof OutcomeUnknownError) return failed(error.message)
    throw error
  }
}

export const done: ApplyOutcome = { kind: 'done' }
export const overtaken: ApplyOutcome = { kind: 'overtaken' }
export const failed = (reason: string): ApplyOutcome => ({ kind: 'failed', reason })
