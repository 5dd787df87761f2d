/** How long a VIP was away, from what a watch saw. Pure. */

import type { Watched } from './messages.ts'

export interface Outage {
  /** The longest time without a whole 200, from the end of one to the end of the next. */
  readonly gapMilliseconds: number
  /** When it began and ended, on the wall clock. */
  readonly from: number
  readonly to: number
  readonly probes: number
  readonly failedProbes: number
  /** How often each reason of a failed probe was given. */
  readonly reasons: Readonly<Record<string, number>>
  readonly longestStallMilliseconds: number
}

/** The longest gap of the watch; the watch's own ends bound one as an answer does. */
export function measureOutage(watched: Watched): Outage {
  const answeredAt = watched.successes.map(([, end]) => end).filter((end) => end <= watched.to)
  const marks = [watched.from, ...answeredAt.sort((a, b) => a - b), watched.to]
  let longest = { from: watched.from, to: watched.from }
  for (const [index, to] of marks.entries()) {
    const from = marks[index - 1] ?? to
    if (to - from > longest.to - longest.from) longest = { from, to }
  }
  const reasons: Record<string, number> = {}
  for (const { why } of watched.failures) reasons[why] = (reasons[why] ?? 0) + 1
  return {
    gapMilliseconds: longest.to - longest.from,
    ...longest,
    probes: watched.successes.length + watched.failures.length,
    failedProbes: watched.failures.length,
    reasons,
    longestStallMilliseconds: watched.longestStallMilliseconds,
  }
}
