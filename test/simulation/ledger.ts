/**
 * What callers were told is so, and whether it is so in the end. An answer counts only while nobody has asked for
 * something else of the same subject, and no request for it is left unanswered: that one may be done at any time.
 */

export interface Ledger {
  /** Notes that something is asked for of these subjects. Answers what to call with the outcome; unanswered: never. */
  ask(...subjects: readonly string[]): (outcome: LedgerOutcome) => void
  /** What was acknowledged and is not so. */
  findLost(): readonly string[]
  /** How many acknowledgements count now. */
  readonly size: number
}

export interface LedgerOutcome {
  /** False: the caller was not told whether it is done. */
  readonly isCertain: boolean
  /** By subject, what has to be so from now on: null, or what is wrong. Of a subject that was asked for, or a new one. */
  readonly promises?: readonly { readonly subject: string; readonly check: () => string | null }[]
}

export function createLedger(): Ledger {
  const open = new Map<string, number>()
  const promises = new Map<string, () => string | null>()
  return {
    ask(...subjects) {
      for (const subject of subjects) {
        open.set(subject, (open.get(subject) ?? 0) + 1)
        promises.delete(subject)
      }
      return ({ isCertain, promises: made = [] }) => {
        if (!isCertain) return
        for (const subject of subjects) open.set(subject, (open.get(subject) ?? 0) - 1)
        for (const { subject, check } of made) if ((open.get(subject) ?? 0) === 0) promises.set(subject, check)
      }
    },
    findLost: () =>
      [...promises].flatMap(([subject, check]) => {
        const wrong = check()
        return wrong === null ? [] : [`${subject}: ${wrong}`]
      }),
    get size() {
      return promises.size
    },
  }
}
