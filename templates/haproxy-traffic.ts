/**
 * Renders the parts of a haproxy config that say how traffic is treated: what is let in, who stays with whom, how members
 * are checked and their names followed. Pure.
 */

import type { InstanceInstructions, ListenerInstructions } from '../agent/contract/host-instructions.ts'
import type { HealthCheckInstructions } from '../agent/contract/traffic-instructions.ts'
import { milliseconds, quote } from './haproxy-words.ts'
import { plainTraffic } from './plain-traffic.ts'

type Traffic = Pick<InstanceInstructions, 'trafficType' | 'traffic' | 'draining'>

/** What holds for all listeners: who is believed, how many and how much is let in. */
export function renderFrontendRules({ trafficType, traffic = plainTraffic, draining }: Traffic): string[] {
  const { limits, acceptProxyFrom } = traffic
  const isHttp = trafficType === 'http'
  return [
    ...(limits.connections === undefined ? [] : [`  maxconn ${limits.connections}`]),
    ...(acceptProxyFrom.length === 0
      ? []
      : [`  tcp-request connection expect-proxy layer4 if { src ${acceptProxyFrom.join(' ')} }`]),
    ...(limits.sourceRate === undefined ? [] : renderSourceRate(limits.sourceRate, isHttp)),
    ...(isHttp && limits.requestBodyBytes !== undefined ? renderBodyLimit(limits.requestBodyBytes) : []),
    ...(isHttp && draining === true ? ['  http-after-response set-header Connection close'] : []),
  ]
}

/** After the PROXY header, so that clients are counted and not who stands between. Who is forgotten may come again. */
function renderSourceRate(rate: number, isHttp: boolean): string[] {
  const table = (counter: string) => `  stick-table type ipv6 size 100k expire 10s store ${counter}`
  return isHttp
    ? [
        table('http_req_rate(1s)'),
        '  http-request track-sc0 src',
        `  http-request deny deny_status 429 if { sc_http_req_rate(0) gt ${rate} }`,
      ]
    : [
        table('conn_rate(1s)'),
        '  tcp-request session track-sc0 src',
        `  tcp-request session reject if { sc_conn_rate(0) gt ${rate} }`,
      ]
}

/** Bodies are passed on as they come, so that only a length that is told beforehand can be judged. */
function renderBodyLimit(bytes: number): string[] {
  return [
    `  http-request deny deny_status 413 if { req.hdr_val(content-length) gt ${bytes} }`,
    '  http-request return status 411 content-type text/plain string "Length required" if { req.hdr(transfer-encoding) -m found }',
  ]
}

/**
 * A name may lead back to the balancer, and only who looks it up could know. So a request that goes to one is marked, as
 * RFC 8586 has it, and is refused when it comes again.
 */
export function renderLoopGuard(
  { loadBalancerId }: Pick<InstanceInstructions, 'loadBalancerId'>,
  { namedMembers = [] }: ListenerInstructions,
): string[] {
  if (namedMembers.length === 0) return []
  return [
    `  http-request return status 508 content-type text/plain string "Loop detected" if { req.fhdr(CDN-Loop) -m sub ${loadBalancerId} }`,
    `  http-request add-header CDN-Loop ${loadBalancerId}`,
  ]
}

/** Of the instance's own address on the uplink, where other hosts ask whether its haproxy is there. */
export const witnessPort = 10_001

/** By its own address and never by a VIP, which moves; and for neighbours on the uplink alone. */
export function renderWitness({ uplink }: Pick<InstanceInstructions, 'uplink'>): string[] {
  return [
    'frontend witness',
    `  bind ${uplink.address}:${witnessPort}`,
    '  mode http',
    `  tcp-request connection reject unless { src ${networkOf(uplink)} }`,
    '  monitor-uri /',
  ]
}

function networkOf({ address, prefixLength }: InstanceInstructions['uplink']): string {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number)
  const bits = (a * 256 + b) * 65_536 + c * 256 + d
  const size = 2 ** (32 - prefixLength)
  const first = bits - (bits % size)
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256)
  return `${bytes.join('.')}/${prefixLength}`
}

