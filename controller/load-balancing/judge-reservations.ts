/** Whether a balancer or an instance still wants an address on the uplink: what the sweep of reservations asks. */

import type { Judges } from '../access/sweep-reservations.ts'
import type { Store } from '../control-plane/store.ts'
import { instanceKind, loadBalancerKind, loadBalancerSlotsKind, loadBalancerStatusKind } from '../objects.ts'

/**
 * A VIP is wanted while a slot has it, and until every instance of its balancer has taken in that none has: one that is on
 * its way out, or on a host that is silent, may still hold it. An instance's own address is wanted while the instance says
 * that it is its. For one sweep.
 */
export function createUplinkJudges(store: Pick<Store, 'snapshot'>): Judges {
  const instances = new Map(store.snapshot(instanceKind).map(({ id, value }) => [id, value.uplinkAddress]))
  const slots = new Map(store.snapshot(loadBalancerSlotsKind).map(({ id, value }) => [id, value.slots]))
  const settled = listSettled(store)
  return {
    uplink: ({ value: { ownerId, ownerKind, words } }) => {
      const [, address] = words
      // One that came after this reading began is young, or comes up in the next sweep.
      if (ownerKind === instanceKind.name) return (instances.get(ownerId) ?? address) === address
      const own = slots.get(ownerId)
      return own === undefined || own.some(({ vip }) => vip === address) || !settled.has(ownerId)
    },
  }
}

/** The balancers of which every instance is in a slot and serves what is wanted. */
function listSettled(store: Pick<Store, 'snapshot'>): ReadonlySet<string> {
  const versions = new Map(store.snapshot(loadBalancerKind).map(({ id, version }) => [id, version]))
  const inSlot = new Set(
    store.snapshot(loadBalancerSlotsKind).flatMap(({ value }) => value.slots.map(({ instanceId }) => instanceId)),
  )
  const leaving = store.snapshot(instanceKind).filter(({ id }) => !inSlot.has(id))
  const unsettled = new Set(leaving.map(({ value }) => value.loadBalancerId))
  return new Set(
    store
      .snapshot(loadBalancerStatusKind)
      .filter(({ id, value }) => value.status === 'active' && value.observedGeneration === versions.get(id))
      .map(({ id }) => id)
      .filter((id) => !unsettled.has(id)),
  )
}
