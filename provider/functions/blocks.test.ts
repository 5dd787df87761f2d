import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { containsAddress, cutBlock, formatBlock, parseAddress, parseBlock } from './blocks.ts'

const cut = (pool: string, size: number) => {
  const block = parseBlock(pool)
  const cuts = block === null ? { message: 'no block' } : cutBlock(block, size)
  return 'message' in cuts ? cuts.message : cuts.map(formatBlock)
}

describe('a pool is cut', () => {
  test('from its first address on', () => {
    expect(cut('198.18.16.0/22', 256)).toEqual(['198.18.16.0/24', '198.18.17.0/24', '198.18.18.0/24', '198.18.19.0/24'])
    expect(cut('fd00:20::/63', 256)).toEqual(['fd00:20::/64', 'fd00:20:0:1::/64'])
  })

  test('not into shards that are larger than it is, nor into more than anybody reads', () => {
    expect(cut('198.18.16.0/28', 256)).toContain('is smaller than a shard, which is a /24')
    expect(cut('10.0.0.0/8', 16)).toContain('more than 4096')
  })

  test('into blocks that together are the pool, none meeting another', () => {
    fc.assert(
      fc.property(fc.integer({ min: 16, max: 24 }), fc.integer({ min: 4, max: 8 }), fc.nat(), (bits, power, at) => {
        const size = 2 ** (32 - bits)
        const first = BigInt(Math.floor((at % 2 ** 32) / size) * size)
        const cuts = cutBlock({ family: 4, first, bits }, 2 ** power)
        if ('message' in cuts) throw new Error(cuts.message)
        const starts = cuts.map((block) => block.first)
        expect(starts[0]).toBe(first)
        expect(starts.every((start, i) => i === 0 || start - (starts[i - 1] ?? 0n) === BigInt(2 ** power))).toBe(true)
        expect(cuts.length * 2 ** power).toBe(size)
      }),
    )
  })
})

test('blocks and addresses that are none are told', () => {
  for (const text of [
    '198.18.16.1/24',
    '198.18.16.0',
    '198.18.16.0/33',
    '256.0.0.0/8',
    '01.0.0.0/8',
    'fd00::/129',
    '::1::/64',
    'x/8',
  ]) {
    expect([text, parseBlock(text)]).toEqual([text, null])
  }
  for (const text of ['', '1.2.3', '1.2.3.4.5', ':', 'fd00:::1', '1:2:3:4:5:6:7', '::1.2.3']) {
    expect([text, parseAddress(text)]).toEqual([text, null])
  }
  expect(parseAddress('::ffff:198.18.0.1')?.value).toBe(0xffffc6120001n)
})

test('an IPv6 block is written as RFC 5952 says, and read as what it was', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom<bigint>(0n, 1n, 0xffffn, 0x20n), { minLength: 8, maxLength: 8 }), (words) => {
      const first = words.reduce((value, word) => value * 65536n + word)
      const block = { family: 6, first, bits: 128 } as const
      expect(parseBlock(formatBlock(block))).toEqual(block)
    }),
  )
})

test('an address is in a block or not', () => {
  const block = parseBlock('198.18.16.0/24')
  const isIn = (text: string) => {
    const address = parseAddress(text)
    return block !== null && address !== null && containsAddress(block, address)
  }
  expect(['198.18.16.0', '198.18.16.255', '198.18.17.0', 'fd00::1'].map(isIn)).toEqual([true, true, false, false])
})
