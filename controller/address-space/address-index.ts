/**
 * Who holds which address, kept in memory beside the store, so that neither an allocation nor a release ever looks through
 * all addresses. It follows the store's changes; what this controller writes itself it is told at once.
 */

import type { Store, StoredObject } from '../control-plane/store.ts'
import { type AddressValue, addressKind } from '../objects.ts'

export interface AddressIndex {
  heldBy(ownerId: string): readonly StoredObject<AddressValue>[]
  holderOf(addressId: string): string | null
  take(objects: readonly StoredObject<unknown>[]): void
  close(): void
}

export function createAddressIndex(store: Store): AddressIndex {
  const byId = new Map<string, StoredObject<AddressValue | null>>()
  const byOwner = new Map<string, Set<string>>()

  function forget(id: string, ownerId: string): void {
    const ids = byOwner.get(ownerId)
    ids?.delete(id)
    if (ids?.size === 0) byOwner.delete(ownerId)
  }

  function put(object: StoredObject<AddressValue | null>): void {
    const known = byId.get(object.id)
    if (known !== undefined && known.version >= object.version) return
    if (known?.value) forget(object.id, known.value.ownerId)
    byId.set(object.id, object)
    if (object.value === null) return
    const ids = byOwner.get(object.value.ownerId) ?? new Set()
    byOwner.set(object.value.ownerId, ids.add(object.id))
  }

  const take = (objects: readonly StoredObject<unknown>[]) => {
    for (const object of objects) {
      if (object.kind === addressKind.name) put(object as StoredObject<AddressValue | null>)
    }
  }

  const unsubscribe = store.subscribe((changes) => take(changes.map(({ object }) => object)))
  take(store.snapshot(addressKind))
  return {
    take,
    heldBy: (ownerId) =>
      [...(byOwner.get(ownerId) ?? [])].flatMap((id) => {
        const object = byId.get(id)
        return object === undefined || object.value === null ? [] : [object as StoredObject<AddressValue>]
      }),
    holderOf: (addressId) => byId.get(addressId)?.value?.ownerId ?? null,
    close: unsubscribe,
  }
}
