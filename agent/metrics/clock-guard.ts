/**
 * Notices that the host's clock was set back. What is measured then would fall among what was measured before: counters
 * would seem to go down and up again, and each time to have begun anew. Pure but for what it remembers.
 */

export interface ClockGuard {
  /** To be asked at each pass. False: what it measures has its time among earlier ones. */
  isAhead(): boolean
}

export interface ClockGuardOptions {
  /** Since 1970, by the clock that points are dated by. */
  readonly unixSeconds: () => number
  /** By a clock that never jumps. */
  readonly steadySeconds: () => number
}

/** Two readings of two clocks are not made at once. */
const jumpSeconds = 1
/** Whoever set it back by more knew why, and what was dated by the wrong clock was from the future, and not kept. */
const waitSecondsMaximum = 600

export function createClockGuard({ unixSeconds, steadySeconds }: ClockGuardOptions): ClockGuard {
  let last = { unix: unixSeconds(), steady: steadySeconds() }
  /** The latest time that points have, and until when that is waited for, by either clock. */
  let reach = { unix: Number.NEGATIVE_INFINITY, steady: Number.NEGATIVE_INFINITY }
  return {
    isAhead() {
      const now = { unix: unixSeconds(), steady: steadySeconds() }
      const jumped = now.unix - last.unix - (now.steady - last.steady)
      if (jumped < -jumpSeconds) {
        reach = { unix: Math.max(reach.unix, last.unix), steady: now.steady + waitSecondsMaximum }
      }
      last = now
      return now.unix > reach.unix || now.steady >= reach.steady
    },
  }
}
