/**
 * Which holders of a shard go to which addresses of the network's other shards, first fit, and what is missing. Pure: it
 * shows beforehand what a migration needs; by the time that a holder moves, its address may be another.
 */

import type { MigrationMode } from '../contract/migration.ts'
import type { StoredObject } from '../control-plane/store.ts'
import type { ShardOccupancyValue, ShardValue } from '../objects.ts'
import { type AddressRange, createKeptBitmap } from './address-policy.ts'
import { type Block, blockOf, formatAddress, isIpv6, sizeOf } from './cidr.ts'
import { countTaken, decodeBitmap, findFree, setTaken } from './taken-bitmap.ts'

export interface Holder {
  readonly ownerId: string
  readonly ownerKind: 'machine' | 'instance'
  readonly name: string
  readonly address: string
}

/** A shard that holders can go to. */
export interface TargetShard {
  readonly shardId: string
  readonly block: Block
  /** What can't be given: held, never given, in quarantine, or kept by the network's policy. */
  readonly bitmap: Uint8Array
}

export interface PlannedMove extends Holder {
  readonly to: { readonly address: string; readonly shardId: string }
}

export interface ShardMigrationPlan {
  /** Those for whom there is an address, in the order of the holders. */
  readonly moves: readonly PlannedMove[]
  /** Those that can be given in the targets before anyone has moved. */
  readonly freeAddresses: number
  /** Holders for whom there is none. */
  readonly missingAddresses: number
}

/** A project's shards as they are read. */
export interface TargetSpace {
  readonly shards: readonly StoredObject<ShardValue>[]
  readonly occupancyOf: (shardId: string) => ShardOccupancyValue | undefined
  /** What the network's policy gives only when it is chosen. */
  readonly keptRanges: readonly AddressRange[]
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** The network's other shards of IPv4, but for those that are reserved or are being emptied themselves. */
export function selectTargets(shardId: string, networkId: string, space: TargetSpace): readonly TargetShard[] {
  return space.shards.flatMap(({ id, value }) => {
    if (id === shardId || value.networkId !== networkId || value.reserved || value.migrationId !== undefined) return []
    const occupancy = space.occupancyOf(id)
    if (occupancy === undefined || isIpv6(value.cidr)) return []
    const block = blockOf(value.cidr)
    return [{ shardId: id, block, bitmap: readBitmap(occupancy, block, space) }]
  })
}

function readBitmap(occupancy: ShardOccupancyValue, block: Block, { keptRanges, now }: TargetSpace): Uint8Array {
  const bitmap = decodeBitmap(occupancy.takenBitmap)
  for (const { offset, until } of occupancy.quarantined ?? []) {
    if (Date.parse(until) <= now) setTaken(bitmap, offset, false)
  }
  const kept = createKeptBitmap(keptRanges, block, bitmap.length)
  return kept === null ? bitmap : bitmap.map((byte, i) => byte | (kept[i] ?? 0))
}

/** @example planShardMigration([{ ownerId, ownerKind: 'machine', name: 'web-1', address: '10.0.0.2' }], targets) */
export function planShardMigration(holders: readonly Holder[], targets: readonly TargetShard[]): ShardMigrationPlan {
  const opened = targets.map((target) => ({ ...target, bitmap: target.bitmap.slice() }))
  const freeAddresses = targets.reduce((sum, { block, bitmap }) => sum + sizeOf(block) - countTaken(bitmap), 0)
  const takeFirst = (): PlannedMove['to'] | null => {
    for (const { shardId, block, bitmap } of opened) {
      const offset = findFree(bitmap)
      if (offset === null) continue
      setTaken(bitmap, offset, true)
      return { address: formatAddress(block.first + offset), shardId }
    }
    return null
  }
  const moves = holders.flatMap((holder) => {
    const to = takeFirst()
    return to === null ? [] : [{ ...holder, to }]
  })
  return { moves, freeAddresses, missingAddresses: holders.length - moves.length }
}

/**
 * What a move takes besides its drain, at most: each of its steps waits for the report of a host and for a turn of the
 * reconcile loop.
 */
export const secondsBesidesDrain = 10

/** At most, when every drain takes its whole time. */
export function estimateSeconds(
  moves: number,
  { parallelism, drainSeconds }: { readonly parallelism: number; readonly drainSeconds: number },
): number {
  return Math.ceil(moves / parallelism) * (drainSeconds + secondsBesidesDrain)
}

/**
 * In `overlap` mode both addresses live until the connections of the old one have ended, or the drain has: an instance
 * always moves so.
 */
export const breaksConnections = (mode: MigrationMode, ownerKind: 'machine' | 'instance'): boolean =>
  mode === 'restart' && ownerKind === 'machine'
