/** What an instance's host is told of its balancer's traffic, and of whom it goes to. Pure. */

import type { InstanceInstructions, ListenerInstructions } from '../../agent/contract/host-instructions.ts'
import type { TrafficInstructions } from '../../agent/contract/traffic-instructions.ts'
import { type AddressOfMachine, endpointOf, isNamed, memberPortOf } from '../load-balancing/members.ts'
import { settleTraffic } from '../load-balancing/settle-traffic.ts'
import type { LoadBalancerValue, MemberValue } from '../objects.ts'

export interface Mate {
  readonly id: string
  readonly address: string
}

export interface TrafficPlace {
  readonly mates: readonly Mate[]
  readonly nameServers: readonly string[]
}

export function renderTraffic(
  value: LoadBalancerValue,
  { mates, nameServers }: TrafficPlace,
): Pick<InstanceInstructions, 'timeouts' | 'accessLog'> & { readonly traffic: TrafficInstructions } {
  const { timeouts, retries, slowStartSeconds, stickySessions, proxyProtocol, limits } = settleTraffic(value)
  const { connectSeconds, clientSeconds, serverSeconds, drainSeconds, ...otherTimeouts } = timeouts
  return {
    timeouts: { connectSeconds, clientSeconds, serverSeconds, drainSeconds },
    ...renderAccessLog(value),
    traffic: {
      ...otherTimeouts,
      retries,
      slowStartSeconds,
      ...(stickySessions !== null && { stickySessions: describeSticky(stickySessions, mates) }),
      sendProxy: proxyProtocol.send,
      acceptProxyFrom: [...proxyProtocol.acceptFrom],
      limits: Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== null)),
      nameServers: [...nameServers],
    },
  }
}

/** One that wants nothing written down has none. */
function renderAccessLog(value: LoadBalancerValue): Pick<InstanceInstructions, 'accessLog'> {
  const { access, sample, clientAddress } = settleTraffic(value).logging
  return access === 'off' ? {} : { accessLog: { oneOf: Number(sample.split('/')[1]), clientAddress } }
}

function describeSticky(
  sticky: NonNullable<LoadBalancerValue['stickySessions']>,
  mates: readonly Mate[],
): NonNullable<TrafficInstructions['stickySessions']> {
  switch (sticky.by) {
    case 'cookie':
      return sticky
    case 'source':
      return { ...sticky, mates: mates.toSorted((a, b) => (a.id < b.id ? -1 : 1)) }
    default:
      return sticky satisfies never
  }
}

export interface ListenerPlace {
  readonly trafficType: LoadBalancerValue['trafficType']
  readonly listener: LoadBalancerValue['listeners'][number]
  readonly addressOfMachine: AddressOfMachine
}

/** Where members listen that serve a listener; without those whose machines are gone. */
export function renderMembers(
  members: readonly MemberValue[],
  { trafficType, listener, addressOfMachine }: ListenerPlace,
): Pick<ListenerInstructions, 'members' | 'namedMembers'> {
  const placed = members.flatMap((member) => {
    const endpoint = endpointOf(member, trafficType, addressOfMachine)
    return endpoint === null ? [] : [{ member, endpoint, port: memberPortOf(endpoint, listener) }]
  })
  const named = placed.filter(({ endpoint }) => isNamed(endpoint))
  return {
    members: placed.flatMap(({ member: { id, weight }, endpoint, port }) =>
      isNamed(endpoint) ? [] : [{ id, address: endpoint.address, port, weight }],
    ),
    ...(named.length > 0 && {
      namedMembers: named.map(({ member: { id, weight }, endpoint, port }) => ({
        id,
        host: endpoint.address,
        port,
        weight,
      })),
    }),
  }
}
