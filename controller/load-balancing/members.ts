/** Members: where their traffic goes, what makes two of them the same, and the ids that they keep. Pure. */

import * as v from 'valibot'
import { addressOf, blockOf, containsAddress, parseAddress } from '../address-space/cidr.ts'
import type { MemberCreate } from '../contract/load-balancer.ts'
import { hostNameSchema } from '../contract/traffic.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import type { LoadBalancerValue, MemberValue } from '../objects.ts'

type Traffic = Pick<LoadBalancerValue, 'trafficType' | 'listeners' | 'members'>
type MemberTarget = Pick<MemberValue, 'address' | 'port' | 'host' | 'url' | 'machineId'>

/** Finds a machine's address; undefined: no such machine, or one that is being deleted. */
export type AddressOfMachine = (machineId: string) => string | undefined

export interface Endpoint {
  /** An IPv4 address; or a name, which who sends traffic there looks up. */
  readonly address: string
  /** Null: that of the listener. */
  readonly port: number | null
}

export type ParsedMemberUrl =
  | { readonly ok: true; readonly endpoint: Endpoint }
  | { readonly ok: false; readonly message: string }

/** Whether an endpoint is followed by its name. */
export const isNamed = ({ address }: Endpoint) => parseAddress(address) === null

/** A member's URL says scheme, address or name, and port, and nothing else. */
export function parseMemberUrl(text: string, trafficType: 'http' | 'tcp'): ParsedMemberUrl {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null) return wrongUrl('must be a URL as http://198.18.16.11:8080')
  if (url.protocol !== 'http:' && url.protocol !== 'tcp:') {
    return wrongUrl(`has the scheme ${url.protocol.slice(0, -1)}; members are reached by http or tcp`)
  }
  if (trafficType === 'http' && url.protocol !== 'http:')
    return wrongUrl('must have the scheme http, as its balancer has')
  if (parseAddress(url.hostname) === null && !v.is(hostNameSchema, url.hostname)) {
    return wrongUrl(`names ${url.hostname || 'no host'}; give an IPv4 address or a whole DNS name`)
  }
  const extra = url.username + url.password + url.search + url.hash + (url.pathname === '/' ? '' : url.pathname)
  if (extra !== '') return wrongUrl(`says more than scheme, address and port: ${extra}`)
  const schemePort = url.protocol === 'http:' ? 80 : null
  const hasPort = /:\d+\/?$/.test(text)
  return {
    ok: true,
    endpoint: { address: url.hostname, port: url.port === '' ? (hasPort ? schemePort : null) : Number(url.port) },
  }
}

const wrongUrl = (message: string): ParsedMemberUrl => ({ ok: false, message })

/** Where a member's traffic goes; null: nowhere, as its machine is gone. */
export function endpointOf(
  member: MemberTarget,
  trafficType: 'http' | 'tcp',
  addressOfMachine: AddressOfMachine,
): Endpoint | null {
  if (member.address !== null) return { address: member.address, port: member.port }
  if (member.host) return { address: member.host, port: member.port }
  if (member.url !== null) {
    const parsed = parseMemberUrl(member.url, trafficType)
    return parsed.ok ? { address: parsed.endpoint.address, port: member.port ?? parsed.endpoint.port } : null
  }
  const address = member.machineId === null ? undefined : addressOfMachine(member.machineId)
  return address === undefined ? null : { address, port: member.port }
}

/** The port on which a member serves a listener. */
export const memberPortOf = (endpoint: Endpoint, listener: LoadBalancerValue['listeners'][number]) =>
  endpoint.port ?? listener.memberPort ?? listener.port

/**
 * Members with ids. One that says the same target as one before keeps its id, so that an update drains nothing that
 * stays; a new one's id follows from balancer and target, so that a repetition makes the same.
 */
export function identifyMembers(
  loadBalancerId: string,
  inputs: readonly MemberCreate[],
  before: readonly MemberValue[],
): readonly MemberValue[] {
  const left = [...before]
  const used = new Set(before.map(({ id }) => id))
  return inputs.map((input) => {
    const target = targetOf(input)
    const known = left.findIndex((member) => isSameTarget(member, target))
    const [kept] = known < 0 ? [] : left.splice(known, 1)
    const id = kept?.id ?? createMemberId(loadBalancerId, target, used)
    used.add(id)
    // Who says nothing of it leaves alone what was told by hand.
    const draining = input.draining ?? kept?.draining ?? false
    return { id, ...target, weight: input.weight, ...(draining && { draining }) }
  })
}

