/**
 * Who does actions in one controller: a queue for each object that is being written. The first in it is written at once;
 * what comes meanwhile is written as one after it. Contended objects so cost one write for many actions, others nothing.
 * Touches the store.
 */

import type { Action, ActionOutcome, Actions } from '../act.ts'
import type { Store } from '../store.ts'
import { nameOfObject } from './conditional-write.ts'
import { type AnyAction, actionsFoldedMaximum } from './fold-actions.ts'
import { createRecentActions } from './recent-actions.ts'
import { type Batch, createBatchWriter, type Pending, type WriteCounts } from './reconcile-action.ts'
import { createStaleOdds, type StaleOdds } from './stale-odds.ts'

export interface ActionMeans {
  readonly store: Store
  /** Milliseconds; used for spans alone. */
  readonly now: () => number
  readonly random: (bytes: number) => Uint8Array
  /** Left out: whoever has lost a race goes on at once, as where time is simulated. */
  readonly sleep?: ((milliseconds: number) => Promise<unknown>) | undefined
}

export interface ActionQueue extends Actions {
  readonly odds: StaleOdds
  /** Takes in nothing any more of what others write. */
  close(): void
  counts(): WriteCounts
}

/** @example const actions = createActionQueue({ store, now: Date.now, random, sleep: Bun.sleep }) */
export function createActionQueue(means: ActionMeans): ActionQueue {
  const odds = createStaleOdds()
  const recent = createRecentActions()
  const writer = createBatchWriter({ ...means, odds, recent })
  /** Those that wait, by object; an object that is not here is not being written. */
  const waiting = new Map<string, Pending[]>()

  const unsubscribe = means.store.subscribe((changes) => {
    for (const { object } of changes) {
      const name = `${object.kind} ${object.id}`
      if (!recent.isTracked(name)) continue
      recent.observe(name, object)
      // What others write is known although this controller leaves the object to them.
      if (!waiting.has(name)) odds.note(name, object.version, 0, means.now())
    }
  })

  async function drain(name: string, queue: Pending[]): Promise<void> {
    while (queue.length > 0) {
      const batch: Batch = queue.splice(0, actionsFoldedMaximum)
      // What could not be written with the others goes on before those that came later.
      queue.unshift(...(await writer.write(batch)))
    }
    waiting.delete(name)
  }

  return {
    odds,
    close: unsubscribe,
    isContended: (kind, id) => odds.isContended(nameOfObject({ kind, id }), means.now()),
    follow: (kind, id, version) => recent.track(nameOfObject({ kind, id }), version),
    counts: writer.counts,
    act<Value, Problem>(action: Action<Value, Problem>) {
      const { promise, resolve, reject } = Promise.withResolvers<ActionOutcome<Value, Problem>>()
      const pending: Pending = {
        action: action as AnyAction,
        resolve: resolve as Pending['resolve'],
        reject,
        first: null,
      }
      const name = nameOfObject(action)
      const queue = waiting.get(name)
      if (queue !== undefined) queue.push(pending)
      else {
        const own = [pending]
        waiting.set(name, own)
        // It never rejects: each that waits is told of its own trouble.
        drain(name, own).catch(reject)
      }
      return promise
    },
  }
}
