/** Whether a balancer or an instance still wants an address on the uplink: what the sweep of reservations asks. */

import type { Judges } from '../access/sweep-reservations.ts'
import type { Store } from '../control-plane/store.ts'
import { instanceKind, loadBalancerSlotsKind } from '../objects.ts'

/** A VIP is wanted while a slot has it, an instance's own address while the instance says that it is its. */
export function createUplinkJudges(store: Pick<Store, 'snapshot'>): Judges {
  return {
    uplink: ({ value: { ownerId, ownerKind, words } }) => {
      const [, address] = words
      if (ownerKind === instanceKind.name) {
        const instance = store.snapshot(instanceKind, ownerId).find(({ id }) => id === ownerId)
        return instance === undefined || instance.value.uplinkAddress === address
      }
      const slots = store.snapshot(loadBalancerSlotsKind, ownerId).find(({ id }) => id === ownerId)
      return slots === undefined || slots.value.slots.some(({ vip }) => vip === address)
    },
  }
}
