/**
 * How an instance treats traffic, as its host is told: checks, timeouts, who stays with whom, what is let in. All of it has
 * a default, so that instructions from before there was such a thing are read as well.
 */

import * as v from 'valibot'

const portSchema = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535))
const secondsSchema = v.pipe(v.number(), v.minValue(0))
const countSchema = v.pipe(v.number(), v.integer(), v.minValue(0))
const ipv4Schema = v.pipe(v.string(), v.ipv4())
const cidrSchema = v.pipe(v.string(), v.regex(/^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/))
/** Written into a config, so it must be nothing else. */
export const memberHostSchema = v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/))

export const algorithmSchema = v.picklist(['round-robin', 'least-connections', 'source'])

const thresholds = {
  port: v.optional(portSchema),
  intervalSeconds: secondsSchema,
  timeoutSeconds: secondsSchema,
  healthyThreshold: v.number(),
  unhealthyThreshold: v.number(),
}
const httpCheckEntries = {
  method: v.picklist(['GET', 'HEAD', 'OPTIONS']),
  path: v.string(),
  hostHeader: v.string(),
  expectedStatus: v.string(),
  /** Text that the answer must hold. */
  expectedBody: v.optional(v.string()),
  ...thresholds,
}
export const healthCheckSchema = v.variant('protocol', [
  v.object({ protocol: v.literal('http'), ...httpCheckEntries }),
  v.object({ protocol: v.literal('https'), ...httpCheckEntries, serverName: v.optional(memberHostSchema) }),
  v.object({ protocol: v.literal('tcp'), ...thresholds }),
])

export const timeoutsSchema = v.object({
  connectSeconds: secondsSchema,
  clientSeconds: secondsSchema,
  serverSeconds: secondsSchema,
  drainSeconds: secondsSchema,
})

export const trafficSchema = v.object({
  requestSeconds: v.optional(secondsSchema, 10),
  keepAliveSeconds: v.optional(secondsSchema, 30),
  queueSeconds: v.optional(secondsSchema, 5),
  tunnelSeconds: v.optional(secondsSchema, 3600),
  retries: v.optional(countSchema, 3),
  slowStartSeconds: v.optional(secondsSchema, 0),
  stickySessions: v.optional(
    v.variant('by', [
      v.object({ by: v.literal('cookie'), cookieName: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_.-]{1,64}$/)) }),
      v.object({
        by: v.literal('source'),
        idleSeconds: secondsSchema,
        /** The other instances of the balancer, which are told who is bound to whom, by the address of their leg. */
        mates: v.array(v.object({ id: v.pipe(v.string(), v.regex(/^[a-z0-9_]{1,64}$/)), address: ipv4Schema })),
      }),
    ]),
  ),
  sendProxy: v.optional(v.picklist(['none', 'v1', 'v2']), 'none'),
  acceptProxyFrom: v.optional(v.array(cidrSchema), []),
  limits: v.optional(
    v.object({
      connections: v.optional(countSchema),
      memberConnections: v.optional(countSchema),
      memberQueue: v.optional(countSchema),
      sourceRate: v.optional(countSchema),
      requestBodyBytes: v.optional(countSchema),
    }),
    {},
  ),
  /** Who is asked for the addresses of members that are followed by their names. */
  nameServers: v.optional(v.array(ipv4Schema), []),
})
export type HealthCheckInstructions = v.InferOutput<typeof healthCheckSchema>
export type TrafficInstructions = v.InferOutput<typeof trafficSchema>
