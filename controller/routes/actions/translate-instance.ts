/** Between the JSON interface's words for an instance and the load balancer that it is. Pure. */

import { refuseField } from '../../access/problems.ts'
import {
  type ActionHealthCheck,
  type ActionLogging,
  type Entity,
  type InstanceCreateInfo,
  type InstanceUpdateInfo,
  parseEntity,
} from '../../contract/json-interface.ts'
import type {
  HealthCheck,
  LoadBalancer,
  LoadBalancerCreate,
  LoadBalancerUpdate,
  MemberCreate,
} from '../../contract/load-balancer.ts'
import { type Outcome, type Problem, succeed } from '../../contract/problem.ts'
import { plainTraffic } from '../../load-balancing/settle-traffic.ts'

type TrafficType = LoadBalancer['trafficType']

const httpPort = 80

/** The listener: 80 for http, else the check's port, else the one that all entities name. */
export function translateCreate(
  info: InstanceCreateInfo,
  ids: { readonly projectId: string; readonly networkId: string },
): Outcome<LoadBalancerCreate> {
  const check = info.backend['health-check']
  const port = chooseListenerPort(info.traffic_type, check, info.backend.entities)
  if (!port.ok) return port
  return succeed({
    ...ids,
    name: info.name,
    trafficType: info.traffic_type,
    algorithm: 'round-robin',
    listeners: [{ port: port.value }],
    members: info.backend.entities.map(translateEntity),
    healthCheck: translateHealthCheck(info.traffic_type, check),
    ...plainTraffic,
    logging: translateLogging(info.backend.logging),
    forwardedFor: true,
    driver: 'netns',
    instanceCount: 2,
    autoScaling: info.backend['auto-scaling'],
  })
}

export function translateUpdate(info: InstanceUpdateInfo, trafficType: TrafficType): LoadBalancerUpdate {
  const { entities, 'health-check': check, 'auto-scaling': autoScaling, logging } = info.backend ?? {}
  const name = info['new-name']
  return {
    ...(name === undefined ? {} : { name }),
    ...(entities === undefined ? {} : { members: entities.map(translateEntity) }),
    ...(check === undefined ? {} : { healthCheck: translateHealthCheck(trafficType, check) }),
    ...(autoScaling === undefined ? {} : { autoScaling }),
    ...(logging === undefined ? {} : { logging: translateLogging(logging) }),
  }
}

/** A member as it was asked for: without a port of its own where none was given. */
export type GivenMember = Pick<LoadBalancer['members'][number], 'id' | 'port'>

/** What `create` and `info` answer: the request's fields, and what became of it. */
export function describeInstance(
  balancer: LoadBalancer,
  names: { readonly project: string; readonly subnet: string | null },
  given: readonly GivenMember[],
): Record<string, unknown> {
  const { id, name, trafficType, members, healthCheck, autoScaling, logging, url, vips, status } = balancer
  return {
    name,
    project: names.project,
    traffic_type: trafficType,
    subnet: names.subnet,
    backend: {
      entities: members.map((member) => describeEntity(member, given)),
      'health-check': describeHealthCheck(healthCheck),
      'auto-scaling': autoScaling !== false,
      ...(logging.access === 'on' && { logging: describeLogging(logging) }),
    },
    id,
    url,
    vips,
    status,
  }
}

/** Whether an instance that is there is what a repeated `create` asks for; else the first field that differs. */
export function findDifference(
  info: InstanceCreateInfo,
  balancer: LoadBalancer,
  wanted: LoadBalancerCreate,
  given: readonly GivenMember[],
): string | null {
  if (info.traffic_type !== balancer.trafficType) return 'traffic_type'
  const known = balancer.members.map((member) => describeEntity(member, given))
  if (!Bun.deepEquals(info.backend.entities, known)) return 'backend.entities'
  const check = describeHealthCheck(balancer.healthCheck)
  const wantedCheck = wanted.healthCheck === undefined ? check : describeHealthCheck(wanted.healthCheck)
  if (!Bun.deepEquals(check, wantedCheck)) return 'backend.health-check'
  const isScaled = balancer.autoScaling !== false
  if (info.backend['auto-scaling'] !== isScaled) return 'backend.auto-scaling'
  return Bun.deepEquals(balancer.logging, wanted.logging) ? null : 'backend.logging'
}

const translateLogging = ({ 'client-address': clientAddress, ...rest }: ActionLogging): LoadBalancer['logging'] => ({
  ...rest,
  clientAddress,
})
const describeLogging = ({ clientAddress, ...rest }: LoadBalancer['logging']): ActionLogging => ({
  ...rest,
  'client-address': clientAddress,
})

