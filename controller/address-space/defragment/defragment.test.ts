import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Block, blockOf, contains, formatBlock, overlaps, sizeOf } from '../cidr.ts'
import { compactByBruteForce, defragmentByBruteForce } from './brute-force.ts'
import { planCompaction } from './plan-compaction.ts'
import { planDefragmentation } from './plan-defragmentation.ts'
import { createRandomSpace, type RandomSpace } from './random-space.ts'
import type { Evacuation, SpaceShard } from './space-shard.ts'

type Parts = Partial<Omit<SpaceShard, 'block'>>

function shardOf(cidr: string, holders: number, parts: Parts = {}): SpaceShard {
  const block = blockOf(cidr)
  const status = parts.networkId === null ? 'available' : 'in-use'
  return { id: cidr, block, networkId: 'net', status, holders, freeAddresses: sizeOf(block) - 3 - holders, ...parts }
}

const area = blockOf('10.0.0.0/22')
const plan = (shards: readonly SpaceShard[], sizeAddresses = 512, within: Block = area) =>
  planDefragmentation({ area: within, sizeAddresses, shards })

describe('a block is freed', () => {
  const full = shardOf('10.0.2.0/23', 509)
  const rows: readonly (readonly [string, readonly SpaceShard[], string, readonly string[], number])[] = [
    ['without a move where one is free', [shardOf('10.0.0.0/24', 9), full], '10.0.1.0/24', [], 0],
    [
      'by the fewest moves',
      [shardOf('10.0.0.0/24', 9), shardOf('10.0.1.0/24', 4), full],
      '10.0.1.0/24',
      ['10.0.1.0/24'],
      4,
    ],
    [
      'by fewer shards where the moves are equally many',
      [shardOf('10.0.0.0/25', 2), shardOf('10.0.0.128/25', 2), shardOf('10.0.1.0/24', 4), full],
      '10.0.1.0/24',
      ['10.0.1.0/24'],
      4,
    ],
    [
      'at the lowest address where all else is equal',
      [shardOf('10.0.0.0/24', 4), shardOf('10.0.1.0/24', 4), full],
      '10.0.0.0/24',
      ['10.0.0.0/24'],
      4,
    ],
    [
      'with shards that nobody holds an address of, on a network or not',
      [shardOf('10.0.0.0/24', 9), shardOf('10.0.1.0/25', 0, { networkId: null }), shardOf('10.0.1.128/25', 0), full],
      '10.0.1.0/24',
      ['10.0.1.0/25', '10.0.1.128/25'],
      0,
    ],
    [
      'beside one that is reserved',
      [shardOf('10.0.0.0/24', 1, { status: 'reserved' }), shardOf('10.0.1.0/24', 7), full, shardOf('10.9.0.0/24', 0)],
      '10.0.1.0/24',
      ['10.0.1.0/24'],
      7,
    ],
    [
      'into a shard of another pool',
      [shardOf('10.0.0.0/24', 250, { networkId: 'a' }), shardOf('10.0.1.0/24', 9), full, shardOf('10.9.0.0/28', 4)],
      '10.0.1.0/24',
      ['10.0.1.0/24'],
      9,
    ],
  ]
  for (const [sentence, shards, block, evacuated, moves] of rows) {
    test(sentence, () => {
      const planned = plan(shards, 256)
      if (planned.kind !== 'planned') throw new Error('it is said to be impossible')
      expect(formatBlock(planned.block)).toBe(block)
      expect(planned.evacuate.map(({ shardId }) => shardId)).toEqual([...evacuated])
      expect(planned.moves).toBe(moves)
    })
  }

  test('whose addresses are counted as far as shards have them', () => {
    const shards = [shardOf('10.0.0.0/24', 3), shardOf('10.0.2.0/23', 100)]
    expect(plan(shards)).toEqual({
      kind: 'planned',
      block: blockOf('10.0.0.0/23'),
      evacuate: [{ shardId: '10.0.0.0/24', networkId: 'net', holders: 3 }],
      moves: 3,
      addressesFreed: 256,
    })
  })

  test('that was asked for by its address, though another takes fewer moves', () => {
    const shards = [shardOf('10.0.0.0/23', 3), shardOf('10.0.2.0/23', 100)]
    const planned = plan(shards, 512, blockOf('10.0.2.0/23'))
    expect(planned).toMatchObject({ kind: 'planned', block: blockOf('10.0.2.0/23'), moves: 100 })
  })
})

describe('what stands in the way is said:', () => {
  const rows: readonly (readonly [string, readonly SpaceShard[], object])[] = [
    [
      'a reserved shard',
      [shardOf('10.0.0.0/23', 0, { status: 'reserved' })],
      { kind: 'reserved', shardId: '10.0.0.0/23' },
    ],
    [
      'a migrating shard',
      [shardOf('10.0.0.0/23', 5, { status: 'migrating' })],
      { kind: 'migrating', shardId: '10.0.0.0/23' },
    ],
    [
      'a larger shard, of which the block is but a part',
      [shardOf('10.0.0.0/22', 0)],
      { kind: 'largerShard', shardId: '10.0.0.0/22' },
    ],
    [
      "holders for whom there is no room in their network's other shards",
      [shardOf('10.0.0.0/23', 20), shardOf('10.9.0.0/28', 4)],
      { kind: 'noRoom', networkId: 'net', holders: 20, room: 9 },
    ],
    [
      'two shards of one network, which want the same room',
      [shardOf('10.0.0.0/24', 5), shardOf('10.0.1.0/24', 5), shardOf('10.9.0.0/28', 4)],
      { kind: 'noRoom', networkId: 'net', holders: 10, room: 9 },
    ],
    [
      'holders who are leaving another shard, and are about to take the room',
      [shardOf('10.0.0.0/23', 5), shardOf('10.9.0.0/28', 4), shardOf('10.9.1.0/28', 6, { status: 'migrating' })],
      { kind: 'noRoom', networkId: 'net', holders: 5, room: 3 },
    ],
  ]
  for (const [sentence, shards, obstacle] of rows) {
    test(sentence, () => {
      const planned = plan([...shards, shardOf('10.0.2.0/23', 1, { networkId: 'other', status: 'reserved' })])
      if (planned.kind !== 'impossible') throw new Error('it is said to be possible')
      expect(planned.candidates[0]?.obstacles as unknown).toContainEqual(obstacle)
    })
  }

  test('no candidate at all in a pool that is smaller than the block', () => {
    expect(plan([], 2048)).toEqual({ kind: 'impossible', candidates: [] })
  })
})

