/**
 * Turns the reconciler: woken by the store's changes, by what hosts say anew, by whoever asks, and by a steady tick. One
 * turn at a time; what wakes it meanwhile makes it turn again.
 */

import type { Logger } from 'pino'
import type { Store } from '../control-plane/store.ts'
import type { ObservedHosts } from '../observed/observed-hosts.ts'
import type { Reconciler } from './reconciler.ts'

export interface ReconcileLoop {
  wake(): void
  /** Ends it; resolves when the turn under way is over. */
  close(): Promise<void>
}

export interface ReconcileLoopOptions {
  readonly reconciler: Reconciler
  readonly store: Pick<Store, 'subscribe'>
  readonly observed: Pick<ObservedHosts, 'subscribe'>
  readonly logger: Pick<Logger, 'warn'>
  /** Told before the next turn when this process did not run for a while: what was said meanwhile has yet to be heard. */
  readonly onStandstill?: () => void
  /** In milliseconds, of a clock that goes on while the process does not. */
  readonly now?: () => number
  readonly tickSeconds?: number
}

/** Also how soon a failed step is tried again, and a silent host is noticed. */
const tickSecondsDefault = 1
/** A tick that is this late was held up by more than a long turn. */
const standstillMilliseconds = 3000

export function startReconcileLoop(options: ReconcileLoopOptions): ReconcileLoop {
  const { reconciler, store, observed, logger } = options
  let isAsked = true
  let isClosed = false
  let running: Promise<void> | null = null
  let lastFailures = ''
  const now = options.now ?? (() => performance.now())
  let aliveAt = now()

  function noticeStandstill(): void {
    const before = aliveAt
    aliveAt = now()
    if (aliveAt - before >= standstillMilliseconds) options.onStandstill?.()
  }

  async function run(): Promise<void> {
    while (isAsked && !isClosed) {
      isAsked = false
      const { failures } = await reconciler.turn()
      // What fails again for the same reasons is said once.
      const text = failures.map(({ operation, reason }) => `${operation}: ${reason}`).join('\n')
      if (text !== lastFailures && text !== '') logger.warn({ failures }, 'a turn left something undone')
      lastFailures = text
    }
    running = null
  }

  function wake(): void {
    noticeStandstill()
    isAsked = true
    if (running === null && !isClosed) running = run()
  }

  const forget = [store.subscribe(wake), observed.subscribe(wake)]
  const tick = setInterval(wake, (options.tickSeconds ?? tickSecondsDefault) * 1000)
  wake()
  return {
    wake,
    async close() {
      isClosed = true
      clearInterval(tick)
      for (const end of forget) end()
      await running
    },
  }
}
