/**
 * What the operator calls those who hold addresses and reservations: `machine web-1`, `load balancer shop, slot 2`, or, of
 * what is not run by us, the name that was given for it.
 */

import type { Store } from '../control-plane/store.ts'
import { addressKind, instanceKind, isExternalOwner, loadBalancerKind, machineKind } from '../objects.ts'

/** The holder by name, or by its id when it is not known. */
export async function nameHolder(store: Store, ownerId: string): Promise<string> {
  const prefix = ownerId.slice(0, ownerId.indexOf('_'))
  if (prefix === machineKind.prefix) {
    const machine = await store.get(machineKind, ownerId)
    if (machine !== null) return `machine ${machine.value.name}`
  }
  if (prefix === instanceKind.prefix) {
    const instance = await store.get(instanceKind, ownerId)
    const loadBalancer = instance === null ? null : await store.get(loadBalancerKind, instance.value.loadBalancerId)
    if (instance !== null) return `load balancer ${loadBalancer?.value.name ?? '?'}, slot ${instance.value.slot}`
  }
  if (isExternalOwner(ownerId)) {
    const held = store.snapshot(addressKind, ownerId).find(({ value }) => value.ownerId === ownerId)
    return held?.value.holder ?? ownerId
  }
  return ownerId
}

/** Many holders in one line: the first few by name, the others counted. */
export function joinNames(names: readonly string[], shownMaximum = 10): string {
  const shown = names.slice(0, shownMaximum).join('; ')
  return names.length > shownMaximum ? `${shown}; and ${names.length - shownMaximum} more` : shown
}

/** In the order of the addresses, as numbers. */
export const compareByAddress = (
  one: { readonly value: { readonly address: string } },
  other: { readonly value: { readonly address: string } },
): number => one.value.address.localeCompare(other.value.address, 'en', { numeric: true })
