/** How one transaction of a migration went, as a value; and what it is done with. Writes the store. */

import { OutcomeUnknownError, type Store, type Transaction } from '../../control-plane/store.ts'
import type { StoredMigration } from './migration-operation.ts'

export interface MigrationMeans {
  readonly store: Store
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** That many random bytes: for networks whose addresses are given at random. */
  readonly random: (bytes: number) => Uint8Array
}

/** `overtaken`: another was faster, which the next turn sees. `failed`: why, in words. */
export type MigrationOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'overtaken' }
  | { readonly kind: 'failed'; readonly reason: string }

/** Under the trace of the request that wanted the migration. */
export async function transact(
  { store }: Pick<MigrationMeans, 'store'>,
  { traceparent }: StoredMigration,
  transaction: Omit<Transaction, 'traceparent'>,
): Promise<MigrationOutcome> {
  try {
    const outcome = await store.transact({ ...transaction, ...(traceparent !== undefined && { traceparent }) })
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

export const done: MigrationOutcome = { kind: 'done' }
export const overtaken: MigrationOutcome = { kind: 'overtaken' }
export const failed = (reason: string): MigrationOutcome => ({ kind: 'failed', reason })
