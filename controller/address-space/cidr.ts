/**
 * IPv4 blocks as numbers: parse, compare, and cut aligned blocks from what is free. Pure; knows nothing of shards.
 * An address is an unsigned 32-bit number, a block its first address and its prefix length. IPv6 is in cidr-ipv6.ts.
 */

export interface Block {
  /** The first address. */
  readonly first: number
  readonly prefixLength: number
}

export type ParsedBlock<Of = Block> =
  | { readonly kind: 'block'; readonly block: Of }
  /** A valid address and length, but the address is inside the block: `aligned` is the block that it is in. */
  | { readonly kind: 'misaligned'; readonly aligned: Of }
  | { readonly kind: 'malformed' }

/** Whether the text of an address or of a block is of IPv6: only that has colons. */
export const isIpv6 = (text: string) => text.includes(':')

/** @example parseBlock('198.18.16.0/22') // { kind: 'block', block: { first: 3323072512, prefixLength: 22 } } */
export function parseBlock(text: string): ParsedBlock {
  const match = /^([0-9.]+)\/(\d{1,2})$/.exec(text)
  const address = parseAddress(match?.[1] ?? '')
  const prefixLength = Number(match?.[2] ?? Number.NaN)
  if (address === null || !(prefixLength <= 32)) return { kind: 'malformed' }
  const block = { first: alignDown(address, prefixLength), prefixLength }
  return block.first === address ? { kind: 'block', block } : { kind: 'misaligned', aligned: block }
}

/** A block that this program wrote itself. Throws a BUG for any other. */
export function blockOf(text: string): Block {
  const parsed = parseBlock(text)
  if (parsed.kind !== 'block') throw new Error(`BUG: '${text}' is not an aligned CIDR block`)
  return parsed.block
}

/** The address as a number, or null: not four decimal octets. */
export function parseAddress(text: string): number | null {
  const octets = text.split('.')
  if (octets.length !== 4) return null
  let address = 0
  for (const octet of octets) {
    if (!/^(0|[1-9]\d{0,2})$/.test(octet) || Number(octet) > 255) return null
    address = address * 256 + Number(octet)
  }
  return address
}

/** An address that this program wrote itself. Throws a BUG for any other. */
export function addressOf(text: string): number {
  const address = parseAddress(text)
  if (address === null) throw new Error(`BUG: '${text}' is not an IPv4 address`)
  return address
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')
}

export const formatBlock = ({ first, prefixLength }: Block) => `${formatAddress(first)}/${prefixLength}`

/** How many addresses a block has. */
export const sizeOf = ({ prefixLength }: Block) => 2 ** (32 - prefixLength)

/** How many addresses a block of either family has that this program wrote itself, without a look at where it begins. */
export const sizeOfCidr = (text: string) => 2 ** ((isIpv6(text) ? 128 : 32) - Number(text.slice(text.indexOf('/') + 1)))

/** The address after the last. */
export const endOf = (block: Block) => block.first + sizeOf(block)

/** The prefix length of a block of that many addresses, which must be a power of two. */
export const prefixLengthOf = (sizeAddresses: number) => 32 - Math.log2(sizeAddresses)

export const overlaps = (a: Block, b: Block) => a.first < endOf(b) && b.first < endOf(a)
export const contains = (outer: Block, inner: Block) => outer.first <= inner.first && endOf(inner) <= endOf(outer)
export const containsAddress = (block: Block, address: number) => block.first <= address && address < endOf(block)

/**
 * What is left of a block when others are cut from it, as the largest aligned blocks, lowest first. Linear in the cuts
 * times the prefix lengths between: never in the number of addresses.
 */
export function listFreeBlocks(whole: Block, cuts: readonly Block[]): readonly Block[] {
  const inside = cuts.filter((cut) => overlaps(cut, whole))
  if (inside.length === 0) return [whole]
  if (whole.prefixLength === 32 || inside.some((cut) => contains(cut, whole))) return []
  const prefixLength = whole.prefixLength + 1
  const lower = { first: whole.first, prefixLength }
  const upper = { first: endOf(lower), prefixLength }
  return [...listFreeBlocks(lower, inside), ...listFreeBlocks(upper, inside)]
}

/**
 * Where a block of that size is best cut: from the smallest free block that has room, the lowest of these, so that large
 * free blocks stay whole. Null: none has room.
 */
export function findBestFit(whole: Block, cuts: readonly Block[], prefixLength: number): Block | null {
  const fitting = listFreeBlocks(whole, cuts).filter((free) => free.prefixLength <= prefixLength)
  const [best] = fitting.toSorted((a, b) => b.prefixLength - a.prefixLength || a.first - b.first)
  return best === undefined ? null : { first: best.first, prefixLength }
}

function alignDown(address: number, prefixLength: number): number {
  const size = 2 ** (32 - prefixLength)
  return Math.floor(address / size) * size
}
