/** A controller's context for tests: the store in memory, a clock that is moved by hand, numbers instead of chance. */

import pino from 'pino'
import { createMemoryStore, type MemoryStoreOptions } from '../control-plane/memory-store.ts'
import type { Store } from '../control-plane/store.ts'
import { createActionQueue } from '../control-plane/writes/action-queue.ts'
import { lifeDefaults } from '../load-balancing/life/life-settings.ts'
import type { Caller, ControllerContext, RequestInfo } from '../services.ts'
import { createSeed } from './object-id.ts'

export interface TestContext extends ControllerContext {
  advance(milliseconds: number): void
  /** A new request of an admin; `name` makes it the repetition of the one with the same name. */
  request(name?: string, parts?: Partial<RequestInfo>): RequestInfo
}

export const adminCaller: Caller = { tokenId: 'tok_test', scope: 'admin', projectId: null }
export const projectCaller = (projectId: string): Caller => ({ tokenId: 'tok_test', scope: 'project', projectId })

/** The same with another store, which is written through its own queue. */
export const withStore = (context: TestContext, store: Store): TestContext => ({
  ...context,
  store,
  actions: createActionQueue({ store, now: context.now, random: context.random }),
})

export function createTestContext(options: MemoryStoreOptions = {}): TestContext {
  let now = Date.parse('2030-01-01T00:00:00Z')
  let drawn = 0
  let requests = 0
  const seeds = new Map<string, string>()
  const random = (bytes: number) =>
    new Bun.CryptoHasher('sha256').update(String(drawn++)).digest().subarray(0, bytes) as Uint8Array
  const store = createMemoryStore({ now: () => now, random, ...options })
  return {
    store,
    actions: createActionQueue({ store, now: () => now, random }),
    now: () => now,
    random,
    logger: pino({ level: 'silent' }),
    observed: {
      get: () => undefined,
      all: () => new Map(),
      loads: { read: () => null },
      listeningSince: now,
      subscribe: () => () => undefined,
    },
    settings: {
      uplinkCidr: '198.18.32.0/20',
      uplinkGateway: '198.18.32.1',
      advertIntervalSeconds: 0.05,
      preemptDelaySeconds: 1,
      names: null,
      life: lifeDefaults,
    },
    wake: () => undefined,
    advance: (milliseconds) => {
      now += milliseconds
    },
    request(name = `request ${++requests}`, parts = {}) {
      const seed = seeds.get(name) ?? createSeed(now, random)
      seeds.set(name, seed)
      const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`
      return { caller: adminCaller, traceparent, actionId: name, seed, ...parts }
    },
  }
}
