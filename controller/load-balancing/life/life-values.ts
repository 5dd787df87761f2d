/** What is kept in the store of the lives of instances, beside the instances themselves. Types only. */

/** Who had a slot before. */
export interface FormerInstance {
  readonly instanceId: string
  /**
   * `suspected`: it was condemned, and has the slot again if it is healthy within the grace period. The others have handed
   * over to a better one: `maintenance` of their host, or as a `recovered` one is back.
   */
  readonly why: 'suspected' | 'maintenance' | 'recovered'
  /** RFC 3339. */
  readonly since: string
}

/** The mass failure breaker of the rack: there is one. While it is open nothing is replaced. */
export interface BreakerValue {
  readonly status: 'closed' | 'open'
  readonly reason: string
  /** Since when it is so. */
  readonly since: string
  /** Those whose failing opened it. */
  readonly hostIds: readonly string[]
  /** A person has seen what had failed by then: it counts no more. */
  readonly resetAt: string | null
}
