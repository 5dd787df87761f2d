/**
 * Random configurations of resources, each twice: as it is made, and as it is changed to. What can't be changed is the
 * same in both. They are what the API lets in, so that whatever fails is the provider's fault.
 */

import fc from 'fast-check'
import type { RawObject } from '../../provider/plugin/values/raw.ts'

export interface RandomObject {
  /** `network`: without the provider's name. */
  readonly type: string
  readonly first: RawObject
  readonly second: RawObject
}

/** What the objects belong to. */
export interface RandomGround {
  readonly projectId: string
  readonly poolId: string
  readonly networkId: string
  readonly machineIds: readonly string[]
  readonly balancerId: string
}

const orNull = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.option(arbitrary, { nil: null })
const oneOf = <const Values extends readonly string[]>(...values: Values) => fc.constantFrom(...values)
const port = fc.integer({ min: 1, max: 65_535 })
/** No two objects of a run meet in a name, but for those that are meant to. */
const name = fc.uuid().map((text) => `née ${text}`)
const label = fc.uuid().map((text) => `m-${text}`)

const policy = orNull(
  fc.record({
    // One that grows needs more than one.
    maximumShards: orNull(fc.integer({ min: 2, max: 1024 })),
    growAtUtilization: orNull(fc.constantFrom(0.5, 0.75, 0.9, 1)),
    growSizeAddresses: orNull(fc.constantFrom(16, 256, 4096)),
    giveBackAfterSeconds: orNull(fc.integer({ min: 60, max: 9000 })),
    allocationOrder: orNull(oneOf('pack', 'spread', 'sequential', 'random')),
    quarantineSeconds: orNull(fc.integer({ min: 0, max: 86_400 })),
    reservedRanges: orNull(fc.constantFrom([], [{ first: '198.18.20.9', last: '198.18.20.12' }])),
    pinnedAddresses: orNull(fc.constantFrom([], [{ address: '198.18.20.7', machineName: 'seven' }])),
    migrationMode: orNull(oneOf('overlap', 'restart')),
  }),
)
const projectPolicy = policy.map((given) => given && { ...given, reservedRanges: null, pinnedAddresses: null })

const networks = ({ projectId }: RandomGround) =>
  pair('network', fc.record({ projectId: fc.constant(projectId), mtu: orNull(fc.integer({ min: 1280, max: 8950 })) }), {
    name,
    addressPolicy: policy,
  })

const quota = orNull(fc.record({ pools: orNull(fc.nat(100)), machines: orNull(fc.nat(1000)) }))
const projects = () =>
  pair('project', fc.record({ user: name, slug: orNull(fc.uuid()) }), { name, quota, addressPolicy: projectPolicy })

const shards = ({ poolId }: RandomGround) =>
  pair('shard', fc.record({ poolId: fc.constant(poolId), sizeAddresses: fc.constantFrom(16, 32, 64) }), {
    name: orNull(name),
    reserved: orNull(fc.boolean()),
  })

const workloads = fc
  .uniqueArray(port, { maxLength: 3 })
  .chain((ports) => fc.tuple(...ports.map((one) => fc.record({ kind: oneOf('web', 'echo'), port: fc.constant(one) }))))
const machines = ({ projectId, networkId }: RandomGround) =>
  pair('machine', fc.constant({ projectId, networkId }), { name: label, workloads: orNull(workloads) })

const interval = fc.integer({ min: 5, max: 300 })
const httpCheck = fc.record({
  protocol: oneOf('http', 'https'),
  method: orNull(oneOf('GET', 'OPTIONS')),
  path: orNull(oneOf('/', '/healthz?deep=1')),
  hostHeader: orNull(oneOf('shop.example')),
  expectedStatus: orNull(oneOf('200', '200-299,404')),
  expectedBody: orNull(oneOf('ok')),
  port: orNull(port),
  intervalSeconds: orNull(interval),
  healthyThreshold: orNull(fc.integer({ min: 1, max: 10 })),
})
const tcpCheck = fc.record({ protocol: oneOf('tcp'), port: orNull(port), intervalSeconds: orNull(interval) })
const listeners = fc
  .uniqueArray(port, { minLength: 1, maxLength: 3 })
  .chain((ports) => fc.tuple(...ports.map((one) => fc.record({ port: fc.constant(one), memberPort: orNull(port) }))))
const weight = orNull(fc.integer({ min: 0, max: 256 }))
const draining = orNull(fc.boolean())

