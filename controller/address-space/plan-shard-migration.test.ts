import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { StoredObject } from '../control-plane/store.ts'
import type { ShardOccupancyValue, ShardValue } from '../objects.ts'
import { addressOf, blockOf, containsAddress, sizeOf } from './cidr.ts'
import { estimateSeconds, type Holder, planShardMigration, selectTargets } from './plan-shard-migration.ts'
import { createTakenBitmap, encodeBitmap, setTaken } from './taken-bitmap.ts'

const now = Date.parse('2030-01-01T00:00:00Z')

function makeShard(id: string, cidr: string, more: Partial<ShardValue> = {}): StoredObject<ShardValue> {
  return {
    kind: 'shard',
    id,
    shardKey: '0',
    version: 1,
    revision: { epoch: 1, sequence: 1 },
    value: { name: id, projectId: 'prj', poolId: 'pol', cidr, reserved: false, networkId: 'net', ...more },
    createdAt: '',
    updatedAt: '',
    actionIds: [],
  }
}

function occupy(cidr: string, held: number, more: Partial<ShardOccupancyValue> = {}): ShardOccupancyValue {
  const bitmap = createTakenBitmap(blockOf(cidr))
  for (let offset = 2; offset < 2 + held; offset++) setTaken(bitmap, offset, true)
  return { takenBitmap: encodeBitmap(bitmap), resourceCount: held, lastAccessedAt: null, ...more }
}

const makeHolders = (count: number): readonly Holder[] =>
  Array.from({ length: count }, (_, i) => ({
    ownerId: `mch_${i}`,
    ownerKind: 'machine',
    name: `web-${i}`,
    address: `10.9.0.${i + 2}`,
  }))

function plan(holders: number, shards: readonly [StoredObject<ShardValue>, ShardOccupancyValue][]) {
  const occupancies = new Map(shards.map(([{ id }, occupancy]) => [id, occupancy]))
  const targets = selectTargets('source', 'net', {
    shards: shards.map(([shard]) => shard),
    occupancyOf: (id) => occupancies.get(id),
    keptRanges: [{ first: addressOf('10.0.0.4'), last: addressOf('10.0.0.5') }],
    now,
  })
  return planShardMigration(makeHolders(holders), targets)
}

describe('holders go', () => {
  test('to the first free addresses of the first shard, then to those of the next', () => {
    const { moves, freeAddresses, missingAddresses } = plan(3, [
      [makeShard('a', '10.1.0.0/28'), occupy('10.1.0.0/28', 11)],
      [makeShard('b', '10.2.0.0/28'), occupy('10.2.0.0/28', 0)],
    ])
    expect(moves.map(({ name, to }) => [name, to.address, to.shardId])).toEqual([
      ['web-0', '10.1.0.13', 'a'],
      ['web-1', '10.1.0.14', 'a'],
      ['web-2', '10.2.0.2', 'b'],
    ])
    expect({ freeAddresses, missingAddresses }).toEqual({ freeAddresses: 15, missingAddresses: 0 })
  })

  const unusable: readonly (readonly [string, StoredObject<ShardValue>])[] = [
    ['the shard itself', makeShard('source', '10.1.0.0/28')],
    ['of another network', makeShard('a', '10.1.0.0/28', { networkId: 'other' })],
    ['of no network', makeShard('a', '10.1.0.0/28', { networkId: null })],
    ['that is reserved', makeShard('a', '10.1.0.0/28', { reserved: true })],
    ['that is being emptied itself', makeShard('a', '10.1.0.0/28', { migrationId: 'mig' })],
  ]
  for (const [sentence, shard] of unusable) {
    test(`to no shard ${sentence}`, () => {
      expect(plan(2, [[shard, occupy('10.1.0.0/28', 0)]])).toMatchObject({
        moves: [],
        freeAddresses: 0,
        missingAddresses: 2,
      })
    })
  }

  test('to no address that a policy keeps', () => {
    const { moves } = plan(3, [[makeShard('a', '10.0.0.0/28'), occupy('10.0.0.0/28', 0)]])
    expect(moves.map(({ to }) => to.address)).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.6'])
  })

  test('to an address out of quarantine, and to none within', () => {
    const quarantined = [
      { offset: 2, until: new Date(now - 1).toISOString() },
      { offset: 3, until: new Date(now + 1).toISOString() },
    ]
    const { moves } = plan(2, [[makeShard('a', '10.1.0.0/28'), occupy('10.1.0.0/28', 2, { quarantined })]])
    expect(moves.map(({ to }) => to.address)).toEqual(['10.1.0.2', '10.1.0.4'])
  })

  test('each to one of its own that was free, and those who are left over are as many as are missing', () => {
    const held = fc.array(fc.integer({ min: 0, max: 13 }), { maxLength: 5 })
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60 }), held, (holders, shares) => {
        const shards = shares.map((share, i): [StoredObject<ShardValue>, ShardOccupancyValue] => {
          const cidr = `10.1.${i}.0/28`
          return [makeShard(`s${i}`, cidr), occupy(cidr, share)]
        })
        const { moves, freeAddresses, missingAddresses } = plan(holders, shards)
        expect(freeAddresses).toBe(shares.reduce((sum, share) => sum + sizeOf(blockOf('10.1.0.0/28')) - 3 - share, 0))
        expect(missingAddresses).toBe(Math.max(0, holders - freeAddresses))
        expect(moves.length + missingAddresses).toBe(holders)
        expect(new Set(moves.map(({ to }) => to.address)).size).toBe(moves.length)
        for (const { to } of moves) {
          const shard = shards.find(([{ id }]) => id === to.shardId)?.[0]
          expect(containsAddress(blockOf(shard?.value.cidr ?? '0.0.0.0/32'), addressOf(to.address))).toBe(true)
        }
      }),
    )
  })
})

test('it takes as many rounds as the parallelism makes of it, each with a whole drain', () => {
  expect(estimateSeconds(17, { parallelism: 8, drainSeconds: 30 })).toBe(3 * 40)
  expect(estimateSeconds(0, { parallelism: 8, drainSeconds: 30 })).toBe(0)
})
