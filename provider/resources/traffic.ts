/** How a load balancer treats traffic, as attributes: everything has a default. Pure. */

import * as v from 'valibot'
import { clientAddressForms, loggingSchema } from '../../controller/contract/logs.ts'
import {
  algorithms,
  limitsSchema,
  proxyProtocolSchema,
  type StickySessions,
  stickySessionsSchema,
  timeoutsSchema,
  trafficCreateEntries,
} from '../../controller/contract/traffic.ts'
import {
  between,
  integer,
  isUnknown,
  list,
  matches,
  number,
  object,
  sizeBetween,
  string,
  unknown,
} from '../plugin/index.ts'
import { aBlock } from './attributes.ts'
import { withoutNull } from './define.ts'

const usualTimeouts = v.parse(timeoutsSchema, {})
const usualLimits = v.parse(limitsSchema, {})
const usualLogging = v.parse(loggingSchema, {})
const usualProxyProtocol = v.parse(proxyProtocolSchema, {})

const seconds = (name: keyof typeof usualTimeouts, least: number, most: number, description: string) =>
  number({ default: usualTimeouts[name], validators: [between(least, most)], description })

const timeouts = object(
  {
    connectSeconds: seconds('connectSeconds', 0.1, 60, 'Until a member has taken a connection.'),
    clientSeconds: seconds('clientSeconds', 1, 3600, "A client's silence within a request, or on a TCP connection."),
    serverSeconds: seconds('serverSeconds', 1, 3600, "A member's silence."),
    requestSeconds: seconds('requestSeconds', 1, 300, "Until a request's header is whole; http alone."),
    keepAliveSeconds: seconds('keepAliveSeconds', 1, 3600, "A client's silence between two requests; http alone."),
    queueSeconds: seconds('queueSeconds', 0.1, 300, 'The wait for a member that has as many connections as it may.'),
    tunnelSeconds: seconds('tunnelSeconds', 1, 86_400, 'Silence on a tunnel, as WebSockets are; http alone.'),
    drainSeconds: seconds('drainSeconds', 0, 3600, 'How long what a leaving member or instance has begun may take.'),
  },
  {
    default: usualTimeouts,
    description: 'Of the traffic. How long operations of Terraform may take is in the block `operation_timeouts`.',
  },
)

const limit = (most: number, description: string, least = 1) =>
  integer({ optional: true, validators: [between(least, most)], description })

const stickySessions = object(
  {
    by: string({
      required: true,
      oneOf: ['cookie', 'source'],
      description: '`cookie`: by one that the balancer sets, http alone; `source`: by the address of the client.',
    }),
    cookieName: string({
      optional: true,
      computed: true,
      nullable: true,
      validators: [matches(/^[A-Za-z0-9_.-]{1,64}$/, 'be letters, digits, _ . -, at most 64')],
      description: 'With a cookie: its name; `SLUICE` when left out.',
    }),
    idleSeconds: number({
      optional: true,
      computed: true,
      nullable: true,
      validators: [between(10, 86_400)],
      description: 'By source: how long a client that is silent is remembered; 1800 when left out.',
    }),
  },
  { optional: true, description: 'Keeps a client with its member.' },
)

export const trafficFields = {
  algorithm: string({
    default: 'round-robin',
    oneOf: algorithms,
    description:
      'Which member is next: `round-robin`, `least-connections`, or `source`, which sends the address of a client to the same one.',
  }),
  timeouts,
  retries: integer({
    default: trafficCreateEntries.retries.default,
    validators: [between(0, 10)],
    description:
      'How often a request is tried again: any that no member has taken yet, others if their method is idempotent.',
  }),
  slowStartSeconds: number({
    default: trafficCreateEntries.slowStartSeconds.default,
    validators: [between(0, 900)],
    description: 'A member that has come up gets its full share after this long.',
  }),
  stickySessions,
  proxyProtocol: object(
    {
      send: string({
        default: 'none',
        oneOf: ['none', 'v1', 'v2'],
        description: 'How members are told of the client: they must expect it on every connection, checks included.',
      }),
      acceptFrom: list(
        string({ validators: [aBlock('be an aligned IPv4 block, as 198.18.0.0/24', { 4: [0, 32], 6: [1, 0] })] }),
        {
          default: [],
          validators: [sizeBetween(0, 32)],
          description: 'From clients in these blocks, and nobody else, a PROXY header is taken, and must come.',
        },
      ),
    },
    { default: usualProxyProtocol, description: 'The PROXY protocol, to members and from clients.' },
  ),
  limits: object(
    {
      connections: limit(9000, "Of one listener; what is beyond waits in the kernel's queue."),
      memberConnections: limit(9000, 'To one member; what is beyond waits for `queue_seconds`.'),
      memberQueue: limit(9000, 'How many may wait for one member; those beyond go to another.'),
      sourceRate: limit(
        100_000,
        'Requests (http) or connections (tcp) a second of one address; http answers 429 beyond it.',
      ),
      requestBodyBytes: limit(
        2_147_483_647,
        'http alone: a longer body is answered 413, one of unknown length 411.',
        0,
      ),
    },
    {
      default: usualLimits,
      description: "How much is let in, each of one instance; left out: none but haproxy's own.",
    },
  ),
  logging: object(
    {
      access: string({
        default: usualLogging.access,
        oneOf: ['off', 'on'],
        description: 'Whether requests (http) or connections (tcp) are written down, for `sluice lb logs`.',
      }),
      sample: string({
        default: usualLogging.sample,
        validators: [matches(/^1\/([1-9]\d{0,3}|10000)$/, 'be 1/1 to 1/10000')],
        description: 'One request of so many, as `1/100`.',
      }),
      clientAddress: string({
        default: usualLogging.clientAddress,
        oneOf: clientAddressForms,
        description:
          'What is written down of clients: `full` addresses, `shortened` ones (24 bits of IPv4, 48 of IPv6), or `none`.',
      }),
    },
    { default: usualLogging, description: 'What is kept of requests; they change without a lost one.' },
  ),
} as const

type Loose = Readonly<Record<string, unknown>>

/** With what is left out filled in, and what belongs to the other kind null. */
export function planStickySessions(configured: Loose): Loose {
  const fill = (kind: string, name: string, usual: unknown) => {
    const given = configured[name] ?? null
    if (given !== null) return given
    if (isUnknown(configured.by)) return unknown
    return configured.by === kind ? usual : null
  }
  return {
    by: configured.by,
    cookieName: fill('cookie', 'cookieName', 'SLUICE'),
    idleSeconds: fill('source', 'idleSeconds', 1800),
  }
}

export const describeStickySessions = (sticky: StickySessions | null) =>
  sticky === null ? null : { cookieName: null, idleSeconds: null, ...sticky }

export const stickySessionsBody = (sticky: Loose | null): StickySessions | null =>
  sticky === null ? null : v.parse(stickySessionsSchema, withoutNull(sticky))
