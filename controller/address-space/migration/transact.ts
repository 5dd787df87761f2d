/** One transaction of a migration, and what its operations are done with. Writes the store. */

import { type ApplyOutcome, applyTransaction } from '../../control-plane/apply-outcome.ts'
import type { Store, Transaction } from '../../control-plane/store.ts'
import type { StoredMigration } from './migration-operation.ts'

export interface MigrationMeans {
  readonly store: Store
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** That many random bytes: for networks whose addresses are given at random. */
  readonly random: (bytes: number) => Uint8Array
}

/** Under the trace of the request that wanted the migration. */
export const transact = (
  means: Pick<MigrationMeans, 'store'>,
  { traceparent }: StoredMigration,
  transaction: Omit<Transaction, 'traceparent'>,
): Promise<ApplyOutcome> =>
  applyTransaction(means, { ...transaction, ...(traceparent !== undefined && { traceparent }) })
