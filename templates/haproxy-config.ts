/**
 * Renders the haproxy config of one instance: its listeners on every VIP, a backend each, and what haproxy is to do when a
 * member fails. Pure. The settings are those that lost no request in the experiments on which the design rests.
 */

import { createHash } from 'node:crypto'
import type { InstanceInstructions, ListenerInstructions } from '../agent/contract/host-instructions.ts'
import { renderAccessLog, renderAccessRing } from './haproxy-log.ts'
import {
  renderFrontendRules,
  renderHealthCheck,
  renderLoopGuard,
  renderPeers,
  renderResolvers,
  renderStickiness,
  renderWitness,
  resolversName,
} from './haproxy-traffic.ts'
import { milliseconds } from './haproxy-words.ts'
import { isNumbered, numberServers } from './number-servers.ts'
import { plainTraffic } from './plain-traffic.ts'

/** What the text needs to know of the host. */
export interface HaproxyPlace {
  /** The runtime API's socket. */
  readonly statsSocket: string
  readonly threads: number
}

/** What an instance's config is made of. */
export type HaproxyInstance = Pick<
  InstanceInstructions,
  | 'id'
  | 'loadBalancerId'
  | 'uplink'
  | 'vips'
  | 'network'
  | 'trafficType'
  | 'algorithm'
  | 'forwardedFor'
  | 'timeouts'
  | 'traffic'
  | 'accessLog'
  | 'draining'
  | 'healthCheck'
  | 'listeners'
>

type Member = ListenerInstructions['members'][number]
type NamedMember = NonNullable<ListenerInstructions['namedMembers']>[number]

export interface RenderedHaproxyConfig {
  readonly text: string
  /**
   * What haproxy answers to `show info` while it runs this config. It holds a hash of everything except the members,
   * since these are changed at runtime; another hash means that only a reload helps.
   */
  readonly description: string
}

export function renderHaproxyConfig(instance: HaproxyInstance, place: HaproxyPlace): RenderedHaproxyConfig {
  const render = (description: string, withMembers: boolean) =>
    [
      renderGlobal(instance, place, description),
      renderPeers(instance),
      renderResolvers(instance),
      renderDefaults(instance),
      renderWitness(instance),
      ...instance.listeners.map((listener) => renderListener(instance, listener, withMembers)),
    ]
      .filter((rows) => rows.length > 0)
      .map((rows) => `${rows.join('\n')}\n`)
      .join('\n')
  // How members are checked stands in their own lines, and a number that a running server has can't be given to another.
  const { healthCheck, traffic = plainTraffic } = instance
  const ofMembers = JSON.stringify([
    healthCheck,
    serverSettings(traffic),
    ...instance.listeners.flatMap((listener) => numberServers(instance, listener).displaced),
    // The leg is in the names of servers and not in their numbers.
    ...(isNumbered(instance) ? [legMark(instance)] : []),
  ])
  const whatOnlyAReloadChanges = `${render('', false)}${ofMembers}`
  const structure = createHash('sha256').update(whatOnlyAReloadChanges).digest('hex').slice(0, 16)
  const description = `sluice ${instance.id} ${structure}`
  return { text: render(description, true), description }
}

/** The ring that haproxy tells of members that come and go: a lab host has no /dev/log, and nobody has to rotate it. */
export const eventRing = 'events'

/** The least time for which a worker that has been replaced ends what it has begun. */
const hardStopSecondsMinimum = 60

function renderGlobal(
  instance: HaproxyInstance,
  { statsSocket, threads }: HaproxyPlace,
  description: string,
): string[] {
  const { id, timeouts, traffic } = instance
  return [
    'global',
    `  description ${description}`,
    // A worker hands its table of who is bound to whom over to its successor by this name.
    ...(traffic?.stickySessions?.by === 'source' ? [`  localpeer ${id}`] : []),
    '  user haproxy',
    '  group haproxy',
    `  stats socket ${statsSocket} mode 600 level admin expose-fd listeners`,
    // The agent follows the events of each instance for as long as it lives.
    '  stats timeout 20d',
    // A worker that has been replaced ends what it has begun, but not for ever.
    `  hard-stop-after ${Math.ceil(Math.max(hardStopSecondsMinimum, timeouts.drainSeconds))}s`,
    // Memory grows with the limit, which is a million where systemd runs.
    '  fd-hard-limit 20000',
    `  nbthread ${threads}`,
    // A header that does not fit, less a kilobyte for what is added, or has more lines, is answered 400.
    '  tune.bufsize 16384',
    '  tune.maxrewrite 1024',
    '  tune.http.maxhdr 101',
    `  log ring@${eventRing} local0 notice`,
    '',
    `ring ${eventRing}`,
    '  format rfc5424',
    '  maxlen 1200',
    '  size 65536',
    ...renderAccessRing(instance),
  ]
}

