/** The options of `sluice load-balancer` that say how its traffic is treated: which is which field. */

import { type BodyField, number, type ParseContext, text, trueOrFalse } from '../body-fields.ts'

/** `cookie`, `cookie:NAME`, `source`, `source:SECONDS`, or `none`. */
export function stickySessions(value: string, context: ParseContext): object | null {
  const [by = '', detail] = value.split(':')
  if (by === 'none') return null
  if (detail === undefined) return { by }
  return by === 'source' ? { by, idleSeconds: number(detail, context) } : { by, cookieName: detail }
}

/** A number, or `none`, which takes the limit away. */
const limit = (value: string, context: ParseContext) => (value === 'none' ? null : number(value, context))

const field = (flags: string, description: string, path: string, parse: BodyField['parse']): BodyField => ({
  flags,
  description,
  field: path,
  parse,
})

export const trafficFields: readonly BodyField[] = [
  field('--algorithm <name>', 'round-robin, least-connections or source', 'algorithm', text),
  field('--sticky <how>', 'cookie[:NAME], source[:SECONDS] or none', 'stickySessions', stickySessions),
  field('--retries <number>', 'of requests that may be tried again', 'retries', number),
  field('--slow-start <seconds>', 'until one that came up has its full share', 'slowStartSeconds', number),
  field('--send-proxy <none|v1|v2>', 'PROXY headers to members', 'proxyProtocol.send', text),
  {
    ...field('--accept-proxy-from <cidr>', 'whose PROXY headers are taken', 'proxyProtocol.acceptFrom', text),
    isList: true,
  },
  field('--forwarded-for <true|false>', 'X-Forwarded-For to members', 'forwardedFor', trueOrFalse),
  field('--connect-timeout <seconds>', 'to a member', 'timeouts.connectSeconds', number),
  field('--client-timeout <seconds>', 'of a silent client', 'timeouts.clientSeconds', number),
  field('--server-timeout <seconds>', 'of a silent member', 'timeouts.serverSeconds', number),
  field('--request-timeout <seconds>', 'for a whole header', 'timeouts.requestSeconds', number),
  field('--keep-alive-timeout <seconds>', 'between two requests', 'timeouts.keepAliveSeconds', number),
  field('--queue-timeout <seconds>', 'for a member with room', 'timeouts.queueSeconds', number),
  field('--tunnel-timeout <seconds>', 'of a silent tunnel', 'timeouts.tunnelSeconds', number),
  field('--drain <seconds>', 'for what a leaving member has begun', 'timeouts.drainSeconds', number),
  field('--connections <number>', 'of a listener, or none', 'limits.connections', limit),
  field('--member-connections <number>', 'to a member, or none', 'limits.memberConnections', limit),
  field('--member-queue <number>', 'waiting for a member, or none', 'limits.memberQueue', limit),
  field('--source-rate <number>', 'of one client in a second, or none', 'limits.sourceRate', limit),
  field('--body-limit <bytes>', 'of a request, or none', 'limits.requestBodyBytes', limit),
  field('--access-log <on|off>', 'requests, for `logs`', 'logging.access', text),
  field('--log-sample <1/number>', 'one request of so many', 'logging.sample', text),
  field('--log-clients <full|shortened|none>', 'their addresses', 'logging.clientAddress', text),
  field('--check <http|https|tcp>', 'the health check’s protocol', 'healthCheck.protocol', text),
  field('--check-path <path>', 'of an http check', 'healthCheck.path', text),
  field('--check-status <codes>', 'that an http check expects, as 200-399', 'healthCheck.expectedStatus', text),
  field('--check-body <text>', 'that its answer must hold', 'healthCheck.expectedBody', text),
  field('--check-host <name>', 'the Host that it asks for', 'healthCheck.hostHeader', text),
  field('--check-port <port>', "the member's own else", 'healthCheck.port', number),
  field('--check-interval <seconds>', 'between two checks', 'healthCheck.intervalSeconds', number),
  field('--check-timeout <seconds>', 'of one check', 'healthCheck.timeoutSeconds', number),
]