/** A problem in REST's words, with its fields in those of this interface. */
export function translateProblem(problem: Problem): Problem {
  const errors = problem.errors?.map(({ field, message }) => ({ field: translateField(field), message }))
  return errors === undefined ? problem : { ...problem, errors }
}

const fields: readonly (readonly [RegExp, string])[] = [
  [/^members(\[\d+\])?.*$/, 'backend.entities$1'],
  [/^healthCheck\.path$/, 'backend.health-check.request-path'],
  [/^healthCheck\.(protocol|port)$/, 'backend.health-check.$1'],
  [/^healthCheck\.intervalSeconds$/, 'backend.health-check.criteria.interval'],
  [/^healthCheck\.timeoutSeconds$/, 'backend.health-check.criteria.timeout'],
  [/^healthCheck\.healthyThreshold$/, 'backend.health-check.criteria.health-threshold'],
  [/^healthCheck\.unhealthyThreshold$/, 'backend.health-check.criteria.unhealth-threshold'],
  [/^healthCheck.*$/, 'backend.health-check'],
  [/^listeners.*$/, 'backend.health-check.port'],
  [/^autoScaling.*$/, 'backend.auto-scaling'],
  [/^logging\.clientAddress$/, 'backend.logging.client-address'],
  [/^logging(.*)$/, 'backend.logging$1'],
  [/^trafficType$/, 'traffic_type'],
  [/^projectId$/, 'project'],
  [/^(cidr|networkId|poolId|sizeAddresses)$/, 'subnet'],
]

export function translateField(field: string): string {
  const [pattern, translated] = fields.find(([candidate]) => candidate.test(field)) ?? []
  return pattern === undefined || translated === undefined ? field : field.replace(pattern, translated)
}

function chooseListenerPort(
  trafficType: TrafficType,
  check: ActionHealthCheck,
  entities: readonly string[],
): Outcome<number> {
  if (trafficType === 'http') return succeed(httpPort)
  if (check.port !== undefined) return succeed(check.port)
  const ports = new Set(entities.map((text) => parseEntity(text)?.port ?? null))
  const [port] = ports
  if (ports.size === 1 && typeof port === 'number') return succeed(port)
  return refuseField(
    'backend.health-check.port',
    'is missing, and the entities do not all name one port, so there is none to listen on',
    'Give health-check.port, or the same port with every entity.',
  )
}

function translateEntity(text: string): MemberCreate {
  const entity: Entity | null = parseEntity(text)
  if (entity === null) throw new Error(`BUG: the entity '${text}' was not parsed before`)
  if (entity.url !== null) return { url: entity.url, weight: 1 }
  return { address: entity.address, weight: 1, ...(entity.port === null ? {} : { port: entity.port }) }
}

function translateHealthCheck(trafficType: TrafficType, check: ActionHealthCheck): HealthCheck {
  const criteria = check.criteria
  const common = {
    intervalSeconds: criteria.interval,
    timeoutSeconds: criteria.timeout,
    healthyThreshold: criteria['health-threshold'],
    unhealthyThreshold: criteria['unhealth-threshold'],
    ...(check.port === undefined ? {} : { port: check.port }),
  }
  const protocol = check.protocol ?? (trafficType === 'http' ? 'HTTP' : 'TCP')
  if (protocol === 'TCP') return { protocol: 'tcp', ...common }
  const path = check['request-path'] ?? '/'
  return { protocol: 'http', method: 'GET', path, hostHeader: 'sluice', expectedStatus: '200-399', ...common }
}

function describeHealthCheck(check: HealthCheck): Record<string, unknown> {
  return {
    protocol: check.protocol.toUpperCase(),
    ...(check.port === undefined ? {} : { port: check.port }),
    ...(check.protocol === 'http' ? { 'request-path': check.path } : {}),
    criteria: {
      interval: check.intervalSeconds,
      timeout: check.timeoutSeconds,
      'health-threshold': check.healthyThreshold,
      'unhealth-threshold': check.unhealthyThreshold,
    },
  }
}

function describeEntity(member: LoadBalancer['members'][number], given: readonly GivenMember[]): string {
  if (member.url !== null) return member.url
  const { port } = given.find(({ id }) => id === member.id) ?? member
  return `${member.address ?? member.machineId ?? ''}${port === null ? '' : `:${port}`}`
}