function renderDefaults({ trafficType, timeouts, traffic = plainTraffic, healthCheck }: HaproxyInstance): string[] {
  const common = [
    'defaults',
    `  mode ${trafficType}`,
    `  timeout connect ${milliseconds(timeouts.connectSeconds)}`,
    `  timeout client ${milliseconds(timeouts.clientSeconds)}`,
    `  timeout server ${milliseconds(timeouts.serverSeconds)}`,
    `  timeout check ${milliseconds(healthCheck.timeoutSeconds)}`,
    `  timeout queue ${milliseconds(traffic.queueSeconds)}`,
    `  retries ${traffic.retries}`,
    '  option redispatch 1',
  ]
  if (trafficType === 'tcp') return common
  return [
    ...common,
    `  timeout http-request ${milliseconds(traffic.requestSeconds)}`,
    `  timeout http-keep-alive ${milliseconds(traffic.keepAliveSeconds)}`,
    `  timeout tunnel ${milliseconds(traffic.tunnelSeconds)}`,
    // Without it a reload resets connections that wait for their next request.
    '  option idle-close-on-response',
    '  retry-on conn-failure empty-response response-timeout',
  ]
}

export const backendName = (port: number) => `members_${port}`

function renderListener(instance: HaproxyInstance, listener: ListenerInstructions, withMembers: boolean): string[] {
  const { port, members } = listener
  const backend = backendName(port)
  const { numbers } = numberServers(instance, listener)
  const frontend = [
    `frontend listener_${port}`,
    ...instance.vips.map(({ address }) => `  bind ${address}:${port}`),
    ...renderAccessLog(instance),
    ...renderFrontendRules(instance),
    `  default_backend ${backend}`,
    '',
  ]
  return [
    // haproxy refuses a frontend that listens nowhere.
    ...(instance.vips.length === 0 ? [] : frontend),
    `backend ${backend}`,
    // Here and not in the defaults: the ring is for what becomes of members, not for requests.
    '  log global',
    // A member's first check is told as well, which would go without saying where it confirms what was assumed.
    '  option log-health-checks',
    ...renderAlgorithm(instance),
    ...(instance.trafficType === 'http' ? renderHttpRules(instance, listener) : []),
    ...renderStickiness(instance, legMark(instance)),
    ...renderHealthCheck(instance.healthCheck),
    ...(withMembers ? members.map((member) => `  server ${renderServer(instance, member, numbers.get(member))}`) : []),
    ...(listener.namedMembers ?? []).map((member) => `  server-template ${renderNamedServer(instance, member)}`),
  ]
}

function renderHttpRules(instance: HaproxyInstance, listener: ListenerInstructions): string[] {
  const { forwardedFor } = instance
  return [
    ...renderLoopGuard(instance, listener),
    ...(forwardedFor ? ['  option forwardfor'] : []),
    // RFC 9110, 9.2.2: any other method done twice may do harm.
    '  http-request disable-l7-retry unless { method GET HEAD OPTIONS TRACE PUT DELETE }',
  ]
}

function renderAlgorithm({ algorithm }: HaproxyInstance): string[] {
  switch (algorithm) {
    case 'round-robin':
      return ['  balance roundrobin']
    case 'least-connections':
      return ['  balance leastconn']
    case 'source':
      // By a ring, so that a change of members moves few clients; only then can members come and go at runtime.
      return ['  balance source', '  hash-type consistent']
    default:
      return algorithm satisfies never
  }
}

/**
 * One name for one member at one address and port, so that a member whose address changes is a new server while the old
 * one drains. For HTTP it is also one for each address of the instance's leg: what is kept for reuse was begun with it,
 * and would be used for as long as requests flow. The member's id is in it, so that what still drains can be told by it.
 */