describe('a network is compacted', () => {
  const rows: readonly (readonly [string, readonly SpaceShard[], readonly string[], number])[] = [
    ['by what fits into the rest', [shardOf('10.0.0.0/24', 200), shardOf('10.0.1.0/24', 3)], ['10.0.1.0/24'], 3],
    ['not at all where nothing fits', [shardOf('10.0.0.0/24', 200), shardOf('10.0.1.0/24', 60)], [], 0],
    ['but for its last shard', [shardOf('10.0.0.0/24', 0)], [], 0],
    ['down to one when it is empty', [shardOf('10.0.0.0/24', 0), shardOf('10.0.1.0/24', 0)], ['10.0.1.0/24'], 0],
    [
      'by many small shards rather than one large one',
      [shardOf('10.0.0.0/24', 1), shardOf('10.0.1.0/28', 9), shardOf('10.0.1.16/28', 9)],
      ['10.0.1.0/28', '10.0.1.16/28'],
      18,
    ],
    [
      'keeping the smaller shard where that moves fewer',
      [shardOf('10.0.0.0/24', 2), shardOf('10.0.1.0/25', 90), shardOf('10.0.1.128/25', 4)],
      ['10.0.0.0/24', '10.0.1.128/25'],
      6,
    ],
    [
      'beside shards that are reserved',
      [shardOf('10.0.0.0/24', 9, { status: 'reserved' }), shardOf('10.0.1.0/24', 9), shardOf('10.0.2.0/24', 8)],
      ['10.0.2.0/24'],
      8,
    ],
  ]
  for (const [sentence, shards, evacuated, moves] of rows) {
    test(sentence, () => {
      const planned = planCompaction('net', [...shards, shardOf('10.7.0.0/24', 0, { networkId: 'other' })])
      expect(planned.evacuate.map(({ shardId }) => shardId)).toEqual([...evacuated])
      expect(planned.moves).toBe(moves)
    })
  }
})

describe('on every small space', () => {
  const spaces = fc
    .infiniteStream(fc.nat({ max: 0xffff }))
    .map((numbers) => createRandomSpace({ below: (limit) => (numbers.next().value ?? 0) % limit }))
  const sizes = fc.constantFrom(16, 32, 64, 128)

  test('the plan is the optimum, and none is missed', () => {
    fc.assert(
      fc.property(spaces, sizes, (space, sizeAddresses) => {
        const question = { ...space, sizeAddresses }
        const planned = planDefragmentation(question)
        const best = defragmentByBruteForce(question)
        if (planned.kind === 'impossible') {
          expect(best).toBeNull()
          expect(planned.candidates.every(({ obstacles }) => obstacles.length > 0)).toBeTrue()
          return
        }
        const { block, moves, evacuate } = planned
        expect(best).toEqual({ moves, shards: evacuate.length, first: block.first })
        expect(sizeOf(block)).toBe(sizeAddresses)
        expectFree(space, planned, block)
      }),
      { numRuns: 400 },
    )
  }, 60_000)

  test('a plan that is carried out leaves nothing to do', () => {
    fc.assert(
      fc.property(spaces, sizes, (space, sizeAddresses) => {
        const planned = planDefragmentation({ ...space, sizeAddresses })
        if (planned.kind === 'impossible') return
        const shards = space.shards.filter(({ id }) => !planned.evacuate.some(({ shardId }) => shardId === id))
        const again = planDefragmentation({ ...space, shards, sizeAddresses })
        expect(again).toMatchObject({ kind: 'planned', moves: 0, evacuate: [] })
      }),
      { numRuns: 200 },
    )
  }, 60_000)

  test('as many shards of a network are emptied as can be, by as few moves as can be', () => {
    fc.assert(
      fc.property(spaces, ({ shards }) => {
        for (const networkId of new Set(shards.map((shard) => shard.networkId))) {
          if (networkId === null) continue
          const { evacuate, moves } = planCompaction(networkId, shards)
          expect({ shards: evacuate.length, moves }).toEqual(compactByBruteForce(networkId, shards))
        }
      }),
      { numRuns: 400 },
    )
  }, 60_000)
})

/** Nothing of the block is cut once these are given back, and no other shard is among them. */
function expectFree({ shards }: RandomSpace, { evacuate }: Evacuation, block: Block): void {
  const evacuated = shards.filter(({ id }) => evacuate.some(({ shardId }) => shardId === id))
  expect(evacuated.every((shard) => contains(block, shard.block))).toBeTrue()
  const left = shards.filter((shard) => !evacuated.includes(shard))
  expect(left.some((shard) => overlaps(shard.block, block))).toBeFalse()
}
