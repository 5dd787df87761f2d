/** Whether a balancer or an instance still wants an address on the uplink: what the sweep of reservations asks. */

import type { Judges } from '../access/sweep-reservations.ts'
import type { Store } from '../control-plane/store.ts'
import { instanceKind, loadBalancerSlotsKind } from '../objects.ts'

/** A VIP is wanted while a slot has it, an instance's own address while the instance says that it is its. For one sweep. */
export function createUplinkJudges(store: Pick<Store, 'snapshot'>): Judges {
  const instances = new Map(store.snapshot(instanceKind).map(({ id, value }) => [id, value.uplinkAddress]))
  const vips = new Map(store.snapshot(loadBalancerSlotsKind).map(({ id, value }) => [id, value.slots]))
  return {
    uplink: ({ value: { ownerId, ownerKind, words } }) => {
      const [, address] = words
      // One that came after this reading began is young, or comes up in the next sweep.
      if (ownerKind === instanceKind.name) return (instances.get(ownerId) ?? address) === address
      return vips.get(ownerId)?.some(({ vip }) => vip === address) ?? true
    },
  }
}
