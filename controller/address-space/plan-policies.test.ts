import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { AddressPolicy } from '../contract/address-space.ts'
import type { StoredObject } from '../control-plane/store.ts'
import type { ShardOccupancyValue, ShardValue } from '../objects.ts'
import { blockOf, formatAddress, overlaps, prefixLengthOf } from './cidr.ts'
import { type PolicyNetwork, type PolicyShard, planPolicies } from './plan-policies.ts'
import { createTakenBitmap, encodeBitmap, findFree, setTaken } from './taken-bitmap.ts'

const now = Date.parse('2030-01-01T12:00:00Z')
const ago = (seconds: number) => new Date(now - seconds * 1000).toISOString()

function stored<Value>(id: string, value: Value, updatedAt = ago(7200)): StoredObject<Value> {
  const place = { kind: 'test', shardKey: '0', version: 1, revision: { epoch: 1, sequence: 1 } }
  return { ...place, id, value, createdAt: updatedAt, updatedAt, actionIds: [] }
}

/** A shard of which so many addresses are held. */
function shardOf(
  cidr: string,
  held: number,
  parts: Partial<ShardValue> & Partial<Pick<ShardOccupancyValue, 'lastAccessedAt' | 'quarantined'>> = {},
): PolicyShard {
  const { lastAccessedAt = ago(7200), quarantined, ...value } = parts
  const bitmap = createTakenBitmap(blockOf(cidr))
  for (let i = 0; i < held; i++) setTaken(bitmap, findFree(bitmap) ?? 0, true)
  for (const { offset } of quarantined ?? []) setTaken(bitmap, offset, true)
  const shard = { name: cidr, projectId: 'prj', poolId: 'pol_a', cidr, reserved: false, networkId: 'net', ...value }
  return {
    shard: stored(`shd_${cidr}`, shard),
    occupancy: {
      takenBitmap: encodeBitmap(bitmap),
      resourceCount: held,
      lastAccessedAt,
      ...(quarantined && { quarantined }),
    },
  }
}

function networkOf(policy: AddressPolicy, shards: readonly PolicyShard[]): PolicyNetwork {
  const cuts = shards.map(({ shard }) => shard.value.cidr)
  return {
    network: stored('net', { name: 'net', projectId: 'prj', vni: 1, mtu: 1400 }),
    policy,
    shards,
    pools: [
      { id: 'pol_a', cidr: '10.0.0.0/24', cuts },
      { id: 'pol_b', cidr: '10.1.0.0/20', cuts },
    ],
  }
}

/** In words: what there is to do. */
const planOf = (policy: AddressPolicy, shards: readonly PolicyShard[]) =>
  planPolicies([networkOf(policy, shards)], now).map((operation) => {
    switch (operation.kind) {
      case 'grow':
        return `grow ${operation.sizeAddresses} of ${operation.poolId} at ${operation.utilization}`
      case 'giveBack':
        return `give back ${operation.shard.value.cidr}`
      case 'reportNoRoom':
        return 'no room'
      default:
        return operation satisfies never
    }
  })

describe('a network', () => {
  const grows: AddressPolicy = { growAtUtilization: 0.8 }
  const eleven = [shardOf('10.0.0.0/28', 11)]
  const two = [shardOf('10.0.0.0/28', 13), shardOf('10.0.0.16/28', 13)]
  const range = { first: '10.0.0.0', last: '10.0.0.8' }
  const rows: readonly (readonly [string, AddressPolicy, readonly PolicyShard[], readonly string[]])[] = [
    ['below the mark stays as it is', grows, [shardOf('10.0.0.0/28', 10)], []],
    ['at the mark grows by as much as it has', grows, eleven, ['grow 16 of pol_a at 0.8462']],
    ['without such a policy stays as it is', {}, [shardOf('10.0.0.0/28', 13)], []],
    ['without a shard is left alone', grows, [], []],
    ['of two grows by as much as both', grows, two, ['grow 32 of pol_a at 1']],
    ['grows by what is wanted', { ...grows, growSizeAddresses: 64 }, eleven, ['grow 64 of pol_a at 0.8462']],
    [
      'grows out of a pool that has room',
      { ...grows, growSizeAddresses: 256 },
      eleven,
      ['grow 256 of pol_b at 0.8462'],
    ],
    [
      'grows by what there is room for',
      { ...grows, growSizeAddresses: 256, poolIds: ['pol_a'] },
      eleven,
      ['grow 128 of pol_a at 0.8462'],
    ],
    [
      'without room says so',
      { ...grows, poolIds: ['pol_a'] },
      [shardOf('10.0.0.0/25', 125), shardOf('10.0.0.128/25', 125)],
      ['no room'],
    ],
    ['with as many shards as it may have stays as it is', { ...grows, maximumShards: 2 }, two, []],
    [
      'counts nothing of shards that give nothing',
      grows,
      [shardOf('10.0.0.0/28', 11), shardOf('10.0.0.16/28', 0, { reserved: true })],
      ['grow 32 of pol_a at 0.8462'],
    ],
    [
      'whose only shard migrates can give nothing',
      grows,
      [shardOf('10.0.0.0/28', 2, { migrationId: 'mig' })],
      ['grow 16 of pol_a at 1'],
    ],
    [
      'counts what is in quarantine as used',
      grows,
      [shardOf('10.0.0.0/28', 10, { quarantined: [{ offset: 13, until: ago(-60) }] })],
      ['grow 16 of pol_a at 0.8462'],
    ],
    [
      'counts what was in quarantine as free',
      grows,
      [shardOf('10.0.0.0/28', 10, { quarantined: [{ offset: 13, until: ago(60) }] })],
      [],
    ],
    [
      'does not count what it keeps',
      { ...grows, reservedRanges: [range] },
      [shardOf('10.0.0.0/28', 12)],
      ['grow 16 of pol_a at 0.8333'],
    ],
  ]
  for (const [sentence, policy, shards, expected] of rows) {
    test(sentence, () => expect(planOf(policy, shards)).toEqual([...expected]))
  }
})

