/**
 * On which hosts instances and machines run. Pure and stable: it looks only for places for what has none, and never
 * moves what runs.
 */

export interface HostCandidate {
  readonly id: string
  readonly name: string
  readonly instances: number
  readonly machines: number
}

/**
 * Hosts for that many new instances of one load balancer: first those without one of its instances, then the least
 * loaded. `occupied` holds the host of each instance that it has already. Empty: there is no host at all.
 */
export function placeInstances(options: {
  readonly count: number
  readonly hosts: readonly HostCandidate[]
  readonly occupied: readonly string[]
}): readonly HostCandidate[] {
  const own = new Map<string, number>()
  for (const hostId of options.occupied) own.set(hostId, (own.get(hostId) ?? 0) + 1)
  const placed: HostCandidate[] = []
  for (let i = 0; i < options.count; i++) {
    const extra = (host: HostCandidate) => placed.filter(({ id }) => id === host.id).length
    const rank = (host: HostCandidate) => [
      (own.get(host.id) ?? 0) + extra(host),
      host.instances + extra(host),
      host.machines,
    ]
    const [best] = options.hosts.toSorted((a, b) => compareRanks(rank(a), rank(b)) || compareNames(a, b))
    if (best !== undefined) placed.push(best)
  }
  return placed
}

/** The host for a machine: that with the fewest machines, then the fewest instances. Undefined: there is none. */
export function placeMachine(hosts: readonly HostCandidate[]): HostCandidate | undefined {
  return hosts.toSorted(
    (a, b) => compareRanks([a.machines, a.instances], [b.machines, b.instances]) || compareNames(a, b),
  )[0]
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    const difference = value - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

const compareNames = (a: HostCandidate, b: HostCandidate) => (a.name < b.name ? -1 : 1)
