/** How patient the controller is with instances and hosts in trouble, for the whole rack. */

export interface LifeSettings {
  /** For how long an instance must have been in trouble before it is replaced. */
  readonly suspectAfterSeconds: number
  /** How long one that was replaced may take to come back before it is deleted. */
  readonly graceSeconds: number
  /** The mass failure breaker opens when more than this share of the hosts, and at least two, fail within the window. */
  readonly breakerShare: number
  readonly breakerWindowSeconds: number
}

/**
 * A host is called silent five seconds after its last report, and a witness takes two to find that nobody answers, so six
 * is about the least that anybody can be sure of.
 */
export const lifeDefaults: LifeSettings = {
  suspectAfterSeconds: 6,
  graceSeconds: 300,
  breakerShare: 0.25,
  breakerWindowSeconds: 60,
}
