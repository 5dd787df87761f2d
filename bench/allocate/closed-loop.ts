/** Drives something by so many callers at a time, each of which asks again as soon as it is answered. Takes its clock. */

import { percentile } from '../statistics.ts'

export interface LoopOptions {
  readonly inFlight: number
  /** What is done in this time, at first, does not count. */
  readonly warmUpMilliseconds: number
  readonly milliseconds: number
  /** Does it once, and says how many operations that were: 0 where it failed. */
  readonly work: () => Promise<number>
  /** Milliseconds from any point on. */
  readonly now?: () => number
}

export interface LoopReport {
  readonly operationsPerSecond: number
  readonly failed: number
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
}

/** @example await driveClosedLoop({ inFlight: 64, warmUpMilliseconds: 300, milliseconds: 1000, work: async () => 1 }) */
export async function driveClosedLoop(options: LoopOptions): Promise<LoopReport> {
  const { inFlight, warmUpMilliseconds, milliseconds, work } = options
  const now = options.now ?? (() => performance.now())
  const from = now() + warmUpMilliseconds
  const to = from + milliseconds
  const latencies: number[] = []
  let operations = 0
  let failed = 0
  const ask = async () => {
    for (let begun = now(); begun < to; ) {
      const done = await work()
      const ended = now()
      if (from <= ended && ended < to) {
        operations += done
        if (done === 0) failed++
        else latencies.push(ended - begun)
      }
      begun = ended
    }
  }
  await Promise.all(Array.from({ length: inFlight }, ask))
  return {
    operationsPerSecond: (1000 * operations) / milliseconds,
    failed,
    p50Milliseconds: latencies.length === 0 ? 0 : percentile(latencies, 0.5),
    p99Milliseconds: latencies.length === 0 ? 0 : percentile(latencies, 0.99),
  }
}
