/** The store as one controller has it: the same store for all, until that controller dies in the middle of a write. */

import type { Store, Transaction, TransactionOutcome } from '../../controller/control-plane/store.ts'

export interface CrashingStore {
  readonly store: Store
  /** Dies at that many writes from now: with it stored or not, and nobody to hear of it. */
  dieAt(writes: number, isStored: boolean): void
  /** What it was doing is never heard of again. */
  die(): void
  readonly isDead: () => boolean
}

const never = <Value>() => new Promise<Value>(() => {})

/** @param pause waits a little, so that those who run at once meet in ever other ways */
export function createCrashingStore(shared: Store, pause: () => Promise<void>): CrashingStore {
  let isDead = false
  let countdown: { writes: number; readonly isStored: boolean } | null = null
  const unsubscribes: (() => void)[] = []

  function die(): void {
    isDead = true
    for (const unsubscribe of unsubscribes) unsubscribe()
  }

  const alive = async <Value>(work: () => Promise<Value>): Promise<Value> => {
    await pause()
    if (isDead) return never()
    const value = await work()
    return isDead ? never() : value
  }

  async function transact(transaction: Transaction): Promise<TransactionOutcome> {
    if (countdown !== null && countdown.writes-- <= 0) {
      const { isStored } = countdown
      countdown = null
      if (isStored) await shared.transact(transaction)
      die()
      return never()
    }
    return shared.transact(transaction)
  }

  return {
    isDead: () => isDead,
    die,
    dieAt(writes, isStored) {
      countdown = { writes, isStored }
    },
    store: {
      get: (kind, id, options) => alive(() => shared.get(kind, id, options)),
      getOrTombstone: (kind, id, options) => alive(() => shared.getOrTombstone(kind, id, options)),
      list: (kind, options) => alive(() => shared.list(kind, options)),
      snapshot: (kind, clientId) => shared.snapshot(kind, clientId),
      history: (kind, id) => alive(() => shared.history(kind, id)),
      transact: (transaction) => alive(() => transact(transaction)),
      subscribe(listener) {
        const unsubscribe = shared.subscribe(listener)
        unsubscribes.push(unsubscribe)
        return unsubscribe
      },
      status: () => shared.status(),
      close: async () => die(),
    },
  }
}
