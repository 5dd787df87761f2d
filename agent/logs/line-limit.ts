/** How many lines are let through: so many a second in the long run, and more for a moment. Pure but for what it remembers. */

export interface LineLimit {
  /** True: one more may pass. */
  admit(): boolean
}

/** @param now milliseconds by a clock that never jumps */
export function createLineLimit(limit: {
  readonly linesPerSecond: number
  readonly burstLines: number
  readonly now: () => number
}): LineLimit {
  const { linesPerSecond, burstLines, now } = limit
  let left = burstLines
  let at = now()
  return {
    admit() {
      const time = now()
      left = Math.min(burstLines, left + ((time - at) * linesPerSecond) / 1000)
      at = time
      if (left < 1) return false
      left -= 1
      return true
    },
  }
}
