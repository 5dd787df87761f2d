/**
 * IPv6 addresses and blocks: read in any of their forms, written in one (RFC 5952), and /64s cut from what is free. Pure;
 * knows nothing of shards. An address is an unsigned 128-bit number.
 */

import { type Block, findBestFit, listFreeBlocks, type ParsedBlock, parseAddress } from './cidr.ts'

export interface Ipv6Block {
  /** The first address. */
  readonly first: bigint
  readonly prefixLength: number
}

/** A shard is one network as hosts know them, with 64 bits for their interfaces. */
export const ipv6ShardPrefixLength = 64

/** @example parseIpv6Block('FD00:0:0:1::/64') // { kind: 'block', block: { first: 0xfd000000000000010000000000000000n, prefixLength: 64 } } */
export function parseIpv6Block(text: string): ParsedBlock<Ipv6Block> {
  const match = /^([0-9a-f:.]+)\/(0|[1-9]\d{0,2})$/i.exec(text)
  const address = parseIpv6(match?.[1] ?? '')
  const prefixLength = Number(match?.[2] ?? Number.NaN)
  if (address === null || !(prefixLength <= 128)) return { kind: 'malformed' }
  const hostBits = BigInt(128 - prefixLength)
  const block = { first: (address >> hostBits) << hostBits, prefixLength }
  return block.first === address ? { kind: 'block', block } : { kind: 'misaligned', aligned: block }
}

/** A block that this program wrote itself. Throws a BUG for any other. */
export function ipv6BlockOf(text: string): Ipv6Block {
  const parsed = parseIpv6Block(text)
  if (parsed.kind !== 'block') throw new Error(`BUG: '${text}' is not an aligned IPv6 block`)
  return parsed.block
}

/** The address as a number, or null: not one of the forms of RFC 4291, or one with a zone. */
export function parseIpv6(text: string): bigint | null {
  const [head = '', tail, ...more] = text.split('::')
  if (more.length > 0) return null
  const before = parseGroups(head, tail === undefined)
  const after = tail === undefined ? [] : parseGroups(tail, true)
  if (before === null || after === null) return null
  const missing = 8 - before.length - after.length
  if (tail === undefined ? missing !== 0 : missing < 1) return null
  const groups = [...before, ...Array.from({ length: missing }, () => 0), ...after]
  return groups.reduce((address, group) => (address << 16n) | BigInt(group), 0n)
}

/** The last 32 bits of an address may be written as IPv4 writes them. */
function parseGroups(text: string, isEnd: boolean): readonly number[] | null {
  if (text === '') return []
  const words = text.split(':')
  const dotted = isEnd && words.at(-1)?.includes('.') === true ? parseAddress(words.pop() ?? '') : undefined
  if (dotted === null || words.some((word) => !/^[0-9a-f]{1,4}$/i.test(word))) return null
  const groups = words.map((word) => Number.parseInt(word, 16))
  return dotted === undefined ? groups : [...groups, Math.floor(dotted / 0x10000), dotted % 0x10000]
}

/** An address that this program wrote itself. Throws a BUG for any other. */
export function ipv6Of(text: string): bigint {
  const address = parseIpv6(text)
  if (address === null) throw new Error(`BUG: '${text}' is not an IPv6 address`)
  return address
}

/** As RFC 5952 has it: lower case, no leading zeros, the first of the longest runs of zeros left out. */
export function formatIpv6(address: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) => Number((address >> BigInt(16 * (7 - i))) & 0xffffn))
  const words = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':')
  const { start, end } = findZeros(groups)
  return end - start < 2 ? words(0, 8) : `${words(0, start)}::${words(end, 8)}`
}

function findZeros(groups: readonly number[]): { readonly start: number; readonly end: number } {
  let longest = { start: 0, end: 0 }
  let start = 0
  for (const [i, group] of groups.entries()) {
    if (group !== 0) start = i + 1
    else if (i + 1 - start > longest.end - longest.start) longest = { start, end: i + 1 }
  }
  return longest
}

export const formatIpv6Block = ({ first, prefixLength }: Ipv6Block) => `${formatIpv6(first)}/${prefixLength}`

/** The address after the last. */
const endOf = ({ first, prefixLength }: Ipv6Block) => first + (1n << BigInt(128 - prefixLength))

export const overlapsIpv6 = (a: Ipv6Block, b: Ipv6Block) => a.first < endOf(b) && b.first < endOf(a)
export const containsIpv6 = (outer: Ipv6Block, inner: Ipv6Block) =>
  outer.first <= inner.first && endOf(inner) <= endOf(outer)
export const containsIpv6Address = (block: Ipv6Block, address: bigint) =>
  block.first <= address && address < endOf(block)

/** Where the next /64 is best cut from a pool of /32 to /64; null: all of it is cut. */
export function findNextNetwork(pool: Ipv6Block, cuts: readonly Ipv6Block[]): Ipv6Block | null {
  const found = findBestFit(countNetworks(pool), cuts.map(countNetworks), 32)
  return found === null ? null : fromNetworks(pool, found)
}

/** What is left of a pool of /32 to /64 when /64s are cut from it, as the largest aligned blocks, lowest first. */
export function listFreeIpv6Blocks(pool: Ipv6Block, cuts: readonly Ipv6Block[]): readonly Ipv6Block[] {
  return listFreeBlocks(countNetworks(pool), cuts.map(countNetworks)).map((block) => fromNetworks(pool, block))
}

/**
 * A block of /64s as IPv4 knows a block of addresses: a pool lies within one /32, which has as many /64s as IPv4 has
 * addresses, so that both are cut by the same arithmetic.
 */
const countNetworks = ({ first, prefixLength }: Ipv6Block): Block => ({
  first: Number((first >> 64n) & 0xffffffffn),
  prefixLength: prefixLength - 32,
})

const fromNetworks = (pool: Ipv6Block, { first, prefixLength }: Block): Ipv6Block => ({
  first: ((pool.first >> 96n) << 96n) | (BigInt(first) << 64n),
  prefixLength: prefixLength + 32,
})
