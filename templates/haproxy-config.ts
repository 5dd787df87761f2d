/**
 * Renders the haproxy config of one instance: its listeners on every VIP, a backend each, and what haproxy is to do when a
 * member fails. Pure. The settings are those that lost no request in the experiments on which the design rests.
 */

import { createHash } from 'node:crypto'
import type {
  HealthCheckInstructions,
  InstanceInstructions,
  ListenerInstructions,
} from '../agent/contract/host-instructions.ts'

/** What the text needs to know of the host. */
export interface HaproxyPlace {
  /** The runtime API's socket. */
  readonly statsSocket: string
  readonly threads: number
}

/** What an instance's config is made of. */
export type HaproxyInstance = Pick<
  InstanceInstructions,
  'id' | 'vips' | 'network' | 'trafficType' | 'algorithm' | 'forwardedFor' | 'timeouts' | 'healthCheck' | 'listeners'
>

type Member = ListenerInstructions['members'][number]

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
      renderGlobal(place, description),
      renderDefaults(instance),
      ...instance.listeners.map((listener) => renderListener(instance, listener, withMembers)),
    ]
      .map((rows) => `${rows.join('\n')}\n`)
      .join('\n')
  // How members are checked stands in their own lines.
  const whatOnlyAReloadChanges = `${render('', false)}${JSON.stringify(instance.healthCheck)}`
  const structure = createHash('sha256').update(whatOnlyAReloadChanges).digest('hex').slice(0, 16)
  const description = `sluice ${instance.id} ${structure}`
  return { text: render(description, true), description }
}

/** The ring that haproxy tells of members that come and go: a lab host has no /dev/log, and nobody has to rotate it. */
export const eventRing = 'events'

function renderGlobal({ statsSocket, threads }: HaproxyPlace, description: string): string[] {
  return [
    'global',
    `  description ${description}`,
    '  user haproxy',
    '  group haproxy',
    `  stats socket ${statsSocket} mode 600 level admin expose-fd listeners`,
    // The agent follows the events of each instance for as long as it lives.
    '  stats timeout 20d',
    // A worker that has been replaced ends what it has begun, but not for ever.
    '  hard-stop-after 60s',
    // Memory grows with the limit, which is a million where systemd runs.
    '  fd-hard-limit 20000',
    `  nbthread ${threads}`,
    `  log ring@${eventRing} local0 notice`,
    '',
    `ring ${eventRing}`,
    '  format rfc5424',
    '  maxlen 1200',
    '  size 65536',
  ]
}

function renderDefaults({ trafficType, timeouts, healthCheck }: HaproxyInstance): string[] {
  const common = [
    'defaults',
    `  mode ${trafficType}`,
    `  timeout connect ${milliseconds(timeouts.connectSeconds)}`,
    `  timeout client ${milliseconds(timeouts.clientSeconds)}`,
    `  timeout server ${milliseconds(timeouts.serverSeconds)}`,
    `  timeout check ${milliseconds(healthCheck.timeoutSeconds)}`,
    '  retries 3',
    '  option redispatch 1',
  ]
  if (trafficType === 'tcp') return common
  return [
    ...common,
    '  timeout http-request 10s',
    `  timeout http-keep-alive ${milliseconds(timeouts.clientSeconds)}`,
    '  timeout tunnel 1h',
    // Without it a reload resets connections that wait for their next request.
    '  option idle-close-on-response',
    '  retry-on conn-failure empty-response response-timeout',
  ]
}

export const backendName = (port: number) => `members_${port}`

function renderListener(instance: HaproxyInstance, listener: ListenerInstructions, withMembers: boolean): string[] {
  const { port, members } = listener
  const backend = backendName(port)
  const frontend = [
    `frontend listener_${port}`,
    ...instance.vips.map(({ address }) => `  bind ${address}:${port}`),
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
    `  balance ${instance.algorithm === 'round-robin' ? 'roundrobin' : 'leastconn'}`,
    ...(instance.trafficType === 'http' ? renderHttpRules(instance) : []),
    ...renderHealthCheck(instance.healthCheck),
    ...(withMembers ? members.map((member) => `  server ${renderServer(instance, member)}`) : []),
  ]
}

function renderHttpRules({ forwardedFor }: HaproxyInstance): string[] {
  return [
    ...(forwardedFor ? ['  option forwardfor'] : []),
    // RFC 9110, 9.2.2: any other method done twice may do harm.
    '  http-request disable-l7-retry unless { method GET HEAD OPTIONS TRACE PUT DELETE }',
  ]
}

function renderHealthCheck(check: HealthCheckInstructions): string[] {
  switch (check.protocol) {
    case 'tcp':
      return []
    case 'http':
      return [
        '  option httpchk',
        // Many servers refuse the default, HTTP/1.0 without a host.
        `  http-check send meth ${check.method} uri ${quote(check.path)} ver HTTP/1.1 hdr Host ${quote(check.hostHeader)}`,
        `  http-check expect status ${quote(check.expectedStatus)}`,
      ]
    default:
      return check satisfies never
  }
}

/**
 * One name for one member at one address and port, so that a member whose address changes is a new server while the old
 * one drains. For HTTP it is also one for each address of the instance's leg: what is kept for reuse was begun with it,
 * and would be used for as long as requests flow. The member's id is in it, so that what still drains can be told by it.
 */
export function serverName(
  { trafficType, network }: Pick<HaproxyInstance, 'trafficType' | 'network'>,
  { id, address, port }: Pick<Member, 'id' | 'address' | 'port'>,
): string {
  const place = `${address}:${port}${trafficType === 'http' ? ` from ${network.address}` : ''}`
  return `${id}.${createHash('sha256').update(place).digest('hex').slice(0, 8)}`
}

/** The id of the member that a server is or was. */
export const memberIdOfServer = (name: string) => name.slice(0, name.lastIndexOf('.'))

/** haproxy knows no greater weight. */
const weightMaximum = 256
export const serverWeight = ({ weight }: Pick<Member, 'weight'>) =>
  Math.min(weightMaximum, Math.max(0, Math.round(weight)))

/** A server as `add server` and the file have it: whole, since a server added at runtime has no defaults. */
export function renderServer(instance: HaproxyInstance, member: Member): string {
  const { healthCheck: check, trafficType } = instance
  const interval = Math.max(1, Math.round(check.intervalSeconds * 1000))
  return [
    serverName(instance, member),
    `${member.address}:${member.port}`,
    'check',
    ...(check.port === undefined ? [] : [`port ${check.port}`]),
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
  ].join(' ')
}

const fastIntervalMinimumMilliseconds = 250
/** One that is down costs nobody anything, and is missed: e.g. a machine that was made together with its balancer. */
const downIntervalMilliseconds = 500

/** haproxy takes a timeout of zero for one without end. */
const milliseconds = (seconds: number) => `${Math.max(1, Math.round(seconds * 1000))}ms`

/** Within single quotes haproxy takes everything as it is; what can't be seen is percent-encoded, a line's end above all. */
function quote(text: string): string {
  const visible = text.toWellFormed().replace(/[^\x20-\x7e]/gu, encodeURIComponent)
  return `'${visible.replaceAll("'", "'\\''")}'`
}
