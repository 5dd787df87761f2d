/** Pools, shards, networks, addresses. */

import * as v from 'valibot'
import { anyAddressSchema, anyCidrSchema, idSchema, nameSchema, objectEntries } from './common.ts'
import { migrationModes } from './migration.ts'

export const shardSizeDefaultAddresses = 1024
/** /28 to /20. */
export const shardSizes = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096] as const

export const poolCreateSchema = v.strictObject({
  name: nameSchema,
  projectId: idSchema('prj'),
  /** IPv4: /8 to /28; IPv6: /32 to /64, to cut /64s from. */
  cidr: anyCidrSchema,
})
export const poolUpdateSchema = v.partial(v.strictObject({ name: nameSchema }))
export const poolSchema = v.object({
  ...objectEntries,
  cidr: v.string(),
  sizeAddresses: v.number(),
  /** How many of them shards have taken. */
  cutAddresses: v.number(),
})
export type PoolCreate = v.InferOutput<typeof poolCreateSchema>
export type PoolUpdate = v.InferOutput<typeof poolUpdateSchema>
export type Pool = v.InferOutput<typeof poolSchema>

export const shardCreateSchema = v.strictObject({
  name: v.optional(nameSchema),
  /** The pool to cut it from: its project is the shard's. */
  poolId: idSchema('pol'),
  /**
   * A power of two, 16 to 4096; 1024 when neither this nor `cidr` is given. Of an IPv6 pool every shard is a /64: the
   * next one when `cidr` is not given, and this is refused.
   */
  sizeAddresses: v.optional(v.picklist(shardSizes, 'must be a power of two from 16 (/28) to 4096 (/20)')),
  cidr: v.optional(anyCidrSchema),
  /** Attach it at once. */
  networkId: v.optional(idSchema('net')),
})
export const shardUpdateSchema = v.partial(v.strictObject({ name: nameSchema, reserved: v.boolean() }))
export const shardStatuses = ['available', 'in-use', 'migrating', 'reserved'] as const
export const shardSchema = v.object({
  ...objectEntries,
  status: v.picklist(shardStatuses),
  poolId: v.string(),
  networkId: v.nullable(v.string()),
  cidr: v.string(),
  gateway: v.string(),
  sizeAddresses: v.number(),
  /** Machines and instances that hold an address of it; never gateways. */
  resourceCount: v.number(),
  /** The last allocation or release. */
  lastAccessedAt: v.nullable(v.string()),
  /** Addresses held over addresses that can be, 0 to 1; of a /64 as good as 0, whose `resourceCount` says more. */
  utilization: v.number(),
})
export type ShardCreate = v.InferOutput<typeof shardCreateSchema>
export type ShardUpdate = v.InferOutput<typeof shardUpdateSchema>
export type Shard = v.InferOutput<typeof shardSchema>

export const allocationOrders = ['pack', 'spread', 'sequential', 'random'] as const

/** How a network's address space is kept; what a network leaves out is as its project says, or else as described here. */
export const addressPolicySchema = v.strictObject({
  /** No more shards than this are allocated to it; left out: as many as the quota lets. */
  maximumShards: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1024))),
  /** Shards come from these pools alone; left out: from all of the project. */
  poolIds: v.optional(v.pipe(v.array(idSchema('pol')), v.minLength(1), v.maxLength(64))),
  /** From this utilization on (0.5 to 1) another shard is cut and allocated; left out: never by itself. */
  growAtUtilization: v.optional(v.pipe(v.number(), v.minValue(0.5), v.maxValue(1))),
  /** Of that shard; left out: as many as the network has, within a shard's sizes. */
  growSizeAddresses: v.optional(v.picklist(shardSizes)),
  /** A shard that has been empty for so long is given back and deleted, unless it is the last; left out: never. */
  giveBackAfterSeconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(60))),
  /**
   * Left out: the lowest address of the first shard that has one, in the order in which the shards were made, so that the
   * younger ones stay empty. `pack`: of the fullest shard that has one; `spread`: of the emptiest; `sequential`: the next
   * after the last one given, through all shards; `random`: any.
   */
  allocationOrder: v.optional(v.picklist(allocationOrders)),
  /** How long an address that was given back is not given again, unless it is chosen; left out: 0. */
  quarantineSeconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(86_400))),
  /** Addresses that are given only when they are chosen. */
  reservedRanges: v.optional(v.pipe(v.array(v.strictObject({ first: v.string(), last: v.string() })), v.maxLength(64))),
  /** Addresses that are kept for the machine of this name, and that it gets. */
  pinnedAddresses: v.optional(
    v.pipe(v.array(v.strictObject({ address: v.string(), machineName: v.string() })), v.maxLength(1024)),
  ),
  /** How holders of its shards move where a migration does not say; left out: `overlap`. */
  migrationMode: v.optional(v.picklist(migrationModes)),
})
export type AddressPolicy = v.InferOutput<typeof addressPolicySchema>

