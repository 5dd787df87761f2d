/** Addresses and blocks of either family as the API writes them: their order, and what is within what. Pure. */

export const isIpv6 = (text: string) => text.includes(':')

/** How many addresses one /64 has, in which IPv6 is counted here. */
export const networkAddresses = 2 ** 64

/** For `toSorted`, of addresses or blocks: IPv4 first, each in the order of its numbers. */
export function compareAddresses(one: string, other: string): number {
  const [a, b] = [bitsOf(one), bitsOf(other)]
  if (a.length !== b.length) return a.length - b.length
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** @example hasAddress('fd00:20::/64', 'fd00:20::7') // true */
export function hasAddress(cidr: string, address: string): boolean {
  const [bits, prefixLength] = [bitsOf(cidr), Number(cidr.split('/')[1])]
  const wanted = bitsOf(address)
  return wanted.length === bits.length && wanted.slice(0, prefixLength) === bits.slice(0, prefixLength)
}

/** Of an address, or of a block's first: 32 or 128 characters. */
function bitsOf(text: string): string {
  const [address = ''] = text.split('/')
  if (!isIpv6(address)) return joinBits(address.split('.').map(Number), 8)
  const [before = [], after = []] = address.split('::').map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0')
  const groups = [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16))
  return joinBits(groups, 16)
}

const joinBits = (numbers: readonly number[], width: number) =>
  numbers.map((number) => number.toString(2).padStart(width, '0')).join('')
