/**
 * How likely it is that an object has been written by others since it was read, and whether a light read before the
 * write pays. Learns from what it is told; touches nothing.
 *
 * Foreign writes are taken to come at random at a rate λ, so that P(stale) = 1 − exp(−λ · age). Without a probe a stale
 * write costs a round of its own with chance P; a probe costs its own round always. So it pays when P · write > probe.
 */

export interface StaleOdds {
  /** Told at each look at an object: what its version is, and how many of the versions are one's own since the last look. */
  note(name: string, version: number, own: number, now: number): void
  /** How likely a read of that age is stale, 0 to 1. */
  probability(name: string, ageMilliseconds: number, now: number): number
  /** Whether to ask the leader for the version before the write. */
  isProbeWorth(name: string, ageMilliseconds: number, now: number): boolean
  /** Whether a write that starts now will probably meet another. */
  isContended(name: string, now: number): boolean
  noteCost(what: 'probe' | 'write', milliseconds: number): void
  costs(): Costs
}

export interface Costs {
  readonly probeMilliseconds: number
  readonly writeMilliseconds: number
}

/** The rate follows what happened within about so long. */
const memoryMilliseconds = 2_000
const namesMaximum = 4_096
/** How much a new measure of a cost counts against all before it. */
const costWeight = 0.05
const firstCosts: Costs = { probeMilliseconds: 0.5, writeMilliseconds: 2 }
/** From this chance on that a write meets another it goes straight to the owner. */
const contendedFrom = 0.2

interface Seen {
  version: number
  /** Foreign writes, those of long ago counting less. */
  count: number
  at: number
}

export function createStaleOdds(): StaleOdds {
  /** In the order of the last look. */
  const seen = new Map<string, Seen>()
  let { probeMilliseconds, writeMilliseconds } = firstCosts

  /** Foreign writes in a millisecond. */
  function rateOf(name: string, now: number): number {
    const known = seen.get(name)
    return known === undefined ? 0 : decayed(known, now) / memoryMilliseconds
  }

  const self: StaleOdds = {
    note(name, version, own, now) {
      const known = seen.get(name)
      seen.delete(name)
      if (known === undefined) seen.set(name, { version, count: 0, at: now })
      else {
        const foreign = Math.max(0, version - known.version - own)
        const count = decayed(known, now) + foreign
        seen.set(name, { version: Math.max(version, known.version), count, at: now })
      }
      if (seen.size <= namesMaximum) return
      for (const oldest of seen.keys()) {
        seen.delete(oldest)
        break
      }
    },
    probability: (name, ageMilliseconds, now) => 1 - Math.exp(-rateOf(name, now) * ageMilliseconds),
    // What memory shows is as old as the way from the leader is long, which a probe goes too.
    isProbeWorth: (name, ageMilliseconds, now) =>
      self.probability(name, ageMilliseconds + probeMilliseconds, now) * writeMilliseconds > probeMilliseconds,
    isContended: (name, now) => self.probability(name, writeMilliseconds, now) > contendedFrom,
    noteCost(what, milliseconds) {
      if (what === 'probe') probeMilliseconds += costWeight * (milliseconds - probeMilliseconds)
      else writeMilliseconds += costWeight * (milliseconds - writeMilliseconds)
    },
    costs: () => ({ probeMilliseconds, writeMilliseconds }),
  }
  return self
}

const decayed = ({ count, at }: Seen, now: number) => count * Math.exp(-Math.max(0, now - at) / memoryMilliseconds)
