/**
 * Renders how haproxy writes down what it has served: one line of JSON each into a ring in its memory, from which the agent
 * reads. A ring that is full loses lines and holds nobody up; it is there for an agent that comes back. Pure.
 */

import type { InstanceInstructions } from '../agent/contract/host-instructions.ts'

type Logged = Pick<InstanceInstructions, 'trafficType' | 'accessLog'>

export const accessRing = 'access'

/** Some hundred lines, as an agent that is started again takes a second. */
export const accessRingBytes = 262_144
/** The texts below, at six characters for each byte that JSON has to escape, and half a kilobyte around them. */
const lineBytesMaximum = 8192

const pathBytesMaximum = 512
const hostBytesMaximum = 128
const userAgentBytesMaximum = 256

export function renderAccessRing({ accessLog }: Logged): string[] {
  if (accessLog === undefined) return []
  return ['', `ring ${accessRing}`, '  format raw', `  maxlen ${lineBytesMaximum}`, `  size ${accessRingBytes}`]
}

/** In a frontend. */
export function renderAccessLog({ trafficType, accessLog }: Logged): string[] {
  if (accessLog === undefined) return []
  const { oneOf } = accessLog
  return [
    `  log ring@${accessRing} len ${lineBytesMaximum}${oneOf === 1 ? '' : ` sample 1:${oneOf}`} local1 info`,
    // Whoever connects and says nothing, as many probes do, is not worth a line.
    '  option dontlognull',
    ...(trafficType === 'http'
      ? [
          `  capture request header Host len ${hostBytesMaximum}`,
          `  capture request header User-Agent len ${userAgentBytesMaximum}`,
        ]
      : []),
    `  log-format '${renderFormat(trafficType, accessLog)}'`,
  ]
}

/**
 * Names are short, since haproxy writes them for each request. What a client chose goes through `json(ascii)`: each byte
 * comes out as one character, whatever it is, so that no byte can end a string or a line.
 */
function renderFormat(trafficType: Logged['trafficType'], accessLog: NonNullable<Logged['accessLog']>): string {
  const ofHttp = [
    `"m":"%[capture.req.method,json(ascii)]"`,
    `"p":"%[capture.req.uri,field(1,?),bytes(0,${pathBytesMaximum}),json(ascii)]"`,
    `"h":"%[capture.req.hdr(0),json(ascii)]"`,
    `"u":"%[capture.req.hdr(1),json(ascii)]"`,
    `"v":"%HV"`,
    `"c":%ST`,
    `"t":[%TR,%Tw,%Tc,%Tr,%Ta]`,
  ]
  const entries = [
    `"at":%[date(0,ms)]`,
    // Who counted, how many of this listener before it, the request's own number, and that one of so many is here.
    `"w":%pid`,
    `"n":%lc`,
    `"r":%rt`,
    `"o":${accessLog.oneOf}`,
    `"f":"%f"`,
    ...renderClientAddress(accessLog.clientAddress),
    `"s":"%s"`,
    `"e":"%ts"`,
    `"x":"%rc"`,
    `"i":%U`,
    `"b":%B`,
    ...(trafficType === 'http' ? ofHttp : [`"t":[%Tw,%Tc,%Tt]`]),
  ]
  return `{${entries.join(',')}}`
}

/** What is not to leave the host does not even get into the ring. */
function renderClientAddress(form: NonNullable<Logged['accessLog']>['clientAddress']): string[] {
  switch (form) {
    case 'full':
      return ['"a":"%[src]"']
    case 'shortened':
      return ['"a":"%[src,ipmask(24,48)]"']
    case 'none':
      return []
    default:
      return form satisfies never
  }
}
