/**
 * The store in memory alone, with the very semantics of the one on JetStream: for simulation and for tests of other
 * rooms. It keeps nothing when the process ends.
 */

import type { CloudEvent } from './cloud-event.ts'
import { createObjectTable } from './object-table.ts'
import { checkObjectName, checkTransaction, type KnownObject, planTransaction } from './plan-transaction.ts'
import {
  type Change,
  type Kind,
  OutcomeUnknownError,
  retryAfterSeconds,
  type Store,
  type StoredObject,
  StoreUnavailableError,
  type Transaction,
  type TransactionOutcome,
  versionsKeptMaximum,
} from './store.ts'

/**
 * What befalls a transaction: `unavailable`, it is refused; `lostAckStored` and `lostAckDropped`, the writer never
 * learns whether it was stored.
 */
export type MemoryStoreFault = 'none' | 'unavailable' | 'lostAckStored' | 'lostAckDropped'

export interface MemoryStoreOptions {
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly random?: (bytes: number) => Uint8Array
  /** Asked before each transaction. */
  readonly fault?: (transaction: Transaction) => MemoryStoreFault
  /** Asked before each read that only a leader can answer. */
  readonly isLeaderAway?: () => boolean
  /** Called with each committed event, in order: what the relay does on JetStream. */
  readonly onEvent?: (event: CloudEvent) => void
}

const epoch = 1

/** @example const store = createMemoryStore({ now: () => simulation.now }) */
export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  const now = options.now ?? Date.now
  const table = createObjectTable()
  const histories = new Map<string, KnownObject[]>()
  const listeners = new Set<(changes: readonly Change[]) => void>()
  let sequence = 0
  let isClosed = false

  function requireLeader(): void {
    if (isClosed || options.isLeaderAway?.() === true) throw new StoreUnavailableError('the memory store has no leader')
  }

  function store(objects: readonly Omit<KnownObject, 'revision'>[], events: readonly CloudEvent[]): KnownObject[] {
    const stored = objects.map((object): KnownObject => ({ ...object, revision: { epoch, sequence: ++sequence } }))
    for (const object of stored) {
      table.put(object)
      const name = `${object.kind} ${object.id}`
      histories.set(name, [...(histories.get(name) ?? []), object].slice(-versionsKeptMaximum))
    }
    sequence += events.length
    const changes = stored.map((object, i): Change => ({ object, endOfTransaction: i === stored.length - 1 }))
    // Listeners hear of it after the writer's own turn, as they do on JetStream, and in the order of the commits.
    queueMicrotask(() => {
      for (const listener of listeners) listener(changes)
      for (const event of events) options.onEvent?.(event)
    })
    return stored
  }

  const self: Store = {
    async getOrTombstone<Value>(kind: Kind<Value>, id: string, read: { readonly latest?: boolean } = {}) {
      checkObjectName(kind, id)
      if (read.latest === true) requireLeader()
      return table.find(kind.name, id) as StoredObject<Value | null> | null
    },

    async get<Value>(kind: Kind<Value>, id: string, read: { readonly latest?: boolean } = {}) {
      const object = await self.getOrTombstone(kind, id, read)
      return object === null || object.value === null ? null : (object as StoredObject<Value>)
    },

    list: async (kind, listOptions) => table.list(kind, listOptions),
    snapshot: (kind, clientId) => table.snapshot(kind, clientId),

    async history<Value>(kind: Kind<Value>, id: string) {
      checkObjectName(kind, id)
      requireLeader()
      return (histories.get(`${kind.name} ${id}`) ?? []) as readonly StoredObject<Value | null>[]
    },

    async transact(transaction): Promise<TransactionOutcome> {
      checkTransaction(transaction)
      const fault = options.fault?.(transaction) ?? 'none'
      if (isClosed || fault === 'unavailable') {
        const reason = isClosed ? 'the store is closed' : 'the microshard has no leader'
        return { outcome: 'unavailable', retryAfterSeconds, reason }
      }
      const plan = planTransaction(transaction, table.find, { now: now(), random: options.random })
      if (fault === 'lostAckDropped') throw new OutcomeUnknownError('the microshard did not answer')
      if (plan.kind === 'conflict') return { outcome: 'conflict', conflicts: plan.conflicts }
      const objects = store(plan.objects, plan.events)
      if (fault === 'lostAckStored') throw new OutcomeUnknownError('the microshard did not answer')
      return { outcome: 'committed', objects }
    },

    subscribe(listener) {
      // A wrapper of its own, so that one function may subscribe twice.
      const own = (changes: readonly Change[]) => listener(changes)
      listeners.add(own)
      return () => listeners.delete(own)
    },

    async status() {
      const whole = { id: '1', from: '0'.repeat(16), to: 'f'.repeat(16), epoch, messages: sequence, bytes: 0 }
      return {
        mode: 'memory',
        status: isClosed ? 'unavailable' : 'available',
        serverVersion: null,
        microshards: [whole],
      }
    },

    async close() {
      isClosed = true
      listeners.clear()
    },
  }
  return self
}