export function serverName(
  instance: Pick<HaproxyInstance, 'trafficType' | 'network'>,
  { id, address, port }: Pick<Member, 'id' | 'address' | 'port'>,
): string {
  return `${id}.${digest(`${address}:${port}`)}${legMark(instance)}`
}

/** What the names of all servers of an instance end with. */
const legMark = ({ trafficType, network }: Pick<HaproxyInstance, 'trafficType' | 'network'>) =>
  trafficType === 'http' ? `-${digest(network.address)}` : ''

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8)

/** The id of the member that a server is or was. */
export const memberIdOfServer = (name: string) => name.slice(0, name.lastIndexOf('.'))

/** haproxy knows no greater weight. */
const weightMaximum = 256
export const serverWeight = ({ weight }: Pick<Member, 'weight'>) =>
  Math.min(weightMaximum, Math.max(0, Math.round(weight)))

/** A server as `add server` and the file have it: whole, since a server added at runtime has no defaults. */
export function renderServer(instance: HaproxyInstance, member: Member, number: number | undefined): string {
  return [
    serverName(instance, member),
    `${member.address}:${member.port}`,
    ...(number === undefined ? [] : [`id ${number}`]),
    ...renderServerWords(instance, member),
  ].join(' ')
}

/** As many of a name's addresses are used. */
const namedServersMaximum = 8

/** Servers that haproxy itself gives addresses to; a change of them is one of structure. */
function renderNamedServer(instance: HaproxyInstance, member: NamedMember): string {
  return [
    `${member.id}.n 1-${namedServersMaximum}`,
    `${member.host}:${member.port}`,
    `resolvers ${resolversName}`,
    'resolve-prefer ipv4',
    // It starts without an address rather than not at all.
    'init-addr none',
    ...renderServerWords(instance, member),
  ].join(' ')
}

export const isNamedServer = (name: string) => /\.n\d+$/.test(name)

function renderServerWords(instance: HaproxyInstance, member: Pick<Member, 'weight'>): string[] {
  const { healthCheck: check, trafficType, traffic = plainTraffic } = instance
  const interval = Math.max(1, Math.round(check.intervalSeconds * 1000))
  return [
    'check',
    ...(check.port === undefined ? [] : [`port ${check.port}`]),
    ...(check.protocol === 'https' ? ['check-ssl verify none'] : []),
    ...(check.protocol === 'https' && check.serverName !== undefined ? [`check-sni ${check.serverName}`] : []),
    `inter ${interval}ms`,
    // While it is in doubt a member is asked more often, so that the doubt is short.
    `fastinter ${Math.min(interval, Math.max(fastIntervalMinimumMilliseconds, Math.round(interval / 4)))}ms`,
    `downinter ${Math.min(interval, downIntervalMilliseconds)}ms`,
    `fall ${check.unhealthyThreshold}`,
    `rise ${check.healthyThreshold}`,
    `weight ${serverWeight(member)}`,
    // A member that refuses a connection is down at once, and its requests go elsewhere.
    'observe layer4 error-limit 1 on-error mark-down',
    // A request that was on its way to it is tried again elsewhere, unless its session is ended; a connection can't be.
    ...(trafficType === 'tcp' ? ['on-marked-down shutdown-sessions'] : []),
    ...serverSettings(traffic),
    // A port of its own for checks is no place for clients, so nobody is announced there.
    ...(traffic.sendProxy !== 'none' && check.port === undefined ? ['check-send-proxy'] : []),
  ]
}

/** What each server is given of how traffic is treated; one that runs keeps what it was added with. */
function serverSettings({ sendProxy, slowStartSeconds, limits }: NonNullable<HaproxyInstance['traffic']>): string[] {
  return [
    ...(sendProxy === 'none' ? [] : [sendProxy === 'v1' ? 'send-proxy' : 'send-proxy-v2']),
    ...(slowStartSeconds > 0 ? [`slowstart ${milliseconds(slowStartSeconds)}`] : []),
    ...(limits.memberConnections === undefined ? [] : [`maxconn ${limits.memberConnections}`]),
    ...(limits.memberQueue === undefined ? [] : [`maxqueue ${limits.memberQueue}`]),
  ]
}

const fastIntervalMinimumMilliseconds = 250
/** One that is down costs nobody anything, and is missed: e.g. a machine that was made together with its balancer. */
const downIntervalMilliseconds = 500
