/** What is wrong with how a balancer's traffic is to be treated, taken together. Pure. */

import { formatBlock, parseBlock } from '../address-space/cidr.ts'
import type { LoadBalancerValue } from '../objects.ts'
import type { MemberFault } from './members.ts'
import { settleTraffic } from './settle-traffic.ts'

export function findSettingFaults(value: LoadBalancerValue): readonly MemberFault[] {
  return [...findCheckFaults(value), ...findTcpFaults(value), ...findLimitFaults(value), ...findSourceFaults(value)]
}

function findCheckFaults({ healthCheck }: LoadBalancerValue): MemberFault[] {
  return healthCheck.timeoutSeconds <= healthCheck.intervalSeconds
    ? []
    : [{ field: 'healthCheck.timeoutSeconds', message: 'must not be longer than intervalSeconds' }]
}

/** What only http can have: a tcp balancer reads nothing of what it passes on. */
function findTcpFaults(value: LoadBalancerValue): MemberFault[] {
  if (value.trafficType !== 'tcp') return []
  const { stickySessions, limits } = settleTraffic(value)
  const alone = (field: string, why: string) => ({ field, message: `is for http alone: ${why}` })
  return [
    ...(value.forwardedFor ? [alone('forwardedFor', 'tcp has no headers')] : []),
    ...(stickySessions?.by === 'cookie'
      ? [alone('stickySessions.by', "tcp has no cookies; 'source' works for both")]
      : []),
    ...(limits.requestBodyBytes === null ? [] : [alone('limits.requestBodyBytes', 'tcp has no requests')]),
  ]
}

function findLimitFaults(value: LoadBalancerValue): MemberFault[] {
  const { limits } = settleTraffic(value)
  const { connections, memberConnections, memberQueue } = limits
  return [
    ...(memberConnections !== null && connections !== null && memberConnections > connections
      ? [
          {
            field: 'limits.memberConnections',
            message: `is ${memberConnections}, more than the ${connections} that the listener takes at all`,
          },
        ]
      : []),
    ...(memberQueue !== null && memberConnections === null
      ? [{ field: 'limits.memberQueue', message: 'is of no use without memberConnections: nobody would wait' }]
      : []),
  ]
}

/** A block that says more than its length would be read as another than was meant. */
function findSourceFaults(value: LoadBalancerValue): MemberFault[] {
  return settleTraffic(value).proxyProtocol.acceptFrom.flatMap((text, i): MemberFault[] => {
    const field = `proxyProtocol.acceptFrom[${i}]`
    const parsed = parseBlock(text)
    switch (parsed.kind) {
      case 'block':
        return []
      case 'misaligned':
        return [{ field, message: `has host bits; did you mean ${formatBlock(parsed.aligned)}?` }]
      case 'malformed':
        return [{ field, message: 'must be a CIDR block, as 198.18.0.0/20' }]
      default:
        return parsed satisfies never
    }
  })
}
