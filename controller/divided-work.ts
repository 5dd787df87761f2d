/**
 * The kinds of work of which each has one controller that does it: each is begun when its lease is held, and ended when it
 * is lost. All of it stays right without the lease, since what it writes it writes on a condition.
 */

import type { Logger } from 'pino'
import { type Leases, whenAborted, workWhileHeld } from './control-plane/leases/lease.ts'

export interface DividedWork {
  /** `work` resolves when the signal has aborted and all of it has ended. */
  add(kind: WorkKind, work: (signal: AbortSignal) => Promise<void>): void
  /** Ends it all. */
  close(): Promise<void>
}

export const workKinds = [
  'reconcile',
  'sweep',
  'names',
  'events',
  'presence',
  'microshards',
  'lifecycle',
  'metrics',
] as const
export type WorkKind = (typeof workKinds)[number]

const leaseName = (kind: WorkKind) => `work.${kind}`
/** Null: it is a lease of another kind. */
export const readWorkKind = (name: string): WorkKind | null =>
  workKinds.find((kind) => leaseName(kind) === name) ?? null

export function divideWork(leases: Leases, logger: Pick<Logger, 'info' | 'error'>): DividedWork {
  const running: { close(): Promise<void> }[] = []
  return {
    add(kind, work) {
      const onFailure = (cause: unknown) => logger.error({ err: cause, kind }, 'a kind of work failed; it begins again')
      const begin = async ({ token, signal }: { readonly token: number; readonly signal: AbortSignal }) => {
        logger.info({ kind, token }, 'this controller does it now')
        await work(signal)
        logger.info({ kind, token }, 'this controller does it no more')
      }
      running.push(workWhileHeld(leases, leaseName(kind), begin, { onFailure }))
    },
    close: async () => {
      await Promise.all(running.splice(0).map((one) => one.close()))
    },
  }
}

/** Work that is a loop which is begun and closed. */
export async function runLoop(loop: { close(): Promise<void> }, signal: AbortSignal): Promise<void> {
  await whenAborted(signal)
  await loop.close()
}
