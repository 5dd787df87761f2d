/**
 * The JSON interface that existing users speak: `{"action", "type", "info"}` in, `{"status", "action", "type", "info"}`
 * out. Its words are its own: an 'instance' is a whole load balancer, a 'subnet' the CIDR of a network's shard, and
 * projects are named by name.
 */

import * as v from 'valibot'
import { cidrSchema, nameSchema, portSchema } from './common.ts'
import { loggingSchema } from './logs.ts'

export const actionNames = ['create', 'info', 'update', 'delete'] as const
export const actionTypes = ['project', 'instance'] as const

/** The info is parsed after action and type, by what these ask for. */
export const actionRequestSchema = v.strictObject({
  action: v.picklist(actionNames),
  type: v.picklist(actionTypes),
  info: v.record(v.string(), v.unknown()),
})

export const actionAnswerSchema = v.object({
  status: v.picklist(['successful', 'fail']),
  action: v.nullable(v.string()),
  type: v.nullable(v.string()),
  /** What was asked for with what became of it; of a fail `error`, and `field` where one is at fault. */
  info: v.record(v.string(), v.unknown()),
})
export type ActionAnswer = v.InferOutput<typeof actionAnswerSchema>

const secondsSchema = v.pipe(
  v.number(),
  v.minValue(1, 'must be 1 to 300 seconds'),
  v.maxValue(300, 'must be 1 to 300 seconds'),
)
const thresholdSchema = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(1, 'must be 1 to 10'),
  v.maxValue(10, 'must be 1 to 10'),
)

export const entitySchema = v.pipe(
  v.string(),
  v.check(
    (text) => parseEntity(text) !== null,
    'must be an IPv4 address, address:port, or a URL as http://198.18.16.11:8080',
  ),
)

const criteriaSchema = v.pipe(
  v.strictObject({
    interval: v.optional(secondsSchema, 5),
    timeout: v.optional(secondsSchema, 5),
    'health-threshold': v.optional(thresholdSchema, 2),
    'unhealth-threshold': v.optional(thresholdSchema, 2),
  }),
  v.forward(
    v.check(({ timeout, interval }) => timeout <= interval, 'must not be longer than interval'),
    ['timeout'],
  ),
)

const upperCase = <const Words extends readonly string[]>(words: Words) =>
  v.pipe(v.string(), v.toUpperCase(), v.picklist(words))

export const actionHealthCheckSchema = v.strictObject({
  protocol: v.optional(upperCase(['HTTP', 'TCP'])),
  port: v.optional(portSchema),
  'request-path': v.optional(
    v.pipe(v.string(), v.regex(/^\/[\x21-\x7e]{0,1023}$/, 'must begin with / and hold no spaces')),
  ),
  criteria: v.optional(criteriaSchema, {}),
})
export type ActionHealthCheck = v.InferOutput<typeof actionHealthCheckSchema>

/** As REST's `logging`. */
export const actionLoggingSchema = v.strictObject({
  access: loggingSchema.entries.access,
  sample: loggingSchema.entries.sample,
  'client-address': loggingSchema.entries.clientAddress,
})
export type ActionLogging = v.InferOutput<typeof actionLoggingSchema>

const entitiesSchema = v.pipe(
  v.array(entitySchema),
  v.minLength(1, 'must name at least one entity'),
  v.maxLength(256, 'must name at most 256 entities'),
)
const trafficTypeSchema = v.pipe(v.string(), v.toLowerCase(), v.picklist(['tcp', 'http']))

/** `user` tells projects of one name apart; a project's token needs neither. */
const instanceName = { name: nameSchema, project: nameSchema, user: v.optional(nameSchema) }
const projectName = { name: nameSchema, user: v.optional(nameSchema) }

export const projectInfoSchemas = {
  create: v.strictObject({
    name: nameSchema,
    user: nameSchema,
    instances: v.optional(
      v.pipe(v.array(v.unknown()), v.maxLength(0, 'must be empty: instances are created one by one')),
    ),
  }),
  info: v.strictObject({ ...projectName, instances: v.optional(v.array(v.unknown())) }),
  update: v.strictObject({
    ...projectName,
    'new-name': v.optional(nameSchema),
    instances: v.optional(v.array(v.unknown())),
  }),
  delete: v.strictObject({ ...projectName, instances: v.optional(v.array(v.unknown())) }),
} as const

export const instanceCreateInfoSchema = v.strictObject({
  ...instanceName,
  traffic_type: trafficTypeSchema,
  subnet: cidrSchema,
  backend: v.strictObject({
    entities: entitiesSchema,
    'health-check': v.optional(actionHealthCheckSchema, {}),
    'auto-scaling': v.optional(v.boolean(), false),
    logging: v.optional(actionLoggingSchema, {}),
  }),
})
export const instanceUpdateInfoSchema = v.strictObject({
  ...instanceName,
  'new-name': v.optional(nameSchema),
  /** These two can't change; a request that repeats them is fine. */
  traffic_type: v.optional(trafficTypeSchema),
  subnet: v.optional(cidrSchema),
  backend: v.optional(
    v.strictObject({
      entities: v.optional(entitiesSchema),
      'health-check': v.optional(actionHealthCheckSchema),
      'auto-scaling': v.optional(v.boolean()),
      logging: v.optional(actionLoggingSchema),
    }),
  ),
})
/** Whoever has an info at hand may send it back whole: only the names in it are looked at. */
export const instanceNameInfoSchema = v.object(instanceName)

export type InstanceCreateInfo = v.InferOutput<typeof instanceCreateInfoSchema>
export type InstanceUpdateInfo = v.InferOutput<typeof instanceUpdateInfoSchema>

export interface Entity {
  readonly address: string
  readonly port: number | null
  /** The URL as it was given, when it was one. */
  readonly url: string | null
}

/** `198.18.16.11`, `198.18.16.11:8080`, `http://198.18.16.11:8080`; null: none of these. */
export function parseEntity(text: string): Entity | null {
  const [, plain, portText] = /^(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?$/.exec(text) ?? []
  if (plain !== undefined) {
    const port = portText === undefined ? null : Number(portText)
    if (!v.is(v.pipe(v.string(), v.ipv4()), plain) || (port !== null && !v.is(portSchema, port))) return null
    return { address: plain, port, url: null }
  }
  if (!/^[a-z]+:\/\//i.test(text) || !URL.canParse(text)) return null
  const url = new URL(text)
  const hasPort = /:\d+\/?$/.test(text)
  const port = url.port === '' ? (hasPort ? (url.protocol === 'https:' ? 443 : 80) : null) : Number(url.port)
  return { address: url.hostname, port, url: text }
}
