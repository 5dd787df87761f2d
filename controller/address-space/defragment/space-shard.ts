/** A shard as the planners see it, and how much room a network's shards have for holders from elsewhere. Pure. */

import { type Block, sizeOf } from '../cidr.ts'

export interface SpaceShard {
  readonly id: string
  readonly block: Block
  readonly networkId: string | null
  /** Holders can move into one that is in use; one that is reserved or migrating is left as it is. */
  readonly status: 'available' | 'in-use' | 'migrating' | 'reserved'
  /** Machines and instances that hold an address of it. */
  readonly holders: number
  /** True: some of these can't be moved by us, so that it stays where it is; others can still move into it. */
  readonly isHeldByOthers?: boolean
  /** How many more it can give to anyone. */
  readonly freeAddresses: number
}

export interface EvacuatedShard {
  readonly shardId: string
  /** Null: on no network, so there is nobody to move. */
  readonly networkId: string | null
  readonly holders: number
}

export interface Evacuation {
  readonly evacuate: readonly EvacuatedShard[]
  readonly moves: number
  /** In all of the shards that are emptied. */
  readonly addressesFreed: number
}

/**
 * By network, the addresses that its shards in use can still give, less one for each holder that is leaving a migrating
 * shard: that one is about to take it. Negative where even these are too many.
 */
export function measureRoom(shards: readonly SpaceShard[]): ReadonlyMap<string, number> {
  const room = new Map<string, number>()
  for (const { networkId, status, holders, freeAddresses } of shards) {
    if (networkId === null) continue
    const change = status === 'in-use' ? freeAddresses : status === 'migrating' ? -holders : 0
    room.set(networkId, (room.get(networkId) ?? 0) + change)
  }
  return room
}

/** In the order of their addresses. */
export function describeEvacuation(shards: readonly SpaceShard[]): Evacuation {
  const sorted = shards.toSorted((a, b) => a.block.first - b.block.first)
  return {
    evacuate: sorted.map(({ id, networkId, holders }) => ({ shardId: id, networkId, holders })),
    moves: shards.reduce((sum, { holders }) => sum + holders, 0),
    addressesFreed: shards.reduce((sum, { block }) => sum + sizeOf(block), 0),
  }
}
