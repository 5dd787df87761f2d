/**
 * Which messages a transaction becomes: one for each object that is not carried, and none for those that are, which go
 * with their carriers. A carrier that the transaction does not write is copied as it is. Pure.
 */

import type { Carrier } from './message.ts'
import type { KnownObject, PlannedObject, TransactionPlan } from './plan-transaction.ts'

export interface Parcel {
  /** As its message shows it. */
  readonly object: PlannedObject
  /** What it replaces. */
  readonly base: KnownObject | null
  readonly isCopy: boolean
  /** The carried objects that the transaction writes. */
  readonly fresh: readonly PlannedObject[]
}

type WritePlan = Extract<TransactionPlan, { kind: 'write' }>

export function packParcels(
  { objects, carriers }: Pick<WritePlan, 'objects' | 'carriers'>,
  find: (kind: string, id: string) => KnownObject | null,
): readonly Parcel[] {
  const parcels = new Map<string, Parcel & { readonly fresh: PlannedObject[] }>()
  for (const [i, object] of objects.entries()) {
    if (carriers[i]) continue
    parcels.set(nameOf(object), { object, base: find(object.kind, object.id), isCopy: false, fresh: [] })
  }
  for (const [i, object] of objects.entries()) {
    const carrier = carriers[i]
    if (!carrier) continue
    const parcel = parcels.get(nameOf(carrier)) ?? { ...copyCarrier(carrier, object, find), fresh: [] }
    parcels.set(nameOf(carrier), parcel)
    parcel.fresh.push(object)
  }
  return [...parcels.values()]
}

export const nameOf = ({ kind, id }: Carrier) => `${kind} ${id}`

/** As it is, or as the place of an object that was never written. */
function copyCarrier(
  { kind, id }: Carrier,
  carried: PlannedObject,
  find: (kind: string, id: string) => KnownObject | null,
): Omit<Parcel, 'fresh'> {
  const base = find(kind, id)
  if (base === null) {
    const { shardKey, updatedAt } = carried
    const object = { kind, id, shardKey, version: 0, value: null, createdAt: updatedAt, updatedAt, actionIds: [] }
    return { object, base, isCopy: true }
  }
  const { revision: _, ...object } = base
  return { object, base, isCopy: true }
}
