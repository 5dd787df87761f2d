/**
 * How a load balancer treats traffic, beyond whom it goes to: how members are chosen and checked, who stays with whom, how
 * long things may take and how much is let in. Everything has a default, so that a balancer may say nothing of it.
 */

import * as v from 'valibot'
import { cidrSchema, portSchema } from './common.ts'
import { loggingSchema } from './logs.ts'

export const secondsSchema = (least: number, most: number) =>
  v.pipe(
    v.number(),
    v.minValue(least, `must be ${least} to ${most} seconds`),
    v.maxValue(most, `must be ${least} to ${most} seconds`),
  )
const countSchema = (least: number, most: number) =>
  v.pipe(
    v.number(),
    v.integer('must be a whole number'),
    v.minValue(least, `must be ${least} to ${most}`),
    v.maxValue(most, `must be ${least} to ${most}`),
  )

/** A name of two labels or more, which DNS is asked for. The last begins with a letter: it is no address. */
export const hostNameSchema = v.pipe(
  v.string(),
  v.toLowerCase(),
  v.maxLength(253, 'must be at most 253 characters'),
  v.regex(
    /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/,
    'must be a whole DNS name, as web-1.shop.internal',
  ),
)

/** `source` sends each client's address to the same member, by a hash that a change of members moves few of. */
export const algorithms = ['round-robin', 'least-connections', 'source'] as const

export const weightSchema = countSchema(0, 256)

const thresholds = {
  port: v.optional(portSchema),
  intervalSeconds: v.optional(secondsSchema(1, 300), 5),
  timeoutSeconds: v.optional(secondsSchema(1, 300), 5),
  healthyThreshold: v.optional(countSchema(1, 10), 2),
  unhealthyThreshold: v.optional(countSchema(1, 10), 2),
}
const httpCheckEntries = {
  method: v.optional(v.picklist(['GET', 'HEAD', 'OPTIONS']), 'GET'),
  path: v.optional(v.pipe(v.string(), v.regex(/^\/[\x21-\x7e]{0,1023}$/, 'must begin with / and hold no spaces')), '/'),
  hostHeader: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9.:-]{1,255}$/, 'must be a host name')), 'sluice'),
  /** haproxy's form: `200`, `200-299`, `200,204`. */
  expectedStatus: v.optional(
    v.pipe(v.string(), v.regex(/^\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*$/, 'must be as 200-399')),
    '200-399',
  ),
  /** Text that the first 15 kB of the answer must hold. */
  expectedBody: v.optional(
    v.pipe(v.string(), v.regex(/^[\x20-\x7e]{1,256}$/, 'must be 1 to 256 printable ASCII characters')),
  ),
  ...thresholds,
}
export const healthCheckCreateSchema = v.pipe(
  v.variant('protocol', [
    v.strictObject({ protocol: v.literal('http'), ...httpCheckEntries }),
    v.strictObject({
      protocol: v.literal('https'),
      ...httpCheckEntries,
      /** The name that is asked for in the TLS handshake; certificates are not verified. */
      serverName: v.optional(hostNameSchema),
    }),
    v.strictObject({ protocol: v.literal('tcp'), ...thresholds }),
  ]),
  v.forward(
    v.check((check) => check.timeoutSeconds <= check.intervalSeconds, 'must not be longer than intervalSeconds'),
    ['timeoutSeconds'],
  ),
  v.check(
    (check) => check.protocol === 'tcp' || check.method !== 'HEAD' || check.expectedBody === undefined,
    'asks for a body by HEAD, which has none',
  ),
)
export type HealthCheck = v.InferOutput<typeof healthCheckCreateSchema>

export const timeoutsSchema = v.strictObject({
  /** Until a member has taken a connection. */
  connectSeconds: v.optional(secondsSchema(0.1, 60), 2),
  /** A client's silence within a request, or on a TCP connection. */
  clientSeconds: v.optional(secondsSchema(1, 3600), 30),
  /** A member's. */
  serverSeconds: v.optional(secondsSchema(1, 3600), 30),
  /** Until a request's header is whole; http alone. */
  requestSeconds: v.optional(secondsSchema(1, 300), 10),
  /** A client's silence between two requests; http alone. */
  keepAliveSeconds: v.optional(secondsSchema(1, 3600), 30),
  /** The wait for a member that has as many connections as it may. */
  queueSeconds: v.optional(secondsSchema(0.1, 300), 5),
  /** Silence on a connection that has become a tunnel, as WebSockets do; http alone. */
  tunnelSeconds: v.optional(secondsSchema(1, 86_400), 3600),
  /** How long what a leaving member or instance has begun may take. */
  drainSeconds: v.optional(secondsSchema(0, 3600), 30),
})
export type Timeouts = v.InferOutput<typeof timeoutsSchema>