function targetOf(input: MemberCreate): MemberTarget {
  return {
    address: input.address ?? null,
    ...(input.host !== undefined && { host: input.host }),
    port: input.port ?? null,
    url: input.url ?? null,
    machineId: input.machineId ?? null,
  }
}

const isSameTarget = (a: MemberTarget, b: MemberTarget) =>
  a.address === b.address &&
  a.port === b.port &&
  a.url === b.url &&
  a.machineId === b.machineId &&
  (a.host ?? null) === (b.host ?? null)

function createMemberId(loadBalancerId: string, target: MemberTarget, used: ReadonlySet<string>): string {
  const place = target.address ?? target.host
  const words = [place, target.url, target.machineId, target.port].map((word) => String(word ?? ''))
  for (let copy = 0; ; copy++) {
    const id = createNamedId('mbr', loadBalancerId, loadBalancerId, ...words, String(copy))
    if (!used.has(id)) return id
  }
}

export interface MemberFault {
  /** As a path: `members[1].url`. */
  readonly field: string
  readonly message: string
}

/** Everything that is wrong with a balancer's listeners and members, taken together. */
export function findTrafficFaults(traffic: Traffic, addressOfMachine: AddressOfMachine): readonly MemberFault[] {
  return [...findListenerFaults(traffic), ...findMemberFaults(traffic, addressOfMachine)]
}

function findListenerFaults({ listeners }: Traffic): MemberFault[] {
  return listeners.flatMap(({ port }, i) =>
    listeners.findIndex((other) => other.port === port) < i
      ? [{ field: `listeners[${i}].port`, message: `${port} is the port of another listener already` }]
      : [],
  )
}

function findMemberFaults(traffic: Traffic, addressOfMachine: AddressOfMachine): MemberFault[] {
  const seen = new Map<string, number>()
  return traffic.members.flatMap((member, i): MemberFault[] => {
    const own = findOwnFault(member, traffic.trafficType)
    if (own !== null) return [{ field: `members[${i}].${own.field}`, message: own.message }]
    const twin = traffic.members.findIndex((other) => isSameTarget(other, member))
    if (twin < i) return [{ field: `members[${i}]`, message: `is the same as members[${twin}]` }]
    const endpoint = endpointOf(member, traffic.trafficType, addressOfMachine)
    if (endpoint === null) return []
    for (const listener of traffic.listeners) {
      const place = `${endpoint.address}:${memberPortOf(endpoint, listener)} behind port ${listener.port}`
      const before = seen.get(place)
      if (before !== undefined && before !== i) {
        return [{ field: `members[${i}]`, message: `goes to ${place}, as members[${before}] does` }]
      }
      seen.set(place, i)
    }
    return []
  })
}

function findOwnFault(member: MemberValue, trafficType: 'http' | 'tcp'): MemberFault | null {
  if (member.url !== null) {
    const parsed = parseMemberUrl(member.url, trafficType)
    if (!parsed.ok) return { field: 'url', message: parsed.message }
    const { port } = parsed.endpoint
    if (member.port !== null && port !== null && port !== member.port) {
      return { field: 'port', message: `is ${member.port}, and the url says ${port}` }
    }
    const reason = isNamed(parsed.endpoint) ? null : unreachableReason(parsed.endpoint.address)
    return reason === null ? null : { field: 'url', message: reason }
  }
  const reason = member.address === null ? null : unreachableReason(member.address)
  return reason === null ? null : { field: 'address', message: reason }
}

const unreachableBlocks = [
  { block: blockOf('0.0.0.0/8'), reason: 'is of no host' },
  { block: blockOf('127.0.0.0/8'), reason: 'is a loopback address, which only the balancer itself would reach' },
  { block: blockOf('224.0.0.0/4'), reason: 'is a multicast address' },
  { block: blockOf('240.0.0.0/4'), reason: 'is of no host' },
]

function unreachableReason(address: string): string | null {
  const found = unreachableBlocks.find(({ block }) => containsAddress(block, addressOf(address)))
  return found === undefined ? null : `${address} ${found.reason}`
}
