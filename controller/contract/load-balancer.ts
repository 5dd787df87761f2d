/** Load balancers, their listeners, members and instances. */

import * as v from 'valibot'
import { idSchema, ipv4Schema, nameSchema, objectEntries, portSchema } from './common.ts'
import { autoScalingInputSchema, autoScalingViewSchema, instanceCountSchema } from './scaling.ts'

const secondsSchema = (least: number, most: number) =>
  v.pipe(
    v.number(),
    v.minValue(least, `must be ${least} to ${most} seconds`),
    v.maxValue(most, `must be ${least} to ${most} seconds`),
  )
const thresholdSchema = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(1, 'must be 1 to 10'),
  v.maxValue(10, 'must be 1 to 10'),
)

export const listenerCreateSchema = v.strictObject({
  port: portSchema,
  /** Where members that name no port of their own listen; the listener's port when left out. */
  memberPort: v.optional(portSchema),
})

/** A member is an address, a URL (scheme, address and port), or a machine: exactly one of the three. */
export const memberCreateSchema = v.pipe(
  v.strictObject({
    address: v.optional(ipv4Schema),
    url: v.optional(v.pipe(v.string(), v.url('must be a URL as http://198.18.16.11:8080'))),
    machineId: v.optional(idSchema('mch')),
    port: v.optional(portSchema),
    weight: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(256)), 1),
  }),
  v.check(
    (member) => [member.address, member.url, member.machineId].filter((given) => given !== undefined).length === 1,
    'must give exactly one of address, url and machineId',
  ),
)
export const memberUpdateSchema = v.partial(
  v.strictObject({
    address: ipv4Schema,
    port: portSchema,
    weight: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(256)),
  }),
)

const thresholds = {
  port: v.optional(portSchema),
  intervalSeconds: v.optional(secondsSchema(1, 300), 5),
  timeoutSeconds: v.optional(secondsSchema(1, 300), 5),
  healthyThreshold: v.optional(thresholdSchema, 2),
  unhealthyThreshold: v.optional(thresholdSchema, 2),
}
export const healthCheckCreateSchema = v.pipe(
  v.variant('protocol', [
    v.strictObject({
      protocol: v.literal('http'),
      method: v.optional(v.picklist(['GET', 'HEAD', 'OPTIONS']), 'GET'),
      path: v.optional(
        v.pipe(v.string(), v.regex(/^\/[\x21-\x7e]{0,1023}$/, 'must begin with / and hold no spaces')),
        '/',
      ),
      hostHeader: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9.:-]{1,255}$/, 'must be a host name')), 'sluice'),
      /** haproxy's form: `200`, `200-299`, `200,204`. */
      expectedStatus: v.optional(
        v.pipe(v.string(), v.regex(/^\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*$/, 'must be as 200-399')),
        '200-399',
      ),
      ...thresholds,
    }),
    v.strictObject({ protocol: v.literal('tcp'), ...thresholds }),
  ]),
  v.forward(
    v.check((check) => check.timeoutSeconds <= check.intervalSeconds, 'must not be longer than intervalSeconds'),
    ['timeoutSeconds'],
  ),
)

export const timeoutsSchema = v.strictObject({
  connectSeconds: v.optional(secondsSchema(0.1, 60), 2),
  clientSeconds: v.optional(secondsSchema(1, 3600), 30),
  serverSeconds: v.optional(secondsSchema(1, 3600), 30),
  drainSeconds: v.optional(secondsSchema(0, 3600), 30),
})

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
  algorithm: v.optional(v.picklist(['round-robin', 'least-connections']), 'round-robin'),
  listeners: listenersSchema,
  /** Left out: none yet, and requests are answered 503 until members are added one by one. */
  members: v.optional(membersSchema),
  /** Protocol from the traffic type, path `/`, 5 s, 5 s, 2, 2 when left out. */
  healthCheck: v.optional(healthCheckCreateSchema),
  timeouts: v.optional(timeoutsSchema, {}),
  /** X-Forwarded-For; http only. */
  forwardedFor: v.optional(v.boolean(), true),
  /** 2 when left out. With auto-scaling only what it begins with: its minimum, where that is more. */
  instanceCount: v.optional(instanceCountSchema),
  autoScaling: v.optional(autoScalingInputSchema, false),
})
export const loadBalancerUpdateSchema = v.partial(
  v.strictObject({
    name: nameSchema,
    algorithm: v.picklist(['round-robin', 'least-connections']),
    listeners: listenersSchema,
    members: membersSchema,
    healthCheck: healthCheckCreateSchema,
    timeouts: timeoutsSchema,
    forwardedFor: v.boolean(),
    instanceCount: instanceCountSchema,
    autoScaling: autoScalingInputSchema,
  }),
)

export const memberSchema = v.object({
  id: v.string(),
  /** Where traffic goes: resolved from the machine when it is one. */
  address: v.nullable(v.string()),
  port: v.nullable(v.number()),
  url: v.nullable(v.string()),
  machineId: v.nullable(v.string()),
  weight: v.number(),
  status: v.picklist(['healthy', 'unhealthy', 'draining', 'unknown']),
})
export const instanceStatuses = ['placing', 'provisioning', 'configuring', 'active', 'suspect', 'deleting'] as const
export const instanceSchema = v.object({
  id: v.string(),
  slot: v.number(),
  host: v.nullable(v.string()),
  driver: v.string(),
  status: v.picklist(instanceStatuses),
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
  algorithm: v.picklist(['round-robin', 'least-connections']),
  listeners: v.array(listenerCreateSchema),
  members: v.array(memberSchema),
  healthCheck: healthCheckCreateSchema,
  timeouts: timeoutsSchema,
  forwardedFor: v.boolean(),
  instanceCount: v.number(),
  autoScaling: autoScalingViewSchema,
  /** Null until a VIP is taken. */
  url: v.nullable(v.string()),
  vips: v.array(v.string()),
  instances: v.array(instanceSchema),
})
export type LoadBalancerCreate = v.InferOutput<typeof loadBalancerCreateSchema>
export type LoadBalancerUpdate = v.InferOutput<typeof loadBalancerUpdateSchema>
export type LoadBalancer = v.InferOutput<typeof loadBalancerSchema>
export type MemberCreate = v.InferOutput<typeof memberCreateSchema>
export type MemberUpdate = v.InferOutput<typeof memberUpdateSchema>
export type Member = v.InferOutput<typeof memberSchema>
export type HealthCheck = v.InferOutput<typeof healthCheckCreateSchema>
export type ListenerCreate = v.InferOutput<typeof listenerCreateSchema>
