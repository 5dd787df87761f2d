/** The space of a pool as a picture, and the plans that make room in pools and networks. */

import * as v from 'valibot'
import { shardSizes, shardStatuses } from './address-space.ts'
import { cidrSchema } from './common.ts'
import { migrationCreateSchema } from './migration.ts'

/** A shard is drawn as so many cells at most, each of equally many addresses. */
export const cellsMaximum = 64

const freeBlockSchema = v.object({ cidr: v.string(), sizeAddresses: v.number() })

const shardSpaceSchema = v.object({
  id: v.string(),
  name: v.string(),
  cidr: v.string(),
  sizeAddresses: v.number(),
  status: v.picklist(shardStatuses),
  networkId: v.nullable(v.string()),
  networkName: v.nullable(v.string()),
  /** By machines and instances. */
  heldAddresses: v.number(),
  /** Given back and not given again yet. */
  quarantinedAddresses: v.number(),
  /** That can be given to anyone: neither held, in quarantine, kept by the network's policy, nor never given at all. */
  freeAddresses: v.number(),
  /** Addresses held over addresses that can be, 0 to 1. */
  utilization: v.number(),
  /** How many addresses are held in each stretch of `cellAddresses`, from the first address on. */
  cellAddresses: v.number(),
  heldByCell: v.array(v.number()),
})

export const poolSpaceSchema = v.object({
  poolId: v.string(),
  name: v.string(),
  cidr: v.string(),
  sizeAddresses: v.number(),
  /** How many of them shards have taken. */
  cutAddresses: v.number(),
  /** How many are left to cut shards from. */
  freeAddresses: v.number(),
  /** In all of its shards. */
  heldAddresses: v.number(),
  /** Addresses held over addresses that its shards can give, 0 to 1. */
  utilization: v.number(),
  /** The largest shard that could be cut now, whatever sizes are allowed for shards. */
  largestFreeAddresses: v.number(),
  /** 1 − the largest free block / all that is free: 0 when all of it is one block, or nothing is free. */
  fragmentation: v.number(),
  /** The largest aligned blocks that are free, in the order of their addresses, as the shards are. */
  freeBlocks: v.array(freeBlockSchema),
  shards: v.array(shardSpaceSchema),
})

const { mode, parallelism, drainSeconds } = migrationCreateSchema.entries
const runEntries = {
  /** Shows the plan and changes nothing, unless it is false. */
  dryRun: v.optional(v.boolean(), true),
  mode,
  parallelism,
  drainSeconds,
}

export const defragmentSchema = v.strictObject({
  /** Of the block that is wanted: a power of two, 16 to 4096, as a shard has. */
  sizeAddresses: v.picklist(shardSizes, 'must be a power of two from 16 (/28) to 4096 (/20)'),
  /** This very block; left out: the one that takes the fewest moves. */
  cidr: v.optional(cidrSchema),
  ...runEntries,
})

export const compactSchema = v.strictObject(runEntries)

/**
 * `free`: there is nothing to do; `planned`: so it would be done; `impossible`: see what is in the way; `migrating`:
 * holders are on their way, and the same request gives the emptied shards back afterwards; `freed`: it is done;
 * `blocked`: some shards were refused, see why.
 */
export const roomStatuses = ['free', 'planned', 'impossible', 'migrating', 'freed', 'blocked'] as const

const evacuatedSchema = v.object({
  shardId: v.string(),
  name: v.string(),
  cidr: v.string(),
  /** Null: on no network, so there is nobody to move. */
  networkId: v.nullable(v.string()),
  networkName: v.nullable(v.string()),
  /** Machines and instances that move to other shards of their network. */
  holders: v.number(),
  /** How many of these are instances of load balancers. */
  instances: v.number(),
  /** What moves them, once it runs. */
  migrationId: v.nullable(v.string()),
  /** Why it was refused. */
  reason: v.nullable(v.string()),
})

const planEntries = {
  status: v.picklist(roomStatuses),
  /** Holders that move. */
  moves: v.number(),
  /** In all of the shards that are emptied. */
  addressesFreed: v.number(),
  evacuate: v.array(evacuatedSchema),
}

export const obstacleKinds = ['reserved', 'migrating', 'heldByOthers', 'largerShard', 'noRoom'] as const

/** What stands in the way of freeing one block. */
const blockedBlockSchema = v.object({
  block: v.string(),
  obstacles: v.array(
    v.object({
      kind: v.picklist(obstacleKinds),
      shardId: v.nullable(v.string()),
      networkId: v.nullable(v.string()),
      message: v.string(),
    }),
  ),
})

export const defragmentationSchema = v.object({
  poolId: v.string(),
  sizeAddresses: v.number(),
  /** Null: no such block can be freed. */
  block: v.nullable(v.string()),
  ...planEntries,
  /** Of the blocks of that size the first hundred, when none of all can be freed. */
  inTheWay: v.array(blockedBlockSchema),
})

export const compactionSchema = v.object({ networkId: v.string(), ...planEntries })

export type PoolSpace = v.InferOutput<typeof poolSpaceSchema>
export type ShardSpace = PoolSpace['shards'][number]
export type Defragment = v.InferOutput<typeof defragmentSchema>
export type Compact = v.InferOutput<typeof compactSchema>
export type Defragmentation = v.InferOutput<typeof defragmentationSchema>
export type Compaction = v.InferOutput<typeof compactionSchema>
export type RoomStatus = (typeof roomStatuses)[number]
export type Evacuated = v.InferOutput<typeof evacuatedSchema>
