import { expect, test } from 'bun:test'
import { describePlannedMoves, planRoom } from './plan-room.ts'

const shard = { poolId: 'pol_1', networkId: 'net_1', resourceCount: 0 }

test('room for all holders is the smallest shard that takes them', () => {
  const sizes = [1, 13, 14, 1021, 1022, 4093].map(
    (resourceCount) => planRoom({ ...shard, resourceCount }).sizeAddresses,
  )
  expect(sizes).toEqual([16, 16, 32, 1024, 2048, 4096])
  expect(planRoom({ ...shard, resourceCount: 5 })).toEqual({ poolId: 'pol_1', networkId: 'net_1', sizeAddresses: 16 })
})

test('there is none for more than a shard takes, and none where the shard is on no network', () => {
  expect(() => planRoom({ ...shard, resourceCount: 4094 })).toThrow('more than one shard takes')
  expect(() => planRoom({ ...shard, networkId: null })).toThrow('on no network')
})

test('the first moves are shown, and what breaks', () => {
  const move = { ownerId: 'mch_1', ownerKind: 'machine' as const, name: 'web', from: '10.0.0.2', to: '10.0.4.2' }
  const plan = { shardId: 'shd_1', networkId: 'net_1', toNetworkId: null, mode: 'restart' as const, secondsMaximum: 80 }
  const moves = Array.from({ length: 12 }, () => ({ ...move, breaksConnections: true }))
  const lines = describePlannedMoves({ ...plan, moves }).split('\n')
  expect(lines[0]).toBe('12 move, in at most 80 s')
  expect(lines[1]).toBe('  web  10.0.0.2 → 10.0.4.2  (its connections break)')
  expect(lines.slice(-1)).toEqual(['  and 2 more'])
  expect(lines).toHaveLength(12)
})
