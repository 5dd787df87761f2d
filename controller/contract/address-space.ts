/** Pools, shards, networks, addresses. */

import * as v from 'valibot'
import { cidrSchema, idSchema, nameSchema, objectEntries } from './common.ts'

export const shardSizeDefaultAddresses = 1024
/** /28 to /20. */
export const shardSizes = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096] as const

export const poolCreateSchema = v.strictObject({ name: nameSchema, projectId: idSchema('prj'), cidr: cidrSchema })
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
  /** A power of two, 16 to 4096; 1024 when neither this nor `cidr` is given. */
  sizeAddresses: v.optional(v.picklist(shardSizes, 'must be a power of two from 16 (/28) to 4096 (/20)')),
  cidr: v.optional(cidrSchema),
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
  /** Addresses held over addresses that can be, 0 to 1. */
  utilization: v.number(),
})
export type ShardCreate = v.InferOutput<typeof shardCreateSchema>
export type ShardUpdate = v.InferOutput<typeof shardUpdateSchema>
export type Shard = v.InferOutput<typeof shardSchema>

export const networkCreateSchema = v.strictObject({
  name: nameSchema,
  projectId: idSchema('prj'),
  mtu: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1280), v.maxValue(8950)), 1400),
})
export const networkUpdateSchema = v.partial(v.strictObject({ name: nameSchema }))
export const networkSchema = v.object({
  ...objectEntries,
  vni: v.number(),
  mtu: v.number(),
  domain: v.string(),
  shardIds: v.array(v.string()),
})
export type NetworkCreate = v.InferOutput<typeof networkCreateSchema>
export type NetworkUpdate = v.InferOutput<typeof networkUpdateSchema>
export type Network = v.InferOutput<typeof networkSchema>