/** Of the private leg, where nobody but the network's own machines can reach it. */
const peersPort = 10_000
const peersName = 'mates'

/** The instance itself is one, so that a worker hands its table over to the next; the others have it after a failover. */
export function renderPeers({
  id,
  network,
  traffic,
}: Pick<InstanceInstructions, 'id' | 'network' | 'traffic'>): string[] {
  const sticky = traffic?.stickySessions
  if (sticky?.by !== 'source') return []
  return [
    `peers ${peersName}`,
    ...[{ id, address: network.address }, ...sticky.mates].map(
      (mate) => `  peer ${mate.id} ${mate.address}:${peersPort}`,
    ),
  ]
}

export const resolversName = 'names'

/** Only where some member is followed by its name. */
export function renderResolvers({
  listeners,
  traffic = plainTraffic,
}: Pick<InstanceInstructions, 'listeners' | 'traffic'>) {
  if (!listeners.some(({ namedMembers = [] }) => namedMembers.length > 0)) return []
  return [
    `resolvers ${resolversName}`,
    ...traffic.nameServers.map((address, i) => `  nameserver dns${i + 1} ${address}:53`),
    '  accepted_payload_size 1232',
    '  resolve_retries 3',
    '  timeout resolve 1s',
    '  timeout retry 1s',
    '  hold valid 1s',
    '  hold nx 5s',
    '  hold obsolete 5s',
    // A server that does not answer says nothing about the members: they stay where they were.
    ...['timeout', 'refused', 'other'].map((answer) => `  hold ${answer} 1h`),
  ]
}

/**
 * Who has been served by a member comes back to it.
 *
 * @param legMark what the names of servers end with, which is of this instance alone
 */
export function renderStickiness({ trafficType, traffic = plainTraffic }: Traffic, legMark: string): string[] {
  const sticky = traffic.stickySessions
  if (sticky === undefined) return []
  switch (sticky.by) {
    case 'cookie':
      return trafficType === 'http' ? renderCookie(sticky.cookieName, legMark) : []
    case 'source':
      return [
        `  stick-table type ipv6 size 100k expire ${milliseconds(sticky.idleSeconds)} peers ${peersName}`,
        '  stick on src',
      ]
    default:
      return sticky satisfies never
  }
}

/**
 * Not by haproxy's own `cookie`, which servers that are added at runtime can't have. The cookie names the member's server
 * without the instance's mark, so that any instance knows it; one that is gone or down is passed over and named anew.
 */
function renderCookie(name: string, legMark: string): string[] {
  return [
    `  http-request set-var(txn.bound) req.cook(${name})`,
    '  use-server %[var(txn.bound)] if { var(txn.bound) -m reg [.]n[0-9]+$ }',
    `  use-server %[var(txn.bound)]${legMark} if { var(txn.bound) -m found }`,
    '  http-response set-var(txn.server) srv_name,field(1,-)',
    '  acl is_bound var(txn.bound),strcmp(txn.server) eq 0',
    `  http-response add-header Set-Cookie "${name}=%[var(txn.server)]; Path=/; HttpOnly; SameSite=Lax" unless is_bound`,
    // A cache in between would give one client's cookie to all.
    '  http-response add-header Cache-Control private unless is_bound',
  ]
}

export function renderHealthCheck(check: HealthCheckInstructions): string[] {
  switch (check.protocol) {
    case 'tcp':
      return []
    case 'http':
    case 'https':
      return [
        '  option httpchk',
        // Many servers refuse the default, HTTP/1.0 without a host.
        `  http-check send meth ${check.method} uri ${quote(check.path)} ver HTTP/1.1 hdr Host ${quote(check.hostHeader)}`,
        `  http-check expect status ${quote(check.expectedStatus)}`,
        ...(check.expectedBody === undefined ? [] : [`  http-check expect string ${quote(check.expectedBody)}`]),
      ]
    default:
      return check satisfies never
  }
}
