import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  type Block,
  blockOf,
  contains,
  containsAddress,
  endOf,
  findBestFit,
  formatAddress,
  formatBlock,
  listFreeBlocks,
  overlaps,
  parseAddress,
  parseBlock,
  sizeOf,
} from './cidr.ts'

const address = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const block = fc.tuple(address, fc.integer({ min: 0, max: 32 })).map(([first, prefixLength]): Block => {
  const parsed = parseBlock(`${formatAddress(first)}/${prefixLength}`)
  if (parsed.kind === 'malformed') throw new Error('a formatted block is a block')
  return parsed.kind === 'block' ? parsed.block : parsed.aligned
})

describe('a block is parsed', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['198.18.16.0/22', '198.18.16.0/22'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['255.255.255.255/32', '255.255.255.255/32'],
    ['198.18.17.0/22', 'misaligned, in 198.18.16.0/22'],
    ['198.18.16.1/31', 'misaligned, in 198.18.16.0/31'],
    ['198.18.16.0/33', 'malformed'],
    ['198.18.16.256/24', 'malformed'],
    ['198.18.016.0/24', 'malformed'],
    ['198.18.16/24', 'malformed'],
    ['198.18.16.0', 'malformed'],
    ['', 'malformed'],
  ]
  for (const [text, meaning] of rows) {
    test(`'${text}' is ${meaning}`, () => {
      const parsed = parseBlock(text)
      const found =
        parsed.kind === 'block'
          ? formatBlock(parsed.block)
          : parsed.kind === 'misaligned'
            ? `misaligned, in ${formatBlock(parsed.aligned)}`
            : parsed.kind
      expect(found).toBe(meaning)
    })
  }

  test('an address is read as it is written', () => {
    fc.assert(fc.property(address, (number) => parseAddress(formatAddress(number)) === number))
  })

  test('a block is read as it is written', () => {
    fc.assert(
      fc.property(block, (one) => {
        expect(blockOf(formatBlock(one))).toEqual(one)
      }),
    )
  })

  test('two blocks overlap when one contains the other, and only then', () => {
    fc.assert(fc.property(block, block, (a, b) => overlaps(a, b) === (contains(a, b) || contains(b, a))))
  })
})

describe('blocks are cut from a pool', () => {
  const rows: readonly (readonly [string, string, readonly string[], number, string | null])[] = [
    ['an empty pool gives its first block', '10.0.0.0/16', [], 22, '10.0.0.0/22'],
    ['the next one follows', '10.0.0.0/16', ['10.0.0.0/22'], 22, '10.0.4.0/22'],
    ['a small one takes the smallest gap', '10.0.0.0/16', ['10.0.0.0/22', '10.0.4.0/24'], 24, '10.0.5.0/24'],
    ['a gap is used before a large block is broken', '10.0.0.0/16', ['10.0.4.0/22', '10.0.8.0/22'], 22, '10.0.0.0/22'],
    ['of equal gaps the lowest is taken', '10.0.0.0/22', ['10.0.1.0/24', '10.0.3.0/24'], 24, '10.0.0.0/24'],
    ['a gap that is not aligned is of no use', '10.0.0.0/22', ['10.0.0.0/24', '10.0.3.0/24'], 23, null],
    ['a full pool gives nothing', '10.0.0.0/24', ['10.0.0.0/25', '10.0.0.128/25'], 28, null],
    ['a pool gives itself whole', '10.0.0.0/24', [], 24, '10.0.0.0/24'],
    ['and nothing larger', '10.0.0.0/24', [], 23, null],
  ]
  for (const [sentence, pool, cuts, prefixLength, expected] of rows) {
    test(sentence, () => {
      const found = findBestFit(blockOf(pool), cuts.map(blockOf), prefixLength)
      expect(found === null ? null : formatBlock(found)).toBe(expected)
    })
  }

  test('cuts never overlap, are aligned and stay within; one fails only when no aligned block is left', () => {
    const pool = blockOf('10.0.0.0/18')
    const steps = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant('cut' as const), prefixLength: fc.integer({ min: 20, max: 28 }) }),
        fc.record({ kind: fc.constant('giveBack' as const), index: fc.nat() }),
      ),
      { maxLength: 120 },
    )
    fc.assert(
      fc.property(steps, (history) => {
        let cuts: Block[] = []
        for (const step of history) {
          if (step.kind === 'giveBack') {
            cuts = cuts.filter((_, i) => i !== step.index % Math.max(1, cuts.length))
            continue
          }
          const found = findBestFit(pool, cuts, step.prefixLength)
          const size = 2 ** (32 - step.prefixLength)
          if (found === null) {
            for (let first = pool.first; first < endOf(pool); first += size) {
              const candidate = { first, prefixLength: step.prefixLength }
              expect(cuts.some((cut) => overlaps(cut, candidate))).toBe(true)
            }
            continue
          }
          expect(found.first % size).toBe(0)
          expect(contains(pool, found)).toBe(true)
          expect(cuts.filter((cut) => overlaps(cut, found))).toEqual([])
          cuts.push(found)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('what is free and what is cut make up the pool', () => {
    const pool = blockOf('10.0.0.0/20')
    const places = fc.uniqueArray(fc.integer({ min: 0, max: 255 }), { maxLength: 60 })
    fc.assert(
      fc.property(places, (taken) => {
        const cuts = taken.map((place) => ({ first: pool.first + place * 16, prefixLength: 28 }))
        const free = listFreeBlocks(pool, cuts)
        const sum = [...free, ...cuts].reduce((total, one) => total + sizeOf(one), 0)
        expect(sum).toBe(sizeOf(pool))
        for (const one of free) expect(cuts.some((cut) => containsAddress(one, cut.first))).toBe(false)
      }),
    )
  })
})
