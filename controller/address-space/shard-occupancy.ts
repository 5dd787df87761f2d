/** A shard's record of what is held in it, and how a change of the shard stops whoever is allocating meanwhile. */

import type { Shard } from '../contract/address-space.ts'
import { type StoredObject, type Write, write } from '../control-plane/store.ts'
import { type ShardOccupancyValue, type ShardValue, shardOccupancyKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'

type ReadContext = Pick<ControllerContext, 'store'>

export const findOccupancy = ({ store }: ReadContext, shardId: string): StoredObject<ShardOccupancyValue> | undefined =>
  store.snapshot(shardOccupancyKind, shardId).find(({ id }) => id === shardId)

/** Written as it is: whoever allocates at the version before is stopped. */
export function touchOccupancy(context: ReadContext, shardId: string): readonly Write[] {
  return touch(findOccupancy(context, shardId))
}

/** As it was seen before. */
export function touch(occupancy: StoredObject<ShardOccupancyValue> | undefined): readonly Write[] {
  if (occupancy === undefined) return []
  const { id, version, value } = occupancy
  return [write({ kind: shardOccupancyKind, id, expect: version, value })]
}

export function statusOfShard({ migrationId, reserved, networkId }: ShardValue): Shard['status'] {
  if (migrationId !== undefined) return 'migrating'
  if (reserved) return 'reserved'
  return networkId === null ? 'available' : 'in-use'
}
