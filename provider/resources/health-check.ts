/** The health check of a load balancer as an attribute, with what it is where nobody says: decided in the plan. Pure. */

import * as v from 'valibot'
import { type HealthCheck, healthCheckCreateSchema, hostNameSchema } from '../../controller/contract/traffic.ts'
import {
  between,
  type Diagnostic,
  errorDiagnostic,
  integer,
  isUnknown,
  matches,
  number,
  object,
  portNumber,
  string,
  unknown,
} from '../plugin/index.ts'
import { admittedBy } from './attributes.ts'
import { withoutNull } from './define.ts'

const thresholds = {
  intervalSeconds: 5,
  timeoutSeconds: 5,
  healthyThreshold: 2,
  unhealthyThreshold: 2,
} as const

export const healthCheckAttribute = object(
  {
    protocol: string({
      required: true,
      oneOf: ['http', 'https', 'tcp'],
      description: '`http` and `https` ask for a page, `tcp` connects.',
    }),
    method: string({
      optional: true,
      computed: true,
      nullable: true,
      oneOf: ['GET', 'HEAD', 'OPTIONS'],
      description: 'With http and https: how it asks; `GET` when left out.',
    }),
    path: string({
      optional: true,
      computed: true,
      nullable: true,
      validators: [matches(/^\/[\x21-\x7e]{0,1023}$/, 'begin with / and hold no spaces')],
      description: 'With http and https: what it asks for; `/` when left out.',
    }),
    hostHeader: string({
      optional: true,
      computed: true,
      nullable: true,
      validators: [matches(/^[A-Za-z0-9.:-]{1,255}$/, 'be a host name')],
      description: 'With http and https: the Host header; `sluice` when left out.',
    }),
    expectedStatus: string({
      optional: true,
      computed: true,
      nullable: true,
      validators: [matches(/^\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*$/, 'be as 200, 200-399 or 200,204')],
      description:
        'With http and https: the answers that are healthy, as `200`, `200-299` or `200,204`; `200-399` when left out.',
    }),
    expectedBody: string({
      optional: true,
      validators: [matches(/^[\x20-\x7e]{1,256}$/, 'be 1 to 256 printable ASCII characters')],
      description: 'With http and https: text that the first 15 kB of the answer must hold.',
    }),
    serverName: string({
      optional: true,
      validators: [admittedBy(hostNameSchema, 'be a whole DNS name, as web-1.shop.internal')],
      description: 'With https: the name that is asked for in the TLS handshake; certificates are not verified.',
    }),
    port: integer({
      optional: true,
      validators: [portNumber()],
      description: "Where it asks; the member's own port when left out.",
    }),
    intervalSeconds: number({
      default: thresholds.intervalSeconds,
      validators: [between(1, 300)],
      description: 'How often it asks.',
    }),
    timeoutSeconds: number({
      default: thresholds.timeoutSeconds,
      validators: [between(1, 300)],
      description: 'How long it waits for an answer, no longer than the interval.',
    }),
    healthyThreshold: integer({
      default: thresholds.healthyThreshold,
      validators: [between(1, 10)],
      description: 'So many good answers in a row make a member healthy.',
    }),
    unhealthyThreshold: integer({
      default: thresholds.unhealthyThreshold,
      validators: [between(1, 10)],
      description: 'So many bad ones make it unhealthy.',
    }),
  },
  {
    optional: true,
    computed: true,
    description: "How members are checked; left out: by the traffic's own protocol, every 5 seconds.",
  },
)

const httpAlone = { method: 'GET', path: '/', hostHeader: 'sluice', expectedStatus: '200-399' } as const

/** What need not be there. */
const absent = { port: null, expectedBody: null, serverName: null } as const

type Loose = Readonly<Record<string, unknown>>

/**
 * The whole check as it will be: what is left out of the configured one, and all of it where there is none.
 * @param configured null: there is none
 * @param trafficType may be unknown
 */
export function planHealthCheck(configured: Loose | null, trafficType: unknown): unknown {
  const check: Loose = configured ?? { protocol: trafficType, ...thresholds }
  const isKnown = !isUnknown(check.protocol)
  const filled = Object.entries(httpAlone).map(([name, usual]) => {
    const given = check[name] ?? null
    const otherwise = check.protocol === 'tcp' ? null : usual
    return [name, given === null ? (isKnown ? otherwise : unknown) : given]
  })
  const counted = Object.entries(thresholds).map(([name, usual]) => [name, check[name] ?? usual])
  return { ...absent, ...check, ...Object.fromEntries(filled), ...Object.fromEntries(counted) }
}

export const healthCheckBody = (check: Loose): HealthCheck => v.parse(healthCheckCreateSchema, withoutNull(check))

/** What http alone has is null with tcp. */
export function describeHealthCheck(check: HealthCheck) {
  const none = { method: null, path: null, hostHeader: null, expectedStatus: null }
  return { ...absent, ...none, ...check }
}

export function findHealthCheckFaults(check: Loose): readonly Diagnostic[] {
  const path = (name: string) => ({ path: ['healthCheck', name] })
  const ofHttp = [...Object.keys(httpAlone), 'expectedBody', 'serverName']
  const isGiven = (name: string) => (check[name] ?? null) !== null && !isUnknown(check[name])
  const foreign = ofHttp.filter((name) => check.protocol === 'tcp' && isGiven(name))
  const interval = check.intervalSeconds ?? thresholds.intervalSeconds
  const timeout = check.timeoutSeconds ?? thresholds.timeoutSeconds
  const isTooLong = typeof interval === 'number' && typeof timeout === 'number' && timeout > interval
  return [
    ...foreign.map((name) =>
      errorDiagnostic('Not for a tcp check', { detail: 'It is for http alone: leave it out.', ...path(name) }),
    ),
    ...(isTooLong
      ? [
          errorDiagnostic('The timeout is longer than the interval', {
            detail: `timeout_seconds is ${timeout}${(check.timeoutSeconds ?? null) === null ? ' when left out' : ''}, and must not be longer than interval_seconds, ${interval}.`,
            ...path('timeoutSeconds'),
          }),
        ]
      : []),
  ]
}
