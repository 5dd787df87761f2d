/**
 * Judges from the outside whether a keepalived lives: one that speaks or listens every few hundredths of a second gets the
 * processor each time. Pure.
 */

/** What the kernel says of a process at one moment. */
export interface Pulse {
  readonly atMilliseconds: number
  /** How often it has been given a processor. */
  readonly turns: number
}

export interface HeartbeatFacts {
  /** The last moment at which it was seen to have had a turn since the look before. */
  readonly before: Pulse
  readonly now: Pulse
  /** The letter of /proc/<pid>/stat; asked for only when there is doubt. */
  readonly readState: () => string
  readonly advertIntervalSeconds: number
  /** False while it has nothing to say: a keepalived in fault may rest. */
  readonly isExpectedToSpeak: boolean
}

/** Longer without a turn than any advertisement may be late, and nobody knows why. */
const hangingMilliseconds = 1500
/** Long enough to ask whether it has been stopped. */
const doubtIntervals = 4
const doubtMillisecondsMinimum = 150

export function judgeHeartbeat(facts: HeartbeatFacts): 'beating' | 'resting' | 'hanging' {
  const { before, now, advertIntervalSeconds } = facts
  if (now.turns !== before.turns) return 'beating'
  const silence = now.atMilliseconds - before.atMilliseconds
  if (silence < Math.max(doubtMillisecondsMinimum, doubtIntervals * advertIntervalSeconds * 1000)) return 'resting'
  const state = facts.readState()
  if (state === 'T' || state === 't') return 'hanging'
  return facts.isExpectedToSpeak && silence >= hangingMilliseconds ? 'hanging' : 'resting'
}

/** A timer that is this late was held up by more than a busy machine. */
export const standstillMilliseconds = 1000
/** One that ran had far more turns than this share of those that it needs. */
const turnsShareMinimum = 0.25

/**
 * Whether a keepalived stood still during a gap in the agent's own time. If only the agent was held up, it has had its
 * turns; if the host was paused, it has not, and a neighbour may have taken its VIPs.
 */
export function hasStoodStill(gapMilliseconds: number, turns: number, advertIntervalSeconds: number): boolean {
  if (gapMilliseconds < standstillMilliseconds) return false
  const expected = gapMilliseconds / 1000 / Math.max(0.01, advertIntervalSeconds)
  return turns < expected * turnsShareMinimum
}