export const networkCreateSchema = v.strictObject({
  name: nameSchema,
  projectId: idSchema('prj'),
  mtu: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1280), v.maxValue(8950)), 1400),
  /** What it leaves out is as the project's says. */
  addressPolicy: v.optional(addressPolicySchema),
})
/** A policy is replaced whole: `{}` leaves all to the project's. */
export const networkUpdateSchema = v.partial(v.strictObject({ name: nameSchema, addressPolicy: addressPolicySchema }))
export const networkSchema = v.object({
  ...objectEntries,
  vni: v.number(),
  mtu: v.number(),
  domain: v.string(),
  shardIds: v.array(v.string()),
  /** Its own; `{}`: it has none. */
  addressPolicy: addressPolicySchema,
  /** Its own over its project's. */
  effectiveAddressPolicy: addressPolicySchema,
})
export type NetworkCreate = v.InferOutput<typeof networkCreateSchema>
export type NetworkUpdate = v.InferOutput<typeof networkUpdateSchema>
export type Network = v.InferOutput<typeof networkSchema>

/** What a policy would have done now, if it were the network's. */
export const policyPreviewSchema = v.object({
  networkId: v.string(),
  effectiveAddressPolicy: addressPolicySchema,
  operations: v.array(
    v.variant('kind', [
      v.object({
        kind: v.literal('grow'),
        poolId: v.string(),
        sizeAddresses: v.picklist(shardSizes),
        /** The share of the addresses that can't be given now, 0 to 1. */
        utilization: v.number(),
      }),
      v.object({ kind: v.literal('giveBack'), shardId: v.string(), cidr: v.string(), emptySince: v.string() }),
      /** It should grow, and no pool has room. */
      v.object({ kind: v.literal('reportNoRoom'), utilization: v.number() }),
    ]),
  ),
})
export type PolicyPreview = v.InferOutput<typeof policyPreviewSchema>

/** The same for all networks of a project, were it the project's. */
export const projectPolicyPreviewSchema = v.object({
  projectId: v.string(),
  networks: v.array(policyPreviewSchema),
})
export type ProjectPolicyPreview = v.InferOutput<typeof projectPolicyPreviewSchema>

/** `external`: what is on a network and not run by Sluice, for which somebody has asked for the address. */
export const addressOwnerKinds = ['machine', 'instance', 'external'] as const
export const addressesAtOnceMaximum = 128

export const addressAllocateSchema = v.pipe(
  v.strictObject({
    /** What they are for: something that is not a machine or an instance of Sluice's. */
    holder: nameSchema,
    /** How many, chosen as the network's policy says; 1 when neither this nor `addresses` is given. */
    count: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(addressesAtOnceMaximum))),
    /** Out of this shard of the network; left out: any of its IPv4 shards. IPv6 is given by shard or by address alone. */
    shardId: v.optional(idSchema('shd')),
    /** These very ones. */
    addresses: v.optional(
      v.pipe(
        v.array(anyAddressSchema),
        v.minLength(1),
        v.maxLength(addressesAtOnceMaximum),
        v.check((addresses) => new Set(addresses).size === addresses.length, 'must not name one twice'),
      ),
    ),
  }),
  v.forward(
    v.check(
      ({ count, addresses }) => count === undefined || addresses === undefined,
      'contradicts addresses, which says how many by itself: give one of both',
    ),
    ['count'],
  ),
)
export type AddressAllocate = v.InferOutput<typeof addressAllocateSchema>

/** One that is held; its name is the address itself. */
export const addressSchema = v.object({
  ...objectEntries,
  address: v.string(),
  shardId: v.string(),
  /** Null: the shard has left its network. */
  networkId: v.nullable(v.string()),
  ownerId: v.string(),
  ownerKind: v.picklist(addressOwnerKinds),
  /** Its holder by name: `machine web-1`, `load balancer shop, slot 2`, or the `holder` that it was asked for. */
  owner: v.string(),
  allocatedAt: v.string(),
})
export type Address = v.InferOutput<typeof addressSchema>

export const addressesAllocatedSchema = v.object({ items: v.array(addressSchema) })

/** Who held an address, oldest first, as far back as versions are kept. */
export const addressHistorySchema = v.object({
  address: v.string(),
  shardId: v.string(),
  holders: v.array(
    v.object({
      ownerId: v.string(),
      ownerKind: v.picklist(addressOwnerKinds),
      /** By name, or by its id when it is not there any more. */
      owner: v.string(),
      heldFrom: v.string(),
      /** Null: it holds it. */
      heldUntil: v.nullable(v.string()),
    }),
  ),
})
export type AddressHistory = v.InferOutput<typeof addressHistorySchema>