/** Each target once, each on a port that no listener gives to another of them. */
const membersOf = ({ machineIds }: RandomGround) =>
  fc
    .subarray(
      [
        { address: '198.18.16.101' },
        { address: '198.18.16.102' },
        { host: 'web-1.shop.example' },
        { url: 'http://198.18.16.103:8080' },
        { url: 'http://198.18.16.104' },
        ...machineIds.map((machineId) => ({ machineId })),
      ] as const,
      { minLength: 1 },
    )
    .chain((targets) =>
      fc.tuple(
        ...targets.map((target) =>
          fc
            .record({ port: 'url' in target ? fc.constant(null) : orNull(port), weight, draining })
            .map((rest) => ({ ...target, ...rest }) as RawObject),
        ),
      ),
    )

const sticky = orNull(
  fc.oneof(
    fc.record({ by: oneOf('cookie'), cookieName: orNull(oneOf('WHO')) }),
    fc.record({ by: oneOf('source'), idleSeconds: orNull(fc.integer({ min: 10, max: 900 })) }),
  ),
)
const limits = orNull(
  fc.record({ connections: orNull(fc.integer({ min: 1, max: 900 })), requestBodyBytes: orNull(fc.nat(900)) }),
)
const logging = orNull(
  fc.record({
    access: orNull(oneOf('off', 'on')),
    sample: orNull(oneOf('1/1', '1/10000')),
    clientAddress: orNull(oneOf('full', 'none')),
  }),
)
const scaling = orNull(
  fc.record({
    minimum: orNull(fc.constantFrom(1, 2)),
    maximum: orNull(fc.constantFrom(2, 4)),
    targets: fc.record({ connections: fc.constantFrom(10, 100.5), cpuPercent: orNull(fc.constantFrom(50)) }),
    cooldown: orNull(fc.record({ outSeconds: orNull(fc.constantFrom(1, 60)) })),
    schedules: orNull(fc.constantFrom([], [{ from: '08:00', until: '18:00', minimum: 2 }])),
    hysteresisPercent: orNull(fc.constantFrom(0, 12.5)),
    predictive: orNull(fc.boolean()),
  }),
)
const balancers = (ground: RandomGround) =>
  pair(
    'load_balancer',
    fc.constant({ projectId: ground.projectId, networkId: ground.networkId, trafficType: 'http' }),
    {
      name,
      listeners,
      members: orNull(membersOf(ground)),
      algorithm: orNull(oneOf('round-robin', 'least-connections', 'source')),
      healthCheck: orNull(fc.oneof(httpCheck, tcpCheck)),
      timeouts: orNull(
        fc.record({ drainSeconds: orNull(fc.constantFrom(0, 0.5, 60)), clientSeconds: orNull(fc.constantFrom(1, 90)) }),
      ),
      retries: orNull(fc.nat(10)),
      slowStartSeconds: orNull(fc.constantFrom(0, 1.5)),
      stickySessions: sticky,
      proxyProtocol: orNull(
        fc.record({ send: orNull(oneOf('v1', 'v2')), acceptFrom: orNull(fc.constantFrom([], ['198.18.0.0/24'])) }),
      ),
      limits,
      logging,
      forwardedFor: orNull(fc.boolean()),
      autoScaling: scaling,
    },
  )

const members = ({ balancerId }: RandomGround) =>
  pair('load_balancer_member', fc.record({ loadBalancerId: fc.constant(balancerId) }), {
    address: oneOf('198.18.16.201', '198.18.16.202'),
    port: fc.integer({ min: 100, max: 65_535 }),
    weight,
    draining,
  })

const hosts = () =>
  pair('host', fc.record({ name: label }), {
    maintenance: orNull(fc.boolean()),
    labels: orNull(fc.dictionary(oneOf('room', 'rack'), oneOf('a', 'b', ''))),
  })

/** Of any kind. */
export const randomObject = (ground: RandomGround): fc.Arbitrary<RandomObject> =>
  fc.oneof(
    { arbitrary: balancers(ground), weight: 4 },
    networks(ground),
    projects(),
    shards(ground),
    machines(ground),
    members(ground),
    hosts(),
  )

function pair(
  type: string,
  fixed: fc.Arbitrary<object>,
  changing: Readonly<Record<string, fc.Arbitrary<unknown>>>,
): fc.Arbitrary<RandomObject> {
  const rest = fc.record(changing)
  return fc
    .tuple(fixed, rest, rest)
    .map(
      ([same, first, second]) =>
        ({ type, first: { ...same, ...first }, second: { ...same, ...second } }) as RandomObject,
    )
}
