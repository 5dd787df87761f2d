import { describe, expect, test } from 'bun:test'
import { isIPv6 } from 'node:net'
import fc from 'fast-check'
import {
  containsIpv6,
  containsIpv6Address,
  findNextNetwork,
  formatIpv6,
  formatIpv6Block,
  type Ipv6Block,
  ipv6BlockOf,
  listFreeIpv6Blocks,
  overlapsIpv6,
  parseIpv6,
  parseIpv6Block,
} from './cidr-ipv6.ts'

/** Groups with many zeros, so that runs of them meet. */
const address = fc
  .array(fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => groups.reduce((number, group) => (number << 16n) | BigInt(group), 0n))

const maskOf = (prefixLength: number) => ((1n << BigInt(prefixLength)) - 1n) << BigInt(128 - prefixLength)
const block = fc
  .tuple(address, fc.integer({ min: 0, max: 128 }))
  .map(([number, prefixLength]): Ipv6Block => ({ first: number & maskOf(prefixLength), prefixLength }))

describe('an IPv6 address', () => {
  const rows: readonly (readonly [string, string | null])[] = [
    ['fd00::1', 'fd00::1'],
    ['FD00:0000:0:0::0001', 'fd00::1'],
    ['fd00:0:0:1:0:0:0:1', 'fd00:0:0:1::1'],
    ['fd00:0:0:1:2:0:0:1', 'fd00::1:2:0:0:1'],
    ['fd00:0:1:2:3:4:5:6', 'fd00:0:1:2:3:4:5:6'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1::', '1::'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::ffff:198.18.16.1', '::ffff:c612:1001'],
    ['fd00::198.18.16.256', null],
    ['198.18.16.1::', null],
    ['fd00:::1', null],
    ['fd00::1::2', null],
    ['1:2:3:4:5:6:7', null],
    ['1:2:3:4:5:6:7:8:9', null],
    ['1:2:3:4::5:6:7:8', null],
    [':1:2:3:4:5:6:7', null],
    ['fd00::12345', null],
    ['fd00::g', null],
    ['fe80::1%eth0', null],
    ['198.18.16.1', null],
    ['', null],
  ]
  for (const [text, canonical] of rows) {
    test(`'${text}' is ${canonical ?? 'none'}`, () => {
      const parsed = parseIpv6(text)
      expect(parsed === null ? null : formatIpv6(parsed)).toBe(canonical)
    })
  }

  test('is read as it is written, and written as the WHATWG writes it', () => {
    fc.assert(
      fc.property(address, (number) => {
        const text = formatIpv6(number)
        expect(parseIpv6(text)).toBe(number)
        expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`)
      }),
    )
  })

  test('is the same however it is spelled', () => {
    const spell = (number: bigint, isUpper: boolean, width: number) => {
      const groups = Array.from({ length: 8 }, (_, i) => ((number >> BigInt(112 - 16 * i)) & 0xffffn).toString(16))
      const text = groups.map((group) => group.padStart(width, '0')).join(':')
      return isUpper ? text.toUpperCase() : text
    }
    fc.assert(
      fc.property(address, fc.boolean(), fc.integer({ min: 1, max: 4 }), (number, isUpper, width) => {
        expect(parseIpv6(spell(number, isUpper, width))).toBe(number)
      }),
    )
  })

  test('is one when node:net says so, and only then', () => {
    const characters = fc.constantFrom(':', '::', '0', 'f', 'a1', '12', '1.2.3.4', '.', 'fd00', '00001')
    fc.assert(
      fc.property(fc.array(characters, { maxLength: 12 }), (words) => {
        const text = words.join('')
        expect(parseIpv6(text) !== null).toBe(isIPv6(text))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('an IPv6 block', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['fd00:20::/48', 'fd00:20::/48'],
    ['FD00:20:0::0/48', 'fd00:20::/48'],
    ['::/0', '::/0'],
    ['fd00:20:0:1::/60', 'misaligned, in fd00:20::/60'],
    ['fd00::1/64', 'misaligned, in fd00::/64'],
    ['fd00::/129', 'malformed'],
    ['fd00::/064', 'malformed'],
    ['fd00::', 'malformed'],
    ['198.18.16.0/22', 'malformed'],
  ]
  for (const [text, meaning] of rows) {
    test(`'${text}' is ${meaning}`, () => {
      const parsed = parseIpv6Block(text)
      if (parsed.kind === 'malformed') expect(meaning).toBe('malformed')
      else if (parsed.kind === 'block') expect(formatIpv6Block(parsed.block)).toBe(meaning)
      else expect(`misaligned, in ${formatIpv6Block(parsed.aligned)}`).toBe(meaning)
    })
  }

  test('has the addresses that its mask says', () => {
    fc.assert(
      fc.property(block, address, (one, number) => {
        expect(ipv6BlockOf(formatIpv6Block(one))).toEqual(one)
        expect(containsIpv6Address(one, number)).toBe((number & maskOf(one.prefixLength)) === one.first)
      }),
    )
  })

  test('overlaps another when one contains the other, and only then', () => {
    fc.assert(
      fc.property(block, block, (a, b) => {
        const [outer, inner] = a.prefixLength <= b.prefixLength ? [a, b] : [b, a]
        const isWithin = (inner.first & maskOf(outer.prefixLength)) === outer.first
        expect(overlapsIpv6(a, b)).toBe(isWithin)
        expect(containsIpv6(outer, inner)).toBe(isWithin)
      }),
    )
  })
})

describe('a pool of IPv6', () => {
  const rows: readonly (readonly [string, string, readonly string[], string | null])[] = [
    ['gives its first /64', 'fd00:20::/48', [], 'fd00:20::/64'],
    ['gives the next one', 'fd00:20::/48', ['fd00:20::/64'], 'fd00:20:0:1::/64'],
    ['uses a gap first', 'fd00:20::/48', ['fd00:20::/64', 'fd00:20:0:2::/64', 'fd00:20:0:3::/64'], 'fd00:20:0:1::/64'],
    ['of one /64 gives itself', '2001:db8:0:7::/64', [], '2001:db8:0:7::/64'],
    ['of one /64 gives nothing more', '2001:db8:0:7::/64', ['2001:db8:0:7::/64'], null],
    ['may be a /32', '2001:db8::/32', ['2001:db8::/64'], '2001:db8:0:1::/64'],
  ]
  for (const [sentence, pool, cuts, expected] of rows) {
    test(sentence, () => {
      const found = findNextNetwork(ipv6BlockOf(pool), cuts.map(ipv6BlockOf))
      expect(found === null ? null : formatIpv6Block(found)).toBe(expected)
    })
  }

  test('is made up of its /64s and what is free, and gives one as long as any is', () => {
    const pools = fc
      .tuple(address, fc.integer({ min: 32, max: 64 }))
      .map(([number, prefixLength]) => ({ first: number & maskOf(prefixLength), prefixLength }))
    const places = fc.uniqueArray(fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }), { maxLength: 20 })
    fc.assert(
      fc.property(pools, places, (pool, numbers) => {
        const networks = 1n << BigInt(64 - pool.prefixLength)
        const firsts = new Set(numbers.map((number) => pool.first + ((number % networks) << 64n)))
        const cuts = [...firsts].map((first) => ({ first, prefixLength: 64 }))
        const free = listFreeIpv6Blocks(pool, cuts)
        const sizeOf = ({ prefixLength }: Ipv6Block) => 1n << BigInt(128 - prefixLength)
        const sum = [...free, ...cuts].reduce((total, one) => total + sizeOf(one), 0n)
        expect(sum).toBe(sizeOf(pool))
        for (const one of free) {
          expect(containsIpv6(pool, one)).toBe(true)
          expect(one.first & maskOf(one.prefixLength)).toBe(one.first)
          expect(cuts.some((cut) => overlapsIpv6(cut, one))).toBe(false)
        }
        const next = findNextNetwork(pool, cuts)
        expect(next === null).toBe(BigInt(cuts.length) === networks)
        if (next === null) return
        expect(next.prefixLength).toBe(64)
        expect(containsIpv6(pool, next)).toBe(true)
        expect(cuts.some((cut) => overlapsIpv6(cut, next))).toBe(false)
      }),
      { numRuns: 300 },
    )
  })
})
