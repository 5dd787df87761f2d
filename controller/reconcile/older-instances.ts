/** Which balancers were there first, on each host: pure. */

import type { StoredObject } from '../control-plane/store.ts'
import type { InstanceValue } from '../objects.ts'

/**
 * By balancer, how many instances of older ones there are on the one of its hosts that has most of them: one figure for
 * all its instances, whichever of them was replaced since.
 */
export function countOlderInstances(
  loadBalancers: Iterable<Aged>,
  instances: Iterable<{ readonly value: Pick<InstanceValue, 'loadBalancerId' | 'hostId'> }>,
): ReadonlyMap<string, number> {
  const hostsOf = Map.groupBy(instances, ({ value }) => value.loadBalancerId)
  const older = new Map<string, number>()
  const countOn = (hostId: string) => older.get(hostId) ?? 0
  const counts = new Map<string, number>()
  for (const { id } of [...loadBalancers].toSorted(compareAges)) {
    const hosts = (hostsOf.get(id) ?? []).map(({ value }) => value.hostId)
    counts.set(id, Math.max(0, ...hosts.map(countOn)))
    for (const hostId of hosts) older.set(hostId, countOn(hostId) + 1)
  }
  return counts
}

type Aged = Pick<StoredObject<unknown>, 'id' | 'createdAt'>
const compareAges = (a: Aged, b: Aged) => compare(a.createdAt, b.createdAt) || compare(a.id, b.id)
const compare = (a: string, b: string) => (a === b ? 0 : a < b ? -1 : 1)