describe('an empty shard', () => {
  const gives: AddressPolicy = { giveBackAfterSeconds: 3600 }
  const first = shardOf('10.0.0.0/28', 3)
  const empty = shardOf('10.0.0.16/28', 0)
  const rows: readonly (readonly [string, AddressPolicy, readonly PolicyShard[], readonly string[]])[] = [
    ['is given back after a while', gives, [first, empty], ['give back 10.0.0.16/28']],
    ['that is the last stays', gives, [empty], []],
    ['stays where nobody asks for that', {}, [first, empty], []],
    ['that was used just now stays', gives, [first, shardOf('10.0.0.16/28', 0, { lastAccessedAt: ago(3599) })], []],
    [
      'that was never used is given back after a while',
      gives,
      [first, shardOf('10.0.0.16/28', 0, { lastAccessedAt: null })],
      ['give back 10.0.0.16/28'],
    ],
    [
      'of several goes first that is the youngest',
      gives,
      [first, empty, shardOf('10.0.0.32/28', 0)],
      ['give back 10.0.0.32/28'],
    ],
    ['that is reserved stays', gives, [first, shardOf('10.0.0.16/28', 0, { reserved: true })], []],
    ['stays while the only other is reserved', gives, [shardOf('10.0.0.0/28', 0, { reserved: true }), empty], []],
    ['stays while another migrates', gives, [first, shardOf('10.0.0.32/28', 1, { migrationId: 'mig' }), empty], []],
    [
      'with an address in quarantine stays',
      gives,
      [first, shardOf('10.0.0.16/28', 0, { quarantined: [{ offset: 3, until: ago(-1) }] })],
      [],
    ],
    [
      'with an address that is kept for a machine stays',
      { ...gives, pinnedAddresses: [{ address: '10.0.0.20', machineName: 'web-1' }] },
      [first, empty],
      [],
    ],
    [
      'without which the network would grow again stays',
      { ...gives, growAtUtilization: 0.8 },
      [shardOf('10.0.0.0/28', 11), empty],
      [],
    ],
  ]
  for (const [sentence, policy, shards, expected] of rows) {
    test(sentence, () => expect(planOf(policy, shards)).toEqual([...expected]))
  }
})

test('turn after turn a network comes to rest, within its maximum, and holds what it held', () => {
  const policyArbitrary = fc.record({
    growAtUtilization: fc.constantFrom(0.5, 0.8, 1),
    giveBackAfterSeconds: fc.constant(3600),
    maximumShards: fc.integer({ min: 1, max: 8 }),
  })
  fc.assert(
    fc.property(policyArbitrary, fc.array(fc.nat(13), { minLength: 1, maxLength: 6 }), (policy, counts) => {
      const begun = counts.map((held, i) => shardOf(`10.0.0.${i * 16}/28`, held))
      let shards: readonly PolicyShard[] = begun
      for (let turn = 0; ; turn++) {
        expect(turn).toBeLessThan(20)
        const network = networkOf(policy, shards)
        const [operation, ...more] = planPolicies([network], now)
        expect(more).toEqual([])
        if (operation === undefined || operation.kind === 'reportNoRoom') break
        if (operation.kind === 'giveBack') {
          expect(shards.find(({ shard }) => shard === operation.shard)?.occupancy.resourceCount).toBe(0)
          shards = shards.filter(({ shard }) => shard !== operation.shard)
          continue
        }
        const pool = network.pools.find(({ id }) => id === operation.poolId)
        const prefixLength = prefixLengthOf(operation.sizeAddresses)
        const cidr = findRoom(blockOf(pool?.cidr ?? '').first, prefixLength, pool?.cuts ?? [])
        shards = [...shards, shardOf(cidr, 0)]
        expect(shards.length).toBeLessThanOrEqual(Math.max(policy.maximumShards, begun.length))
      }
      const heldIn = (all: readonly PolicyShard[]) =>
        all.reduce((sum, { occupancy }) => sum + occupancy.resourceCount, 0)
      expect(shards.length).toBeGreaterThan(0)
      expect(heldIn(shards)).toBe(heldIn(begun))
    }),
  )
})

/** The lowest place of that size that nothing is cut from. */
function findRoom(first: number, prefixLength: number, cuts: readonly string[]): string {
  for (let start = first; ; start += 2 ** (32 - prefixLength)) {
    const block = { first: start, prefixLength }
    if (!cuts.some((cut) => overlaps(blockOf(cut), block))) return `${formatAddress(start)}/${prefixLength}`
  }
}