export const stickySessionsSchema = v.variant('by', [
  /** By a cookie that the balancer sets; it needs no memory, so that any instance knows it. http alone. */
  v.strictObject({
    by: v.literal('cookie'),
    cookieName: v.optional(
      v.pipe(v.string(), v.regex(/^[A-Za-z0-9_.-]{1,64}$/, 'must be letters, digits, _ . -, at most 64')),
      'SLUICE',
    ),
  }),
  /** By the client's address, which the instances tell each other. */
  v.strictObject({ by: v.literal('source'), idleSeconds: v.optional(secondsSchema(10, 86_400), 1800) }),
])
export type StickySessions = v.InferOutput<typeof stickySessionsSchema>

export const proxyProtocolSchema = v.strictObject({
  /** How members are told of the client: they must expect it on every connection, checks included. */
  send: v.optional(v.picklist(['none', 'v1', 'v2']), 'none'),
  /** From these clients, and nobody else, a PROXY header is taken, and must come. */
  acceptFrom: v.optional(v.pipe(v.array(cidrSchema), v.maxLength(32, 'must be at most 32 blocks')), []),
})
export type ProxyProtocol = v.InferOutput<typeof proxyProtocolSchema>

/** Each is of one instance; null: none but haproxy's own. */
export const limitsSchema = v.strictObject({
  /** Of one listener; what is beyond waits in the kernel's queue. */
  connections: v.optional(v.nullable(countSchema(1, 9000)), null),
  /** To one member; what is beyond waits for `queueSeconds`. */
  memberConnections: v.optional(v.nullable(countSchema(1, 9000)), null),
  /** How many may wait for one member; those beyond go to another. */
  memberQueue: v.optional(v.nullable(countSchema(1, 9000)), null),
  /** A client address's requests (http) or connections (tcp) in a second; http answers 429 beyond it. */
  sourceRate: v.optional(v.nullable(countSchema(1, 100_000)), null),
  /** http alone: a longer body is answered 413, one of unknown length 411. */
  requestBodyBytes: v.optional(v.nullable(countSchema(0, 2_147_483_647)), null),
})
export type Limits = v.InferOutput<typeof limitsSchema>

export const retriesSchema = countSchema(0, 10)
export const slowStartSchema = secondsSchema(0, 900)

/** What a new balancer may say of all this. */
export const trafficCreateEntries = {
  algorithm: v.optional(v.picklist(algorithms), 'round-robin'),
  /** Protocol from the traffic type, path `/`, 5 s, 5 s, 2, 2 when left out. */
  healthCheck: v.optional(healthCheckCreateSchema),
  timeouts: v.optional(timeoutsSchema, {}),
  /** How often a request is tried again: any that no member has taken yet, others if their method is idempotent. */
  retries: v.optional(retriesSchema, 3),
  /** A member that has come up gets its full share after this long. */
  slowStartSeconds: v.optional(slowStartSchema, 0),
  stickySessions: v.optional(v.nullable(stickySessionsSchema), null),
  proxyProtocol: v.optional(proxyProtocolSchema, {}),
  limits: v.optional(limitsSchema, {}),
  /** Of requests, or of tcp connections: whether they are written down. */
  logging: v.optional(loggingSchema, {}),
  /** X-Forwarded-For; http only. */
  forwardedFor: v.optional(v.boolean(), true),
}
export const trafficUpdateEntries = {
  algorithm: v.picklist(algorithms),
  healthCheck: healthCheckCreateSchema,
  timeouts: timeoutsSchema,
  retries: retriesSchema,
  slowStartSeconds: slowStartSchema,
  stickySessions: v.nullable(stickySessionsSchema),
  proxyProtocol: proxyProtocolSchema,
  limits: limitsSchema,
  logging: loggingSchema,
  forwardedFor: v.boolean(),
}
