/** How the ring goes over to other weights: every key is found at every step, and the last of them leaves nothing behind. */

import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { KeyWeights } from '../key-layout.ts'
import {
  findMicroshard,
  isWithin,
  keyAfter,
  type MicroshardDirectory,
  newestLayout,
  planFirstDirectory,
  ringEnd,
  ringStart,
} from '../microshard-directory.ts'
import type { ShardKey } from '../shard-key.ts'
import { planSplit, planSwitch } from './plan-operation.ts'
import { listUnsharded, planReshard, planWeights } from './plan-reshard.ts'
import { suggestWeights } from './suggest-weights.ts'
import { createTestMicroshards } from './test-microshards.ts'

const start = { id: 'operation', startedAt: '' }
const keyOf = (point: bigint): ShardKey => point.toString(16).padStart(16, '0')
/** Anywhere, or of one of few clients, whose keys lie side by side. */
const pointArbitrary = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.tuple(fc.bigInt({ min: 0n, max: 3n }), fc.bigInt({ min: 0n, max: 2n ** 32n - 1n })).map(([client, rest]) => {
    return ((client * 0x40_00_80_01n) << 32n) | rest
  }),
)
const keyArbitrary = pointArbitrary.map(keyOf)
const weightsArbitrary: fc.Arbitrary<KeyWeights> = fc.record({
  clientBits: fc.integer({ min: 8, max: 32 }),
  dataTypeBits: fc.integer({ min: 0, max: 16 }),
  timeBits: fc.integer({ min: 0, max: 16 }),
})

/** As if it had been driven to its switch. */
function carryOut(directory: MicroshardDirectory): MicroshardDirectory {
  const [operation] = directory.operations
  if (operation === undefined) throw new Error('BUG: nothing was begun')
  const sealing = { ...operation, phase: 'sealing' as const }
  const switched = planSwitch({ ...directory, operations: [sealing] }, sealing, { cuts: {}, starts: {} })
  if (switched.kind === 'keep') throw new Error('BUG: it was overtaken')
  return { ...switched.directory, operations: [] }
}

function splitAt(directory: MicroshardDirectory, points: readonly ShardKey[]): MicroshardDirectory {
  return points.reduce((before, at) => {
    const entry = before.microshards.find(({ from, to }) => from < at && at <= to)
    const planned = planSplit(before, start, { microshardId: entry?.id ?? '', at })
    return planned.kind === 'change' ? carryOut(planned.directory) : before
  }, directory)
}

function expectWhole(directory: MicroshardDirectory, keys: readonly ShardKey[]): void {
  const { microshards } = directory
  expect([microshards[0]?.from, microshards.at(-1)?.to]).toEqual([ringStart, ringEnd])
  for (const [i, { to }] of microshards.entries()) {
    if (i < microshards.length - 1) expect(microshards[i + 1]?.from ?? '').toBe(keyAfter(to))
  }
  for (const key of keys) {
    const keepers = microshards.filter((entry) => isWithin(directory, entry, key))
    expect(keepers.map(({ id }) => id)).toContain(findMicroshard(directory, key).id)
    // Seen through its own weights, a key lies in one arc of those weights alone.
    expect(keepers).toHaveLength(1)
  }
}

describe('a re-shard', () => {
  test('keeps the ring whole at each step, also when other weights are named in the middle of it', () => {
    fc.assert(
      fc.property(
        fc.array(keyArbitrary, { minLength: 1, maxLength: 20 }),
        fc.array(keyArbitrary, { maxLength: 8 }),
        fc.array(fc.record({ weights: weightsArbitrary, steps: fc.nat(6) }), { minLength: 1, maxLength: 3 }),
        (keys, cuts, rounds) => {
          // Cuts at keys themselves as well: then a client lies in several microshards.
          let directory = splitAt(planFirstDirectory(2), [...cuts, ...keys.slice(0, 3)])
          const loads = new Map(keys.map((key) => [key, 1]))
          for (const [round, { weights, steps }] of rounds.entries()) {
            const named = planWeights(directory, weights)
            if (named.kind === 'change') directory = named.directory
            const most = round === rounds.length - 1 ? 100 : steps
            for (let i = 0; i < most && listUnsharded(directory).length > 0; i++) {
              const planned = planReshard(directory, start, loads)
              expect(planned?.kind).toBe('change')
              if (planned?.kind !== 'change') return
              // What is copied goes to one target each, and none is left out.
              const [operation] = planned.directory.operations
              for (const key of keys) {
                const isTaken = operation?.sources.some((source) => isWithin(directory, source, key)) === true
                const takers = operation?.targets.filter((target) => isWithin(directory, target, key)) ?? []
                expect(takers.length).toBe(isTaken ? 1 : 0)
              }
              directory = carryOut(planned.directory)
              expectWhole(directory, keys)
            }
          }
          expect(listUnsharded(directory)).toEqual([])
          expect(directory.microshards.every(({ layout }) => layout === newestLayout(directory).version)).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('waits for operations that are under way', () => {
    const named = planWeights(planFirstDirectory(), { clientBits: 24, dataTypeBits: 16, timeBits: 0 })
    if (named.kind === 'keep') throw new Error('BUG: it was refused')
    const begun = planReshard(named.directory, start, new Map())
    if (begun?.kind !== 'change') throw new Error('BUG: it was not begun')
    expect(planReshard(begun.directory, { ...start, id: 'another' }, new Map())).toBeNull()
  })

  test('tells what would move and changes nothing, is refused where it changes nothing, and is begun once', async () => {
    const keys = ['00112233aaaa0000', '00112233bbbb0000', '44556677aaaa0000'] as const
    const objects = new Map(keys.map((key, i) => [key, i + 1]))
    const microshards = createTestMicroshards({ objects })
    const weights = { clientBits: 16, dataTypeBits: 16, timeBits: 0 }
    const dry = await microshards.reshard({ weights, dryRun: true })
    expect(dry).toMatchObject({
      ok: true,
      value: { version: 2, isDryRun: true, remaining: { microshards: 4, keys: 3, keysMoved: 3, objectsMoved: 6 } },
    })
    expect(microshards.directory.current().version).toBe(1)
    const same = await microshards.reshard({ weights: { clientBits: 32, dataTypeBits: 16, timeBits: 16 } })
    expect(same).toMatchObject({ ok: false, problem: { code: 'conflict', title: 'These are its weights' } })
    expect(await microshards.reshard({ weights })).toMatchObject({ ok: true, value: { status: 'resharding' } })
    const begun = await microshards.reshardNext('seed')
    expect(begun).toMatchObject({ ok: true, value: { kind: 'reshard', sources: ['1'], targets: ['5'] } })
  })
})

describe('weights follow the load', () => {
  test('bits that tell nothing apart are not needed', () => {
    expect(suggestWeights(new Map())).toBeNull()
    // Sixteen clients by their first four bits, two types each, no hours.
    const loads = new Map(
      Array.from({ length: 16 }, (_, i) => i.toString(16)).flatMap((client) => [
        [`${client}0000000${'0000'}0000`, 5] as const,
        [`${client}0000000${'8000'}0000`, 5] as const,
      ]),
    )
    const suggested = suggestWeights(loads)
    expect(suggested?.weights).toEqual({ clientBits: 12, dataTypeBits: 9, timeBits: 0 })
    expect(suggested?.entropy.client).toBeCloseTo(4)
    expect(suggested?.entropy.dataType).toBeCloseTo(1)
    expect(suggested?.entropy.time).toBeCloseTo(0)
  })
})
