/**
 * Blocks and addresses of either family by their text, for those who need not know which it is. Text that is not asked
 * to be parsed is as this program wrote it. Pure.
 */

import { blockOf, contains, containsAddress, endOf, formatAddress, isIpv6, overlaps, parseAddress } from './cidr.ts'
import {
  containsIpv6,
  containsIpv6Address,
  formatIpv6,
  ipv6BlockOf,
  ipv6Of,
  overlapsIpv6,
  parseIpv6,
} from './cidr-ipv6.ts'

/** An address in its one canonical form, so that the same is written the same; null: it is none. */
export function parseAnyAddress(text: string): string | null {
  const address = isIpv6(text) ? parseIpv6(text) : parseAddress(text)
  if (address === null) return null
  return typeof address === 'bigint' ? formatIpv6(address) : formatAddress(address)
}

/** Blocks of different families have nothing in common. */
export function cidrsOverlap(one: string, other: string): boolean {
  if (isIpv6(one) !== isIpv6(other)) return false
  return isIpv6(one) ? overlapsIpv6(ipv6BlockOf(one), ipv6BlockOf(other)) : overlaps(blockOf(one), blockOf(other))
}

export function cidrContains(outer: string, inner: string): boolean {
  if (isIpv6(outer) !== isIpv6(inner)) return false
  return isIpv6(outer) ? containsIpv6(ipv6BlockOf(outer), ipv6BlockOf(inner)) : contains(blockOf(outer), blockOf(inner))
}

/** @param address in any form; what is none is in no block */
export function cidrHasAddress(cidr: string, address: string): boolean {
  const number = isIpv6(address) ? parseIpv6(address) : parseAddress(address)
  if (number === null || isIpv6(cidr) !== isIpv6(address)) return false
  return typeof number === 'bigint'
    ? containsIpv6Address(ipv6BlockOf(cidr), number)
    : containsAddress(blockOf(cidr), number)
}

/** @example addressAt('fd00::/64', 1) // 'fd00::1' */
export function addressAt(cidr: string, offset: number): string {
  if (isIpv6(cidr)) return formatIpv6(ipv6BlockOf(cidr).first + BigInt(offset))
  return formatAddress(blockOf(cidr).first + offset)
}

/** Why an address of a shard is given to nobody, or null: it can be given. */
export type NeverGivenRole = 'network' | 'gateway' | 'broadcast' | 'anycast'

export function roleOf(cidr: string, address: string): NeverGivenRole | null {
  if (isIpv6(cidr)) return roleOfIpv6(ipv6BlockOf(cidr).first, ipv6Of(address))
  const block = blockOf(cidr)
  const number = parseAddress(address)
  if (number === block.first) return 'network'
  if (number === block.first + 1) return 'gateway'
  return number === endOf(block) - 1 ? 'broadcast' : null
}

/** The first is anycast to all routers (RFC 4291, 2.6.1), the last 128 are for other anycasts (RFC 2526). */
function roleOfIpv6(first: bigint, address: bigint): NeverGivenRole | null {
  const interfaceId = address - first
  if (interfaceId === 1n) return 'gateway'
  const isAnycast = interfaceId === 0n || (interfaceId & ~0x7fn) === 0xfdffffffffffff80n
  return isAnycast ? 'anycast' : null
}
