import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type AddressPolicy, allocationOrders } from '../contract/address-space.ts'
import { createClientId, createId } from '../control-plane/shard-key.ts'
import type { StoredObject } from '../control-plane/store.ts'
import {
  machineKind,
  networkKind,
  type ShardOccupancyValue,
  type ShardValue,
  shardKind,
  shardOccupancyKind,
} from '../objects.ts'
import { createShardSpace, type ShardSpace } from './allocator-space.ts'
import { formatAddress } from './cidr.ts'
import { planAllocations } from './plan-allocations.ts'
import { createShardBitmap, encodeBitmap } from './taken-bitmap.ts'

const random = (bytes: number) => new Uint8Array(bytes).fill(7)
const projectId = createClientId('prj', 1, random)
const networkIds = [1, 2].map((now) => createId(networkKind.prefix, projectId, now, random))

function objectOf<Value>(kind: string, id: string, version: number, value: Value): StoredObject<Value> {
  const revision = { epoch: 1, sequence: version }
  const times = { createdAt: '2030-01-01T00:00:00Z', updatedAt: '2030-01-01T00:00:00Z' }
  return { kind, id, shardKey: '0', version, revision, value, actionIds: [], ...times }
}

const shardIdOf = (i: number) => createId(shardKind.prefix, projectId, 1000 + i, random)

const shardOf = (i: number, version: number, parts: Partial<ShardValue> = {}): StoredObject<ShardValue> => {
  const cidr = `${formatAddress(10 * 2 ** 24 + i * 16)}/28`
  const value = { name: cidr, projectId, poolId: 'pol_1', cidr, reserved: false, networkId: networkIds[0] ?? '' }
  return objectOf(shardKind.name, shardIdOf(i), version, { ...value, ...parts })
}

function occupancyOf(
  i: number,
  version: number,
  resourceCount: number,
  turn?: number,
): StoredObject<ShardOccupancyValue> {
  const takenBitmap = encodeBitmap(createShardBitmap('10.0.0.0/28'))
  const lastGiven = turn === undefined ? {} : { lastGiven: { offset: turn % 16, turn } }
  return objectOf(shardOccupancyKind.name, shardIdOf(i), version, {
    takenBitmap,
    resourceCount,
    lastAccessedAt: null,
    ...lastGiven,
  })
}

const shardsMaximum = 8
const changeArbitrary = fc.record({
  kind: fc.constantFrom('held', 'held', 'held', 'marked', 'moved', 'deleted', 'old'),
  shard: fc.nat(shardsMaximum - 1),
  number: fc.nat(13),
})

describe('shards in the order in which addresses are given out of them', () => {
  test('are after any changes as if they were read anew', () => {
    fc.assert(
      fc.property(fc.array(changeArbitrary, { maxLength: 60 }), (changes) => {
        const kept = createShardSpace()
        const latest = new Map<string, StoredObject<unknown>>()
        let version = 0
        let turn = 0
        const put = (object: StoredObject<unknown>) => {
          kept.put(object)
          latest.set(`${object.kind} ${object.id}`, object)
        }
        for (let i = 0; i < shardsMaximum; i++) {
          put(shardOf(i, ++version))
          put(occupancyOf(i, ++version, 0))
        }
        for (const { kind, shard, number } of changes) {
          // Asked for in between, so that it is kept and not made at the end.
          for (const networkId of networkIds) kept.shardsOf(networkId)
          if (kind === 'held') put(occupancyOf(shard, ++version, number, number % 2 === 0 ? ++turn : undefined))
          if (kind === 'marked')
            put(shardOf(shard, ++version, number % 2 === 0 ? { migrationId: 'mig_1' } : { reserved: true }))
          if (kind === 'moved') put(shardOf(shard, ++version, { networkId: [...networkIds, null][number % 3] ?? null }))
          if (kind === 'old') kept.put(occupancyOf(shard, 1, number))
          if (kind !== 'deleted') continue
          put(objectOf(shardOccupancyKind.name, shardIdOf(shard), ++version, null))
          put(objectOf(shardKind.name, shardIdOf(shard), ++version, null))
        }
        const anew = createShardSpace()
        for (const object of latest.values()) anew.put(object)
        for (const networkId of networkIds) {
          const [{ lastGiven: last, ...rest }, { lastGiven: lastAnew, ...restAnew }] = [
            kept.shardsOf(networkId),
            anew.shardsOf(networkId),
          ]
          expect({ ...rest, shares: null }).toEqual({ ...restAnew, shares: null } as never)
          // The one given last may be of a record that has forgotten it since.
          expect(last?.turn ?? 0).toBeGreaterThanOrEqual(lastAnew?.turn ?? 0)
          for (let i = 0; i < shardsMaximum; i++) {
            const address = formatAddress(10 * 2 ** 24 + i * 16 + 5)
            const found = kept.shardsOf(networkId).all.find(({ id }) => id === shardIdOf(i))
            expect(kept.findShard(networkId, address)?.id).toBe(found?.id)
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('an allocation looks at equally many shards however many there are', () => {
  /** Two thirds of them full, the others held by a few. */
  function countLooks(shards: number, policy: AddressPolicy): number {
    const [networkId = ''] = networkIds
    const space = createShardSpace()
    for (let i = 0; i < shards; i++) {
      space.put(shardOf(i, 1))
      space.put(occupancyOf(i, 1, i % 3 === 0 ? i % 7 : 13))
    }
    space.shardsOf(networkId)
    let looks = 0
    const counting: Omit<ShardSpace, 'put'> = {
      ...space,
      shardOf(id) {
        looks++
        return space.shardOf(id)
      },
      occupancyOf(id) {
        looks++
        return space.occupancyOf(id)
      },
    }
    const requests = Array.from({ length: 8 }, (_, i) => {
      const ownerId = createId(machineKind.prefix, projectId, i + 1, random)
      return { kind: 'allocate', networkId, ownerId } as const
    })
    const means = { shards: counting, heldBy: () => [], holderOf: () => null, policyOf: () => policy }
    const { results } = planAllocations(requests, means, { now: 0, random: (bytes) => new Uint8Array(bytes) })
    expect(results.every(({ kind }) => kind === 'held')).toBeTrue()
    return looks
  }

  for (const allocationOrder of [undefined, ...allocationOrders]) {
    test(`given ${allocationOrder ?? 'as nobody says'}`, () => {
      const policy = allocationOrder === undefined ? {} : { allocationOrder }
      // A binary search takes a few steps more among more.
      expect(countLooks(3000, policy)).toBeLessThan(2 * countLooks(30, policy))
    })
  }
})
