/** The one clock that the driver, the probers and the floor's script share: the machine's wall clock. */

/** Milliseconds since 1970 with their fractions; its steps are microseconds, and within one process it never goes back. */
export const wallMilliseconds = (): number => performance.timeOrigin + performance.now()
