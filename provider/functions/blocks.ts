/** Address blocks as whole numbers, and what can be told of ids and blocks without asking anyone. Pure. */

export interface Block {
  readonly family: 4 | 6
  readonly first: bigint
  /** Of the block's prefix: 24 of a /24. */
  readonly bits: number
}

const widthOf = (family: 4 | 6): number => (family === 4 ? 32 : 128)
const sizeOf = ({ family, bits }: Block): bigint => 1n << BigInt(widthOf(family) - bits)

/** Null: it is no address. */
export function parseAddress(text: string): { readonly family: 4 | 6; readonly value: bigint } | null {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

/** Null: it is no block, or its address is not the block's first. */
export function parseBlock(text: string): Block | null {
  const [address = '', prefix = '', ...rest] = text.split('/')
  const parsed = parseAddress(address)
  if (parsed === null || rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(prefix)) return null
  const bits = Number(prefix)
  if (bits > widthOf(parsed.family)) return null
  const block: Block = { family: parsed.family, first: parsed.value, bits }
  return parsed.value % sizeOf(block) === 0n ? block : null
}

export function formatBlock({ family, first, bits }: Block): string {
  return `${family === 4 ? formatIpv4(first) : formatIpv6(first)}/${bits}`
}

export function containsAddress(block: Block, { family, value }: { readonly family: 4 | 6; readonly value: bigint }) {
  return block.family === family && value >= block.first && value < block.first + sizeOf(block)
}

const ipv6ShardBits = 64

/** More would only fill a plan. */
export const shardsMaximum = 4096

/**
 * The shards that a pool can be cut into, from its first address on. Of IPv6 every shard is a /64.
 * @param sizeAddresses of each IPv4 shard: a power of two, 16 to 4096
 */
export function cutBlock(pool: Block, sizeAddresses: number): readonly Block[] | { readonly message: string } {
  const bits = pool.family === 6 ? ipv6ShardBits : 32 - Math.log2(sizeAddresses)
  if (bits < pool.bits) return { message: `${formatBlock(pool)} is smaller than a shard, which is a /${bits}` }
  const count = 1n << BigInt(bits - pool.bits)
  if (count > BigInt(shardsMaximum)) {
    return { message: `${formatBlock(pool)} has ${count} shards of a /${bits}, more than ${shardsMaximum}` }
  }
  const step = 1n << BigInt(widthOf(pool.family) - bits)
  return Array.from({ length: Number(count) }, (_, i) => ({
    family: pool.family,
    first: pool.first + BigInt(i) * step,
    bits,
  }))
}

function parseIpv4(text: string): { readonly family: 4; readonly value: bigint } | null {
  if (!/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text)) return null
  const bytes = text.split('.').map(Number)
  if (bytes.some((byte) => byte > 255)) return null
  return { family: 4, value: bytes.reduce((value, byte) => value * 256n + BigInt(byte), 0n) }
}

function parseIpv6(text: string): { readonly family: 6; readonly value: bigint } | null {
  const halves = withoutIpv4Tail(text)?.split('::')
  if (halves === undefined || halves.length > 2) return null
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')))
  const gap = 8 - head.length - tail.length
  if (halves.length === 1 ? gap !== 0 : gap < 1) return null
  const words = [...head, ...Array.from({ length: gap }, () => '0'), ...tail]
  if (words.some((word) => !/^[0-9a-f]{1,4}$/i.test(word))) return null
  return { family: 6, value: words.reduce((value, word) => value * 65536n + BigInt(`0x${word}`), 0n) }
}

/** `::ffff:198.18.0.1` has two words in the form of IPv4. Null: that form is wrong. */
function withoutIpv4Tail(text: string): string | null {
  if (!text.includes('.')) return text
  const at = text.lastIndexOf(':') + 1
  const tail = parseIpv4(text.slice(at))
  if (tail === null) return null
  return `${text.slice(0, at)}${(tail.value >> 16n).toString(16)}:${(tail.value & 0xffffn).toString(16)}`
}

const formatIpv4 = (value: bigint) => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')

/** RFC 5952: the longest run of two zero words or more, the first of several, is `::`. */
function formatIpv6(value: bigint): string {
  const words = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16))
  let best = { at: -1, length: 1 }
  for (let at = 0; at < 8; at++) {
    let length = 0
    while (at + length < 8 && words[at + length] === '0') length++
    if (length > best.length) best = { at, length }
  }
  if (best.at < 0) return words.join(':')
  return `${words.slice(0, best.at).join(':')}::${words.slice(best.at + best.length).join(':')}`
}
