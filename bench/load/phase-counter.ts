/** Counts requests by the phase in which they began. Pure but for what it counts. */

import { percentile } from '../statistics.ts'
import type { Failure, PhaseReport } from './messages.ts'

const failuresKeptMaximum = 20

export interface PhaseCounter {
  readonly name: string
  succeed(milliseconds: number): void
  fail(failure: Failure): void
  count(): number
  report(): PhaseReport
}

export function createPhaseCounter(name: string): PhaseCounter {
  const durations: number[] = []
  const failures: Failure[] = []
  const reasons: Record<string, number> = {}
  let failed = 0
  return {
    name,
    succeed: (milliseconds) => void durations.push(milliseconds),
    fail(failure) {
      failed += 1
      reasons[failure.why] = (reasons[failure.why] ?? 0) + 1
      if (failures.length < failuresKeptMaximum) failures.push(failure)
    },
    count: () => durations.length + failed,
    report() {
      const at = (share: number) => (durations.length === 0 ? 0 : percentile(durations, share))
      return {
        name,
        requests: durations.length + failed,
        failed,
        reasons,
        failures,
        p50Milliseconds: at(0.5),
        p99Milliseconds: at(0.99),
        maximumMilliseconds: at(1),
      }
    },
  }
}
