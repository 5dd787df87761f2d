/**
 * The store as one controller has it: a memory of its own that follows the shared one late, writes whose answers come
 * late or never, and its death. Other controllers have theirs over the same shared store.
 */

import {
  type Change,
  type Kind,
  OutcomeUnknownError,
  type Store,
  type StoredObject,
  type Transaction,
  type TransactionOutcome,
} from '../../controller/control-plane/store.ts'

export interface LaggingStore {
  readonly store: Store
  /** Whatever it was doing is never heard of again. */
  die(): void
  readonly isDead: () => boolean
  readonly died: Promise<void>
}

export interface Weather {
  /** Waits a little, or long: so that those who run at once meet in ever other ways. */
  readonly pause: () => Promise<void>
  readonly happens: (probability: number) => boolean
  /** How likely a write's answer is lost, 0 to 1: half of them are stored. */
  readonly lostAnswers: number
}

const never = <Value>() => new Promise<Value>(() => {})

export function createLaggingStore(shared: Store, weather: Weather): LaggingStore {
  const memory = new Map<string, StoredObject<unknown>>()
  const listeners = new Set<(changes: readonly Change[]) => void>()
  let following: Promise<void> = Promise.resolve()
  let isDead = false
  const died = Promise.withResolvers<void>()

  const nameOf = (kind: string, id: string) => `${kind} ${id}`
  const takeIn = (object: StoredObject<unknown>) => {
    const name = nameOf(object.kind, object.id)
    if ((memory.get(name)?.version ?? 0) < object.version) memory.set(name, object)
  }
  const alive = async <Value>(work: () => Promise<Value>): Promise<Value> => {
    await weather.pause()
    if (isDead) return never()
    const value = await work()
    await weather.pause()
    return isDead ? never() : value
  }

  const unsubscribe = shared.subscribe((changes) => {
    following = following.then(async () => {
      await weather.pause()
      if (isDead) return
      for (const { object } of changes) takeIn(object)
      for (const listener of listeners) listener(changes)
    })
  })

  async function transact(transaction: Transaction): Promise<TransactionOutcome> {
    if (weather.happens(weather.lostAnswers)) {
      if (weather.happens(0.5)) await shared.transact(transaction)
      throw new OutcomeUnknownError('the microshard did not answer')
    }
    const outcome = await shared.transact(transaction)
    // Who wrote knows what it wrote, and who lost a race knows what stood in the way.
    if (outcome.outcome === 'committed') for (const object of outcome.objects) takeIn(object)
    if (outcome.outcome === 'conflict') for (const { kind, id } of transaction.writes) await readLatest(kind, id)
    return outcome
  }

  async function readLatest<Value>(kind: Kind<Value>, id: string): Promise<StoredObject<Value | null> | null> {
    const object = await shared.getOrTombstone(kind, id, { latest: true })
    if (object !== null) takeIn(object)
    return object
  }

  const self: Store = {
    ...shared,
    async get<Value>(kind: Kind<Value>, id: string, options: { readonly latest?: boolean } = {}) {
      const object = await self.getOrTombstone(kind, id, options)
      return object === null || object.value === null ? null : (object as StoredObject<Value>)
    },
    async getOrTombstone<Value>(kind: Kind<Value>, id: string, options: { readonly latest?: boolean } = {}) {
      if (options.latest === true) return alive(() => readLatest(kind, id))
      if (isDead) return never()
      return (memory.get(nameOf(kind.name, id)) ?? null) as StoredObject<Value | null> | null
    },
    history: (kind, id) => alive(() => shared.history(kind, id)),
    transact: (transaction) => alive(() => transact(transaction)),
    subscribe(listener) {
      const own = (changes: readonly Change[]) => listener(changes)
      listeners.add(own)
      return () => listeners.delete(own)
    },
    close: async () => {
      unsubscribe()
    },
  }
  return {
    store: self,
    isDead: () => isDead,
    died: died.promise,
    die() {
      isDead = true
      died.resolve()
      unsubscribe()
    },
  }
}
