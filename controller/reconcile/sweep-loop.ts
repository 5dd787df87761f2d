/** Sweeps steadily: gives back what has no owner, and finishes what was cut off. One sweep at a time. */

import { sleep } from '../control-plane/connection-watch.ts'

export interface SweepLoopOptions {
  /** It never fails. */
  readonly sweep: () => Promise<unknown>
  readonly sweepSeconds?: number
}

const sweepSecondsDefault = 15

/** Resolves when the signal has aborted and the sweep under way is over. */
export async function keepSweeping(options: SweepLoopOptions, signal: AbortSignal): Promise<void> {
  const milliseconds = (options.sweepSeconds ?? sweepSecondsDefault) * 1000
  await sleep(milliseconds, signal)
  while (!signal.aborted) {
    await options.sweep()
    await sleep(milliseconds, signal)
  }
}
