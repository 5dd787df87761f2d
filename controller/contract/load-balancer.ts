/** Load balancers, their listeners, members and instances. */

import * as v from 'valibot'
import { driverSchema } from '../../agent/contract/host-instructions.ts'
import { conditionSchema, idSchema, ipv4Schema, nameSchema, objectEntries, portSchema } from './common.ts'
import { autoScalingInputSchema, autoScalingViewSchema, instanceCountSchema } from './scaling.ts'
import { hostNameSchema, trafficCreateEntries, trafficUpdateEntries, weightSchema } from './traffic.ts'

export type { HealthCheck } from './traffic.ts'

export const listenerCreateSchema = v.strictObject({
  port: portSchema,
  /** Where members that name no port of their own listen; the listener's port when left out. */
  memberPort: v.optional(portSchema),
})

/**
 * A member is an address, a name that is looked up again and again, a URL (scheme, address or name, port), or a machine:
 * exactly one of the four.
 */
export const memberCreateSchema = v.pipe(
  v.strictObject({
    address: v.optional(ipv4Schema),
    host: v.optional(hostNameSchema),
    url: v.optional(v.pipe(v.string(), v.url('must be a URL as http://198.18.16.11:8080'))),
    machineId: v.optional(idSchema('mch')),
    port: v.optional(portSchema),
    /** 0: nobody new; who is bound to it stays. */
    weight: v.optional(weightSchema, 1),
    /** Nobody at all: what it has begun may take `timeouts.drainSeconds`. */
    draining: v.optional(v.boolean()),
  }),
  v.check(
    (member) =>
      [member.address, member.host, member.url, member.machineId].filter((given) => given !== undefined).length === 1,
    'must give exactly one of address, host, url and machineId',
  ),
)
export const memberUpdateSchema = v.partial(
  v.strictObject({
    address: ipv4Schema,
    port: portSchema,
    weight: weightSchema,
    draining: v.boolean(),
  }),
)

const listenersSchema = v.pipe(
  v.array(listenerCreateSchema),
  v.minLength(1, 'must have at least one listener'),
  v.maxLength(32),
)
const membersSchema = v.pipe(
  v.array(memberCreateSchema),
  v.minLength(1, 'must have at least one member'),
  v.maxLength(256),
)

export const loadBalancerCreateSchema = v.strictObject({
  name: nameSchema,
  projectId: idSchema('prj'),
  networkId: idSchema('net'),
  trafficType: v.picklist(['http', 'tcp']),
  listeners: listenersSchema,
  /** Left out: none yet, and requests are answered 503 until members are added one by one. */
  members: v.optional(membersSchema),
  ...trafficCreateEntries,
  /** What its instances are: namespaces of their hosts, or virtual machines. It stays as it is made. */
  driver: v.optional(driverSchema, 'netns'),
  /** 2 when left out. With auto-scaling only what it begins with: its minimum, where that is more. */
  instanceCount: v.optional(instanceCountSchema),
  autoScaling: v.optional(autoScalingInputSchema, false),
})
export const loadBalancerUpdateSchema = v.partial(
  v.strictObject({
    name: nameSchema,
    listeners: listenersSchema,
    members: membersSchema,
    ...trafficUpdateEntries,
    instanceCount: instanceCountSchema,
    autoScaling: autoScalingInputSchema,
  }),
)

/** `unresolved`: its name has no address. `drained`: it was told to drain, and nothing of it is left anywhere. */
export const memberStatuses = ['healthy', 'unhealthy', 'unresolved', 'draining', 'drained', 'unknown'] as const
export const memberSchema = v.object({
  id: v.string(),
  /** Where traffic goes: resolved from the machine when it is one; null where it is followed by its name. */
  address: v.nullable(v.string()),
  port: v.nullable(v.number()),
  /** The name that it is followed by. */
  host: v.nullable(v.string()),
  url: v.nullable(v.string()),
  machineId: v.nullable(v.string()),
  weight: v.number(),
  draining: v.boolean(),
  status: v.picklist(memberStatuses),
})
/** In the order of a life; docs/load-balancer-life.md tells what each means. */
export const instanceStatuses = [
  'placing',
  'provisioning',
  'configuring',
  'registering',
  'active',
  'suspect',
  'replaced',
  'draining',
  'deleting',
] as const
export const instanceSchema = v.object({
  id: v.string(),
  slot: v.number(),
  host: v.nullable(v.string()),
  driver: v.string(),
  status: v.picklist(instanceStatuses),
  /** Why it is so, and since when. */
  conditions: v.array(conditionSchema),
  uplinkAddress: v.nullable(v.string()),
  networkAddress: v.nullable(v.string()),
  heldVips: v.array(v.string()),
})
export const loadBalancerStatuses = ['provisioning', 'active', 'degraded', 'failed', 'deleting'] as const
export const loadBalancerSchema = v.object({
  ...objectEntries,
  status: v.picklist(loadBalancerStatuses),
  networkId: v.string(),
  trafficType: v.picklist(['http', 'tcp']),
  listeners: v.array(listenerCreateSchema),
  members: v.array(memberSchema),
  ...trafficUpdateEntries,
  driver: driverSchema,
  instanceCount: v.number(),
  autoScaling: autoScalingViewSchema,
  /** By its name where names are kept, else by its first VIP; null until there is one of these. */
  url: v.nullable(v.string()),
  /** Null where no names are kept. Its condition `named` says how it stands with it. */
  dnsName: v.nullable(v.string()),
  vips: v.array(v.string()),
  instances: v.array(instanceSchema),
})
export type LoadBalancerCreate = v.InferOutput<typeof loadBalancerCreateSchema>
export type LoadBalancerUpdate = v.InferOutput<typeof loadBalancerUpdateSchema>
export type LoadBalancer = v.InferOutput<typeof loadBalancerSchema>
export type MemberCreate = v.InferOutput<typeof memberCreateSchema>
export type MemberUpdate = v.InferOutput<typeof memberUpdateSchema>
export type Member = v.InferOutput<typeof memberSchema>
export type ListenerCreate = v.InferOutput<typeof listenerCreateSchema>
