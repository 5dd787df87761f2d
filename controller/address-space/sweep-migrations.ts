/**
 * Forgets migrations that ended long ago, with their moves, so that what is kept does not grow with what was done. What
 * happened stays told by events and by the history of addresses. Touches migrations and moves alone.
 */

import { applyTransaction } from '../control-plane/apply-outcome.ts'
import { transactionWritesMaximum, write } from '../control-plane/store.ts'
import { migrationKind, moveKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'

/** How long a migration is kept after its end. */
export const migrationKeptMilliseconds = 30 * 24 * 3_600_000

/**
 * A turn of it, which never fails: what is not written now is written by the next. Answers how many migrations it forgot.
 * One goes at last, when no move of it is left, so that a turn that is cut off leaves nothing that no migration names.
 */
export async function sweepMigrations(context: Pick<ControllerContext, 'store' | 'now' | 'logger'>): Promise<number> {
  const { store, now, logger } = context
  const isOld = ({ finishedAt }: { readonly finishedAt: string | null }) =>
    finishedAt !== null && now() - Date.parse(finishedAt) > migrationKeptMilliseconds
  let forgotten = 0
  for (const migration of store.snapshot(migrationKind).filter(({ value }) => isOld(value))) {
    const moves = store
      .snapshot(moveKind, migration.id)
      .filter(({ value }) => value.migrationId === migration.id)
      .map(({ id, version }) => write({ kind: moveKind, id, expect: version, value: null }))
    const own = write({ kind: migrationKind, id: migration.id, expect: migration.version, value: null })
    const writes = [...moves, own]
    for (let first = 0; first < writes.length; first += transactionWritesMaximum) {
      const some = writes.slice(first, first + transactionWritesMaximum)
      if ((await applyTransaction(context, { writes: some })).kind !== 'done') return forgotten
    }
    forgotten++
    logger.info({ migrationId: migration.id }, 'forgot a migration that ended long ago')
  }
  return forgotten
}
