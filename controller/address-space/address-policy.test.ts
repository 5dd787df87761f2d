import { describe, expect, test } from 'bun:test'
import type { AddressPolicy } from '../contract/address-space.ts'
import { createKeptBitmap, effectivePolicy, findPolicyFault, listKeptRanges } from './address-policy.ts'
import { blockOf } from './cidr.ts'
import { isTaken } from './taken-bitmap.ts'

describe('the policy that holds', () => {
  test("is the network's, and the project's in what that leaves out", () => {
    const network = { maximumShards: 2, reservedRanges: [] }
    const project = {
      maximumShards: 8,
      quarantineSeconds: 60,
      reservedRanges: [{ first: '10.0.0.2', last: '10.0.0.3' }],
    }
    expect(effectivePolicy(network, project)).toEqual({ maximumShards: 2, quarantineSeconds: 60, reservedRanges: [] })
  })

  test('is empty when nobody says anything', () => {
    expect(effectivePolicy(undefined, undefined)).toEqual({})
    expect(effectivePolicy({ growAtUtilization: 0.8 }, undefined)).toEqual({ growAtUtilization: 0.8 })
  })
})

describe('a policy is refused', () => {
  const pools = [
    { id: 'pol_a', cidr: '10.0.0.0/16' },
    { id: 'pol_b', cidr: '10.1.0.0/16' },
    { id: 'pol_c', cidr: '10.2.0.0/24' },
  ]
  const rows: readonly (readonly [string, AddressPolicy, string, string])[] = [
    ['with a pool that is not there', { poolIds: ['pol_a', 'pol_x'] }, 'poolIds[1]', 'there is no pool pol_x'],
    ['with a pool twice', { poolIds: ['pol_a', 'pol_a'] }, 'poolIds[1]', 'twice'],
    [
      'with growth that its maximum never lets happen',
      { growAtUtilization: 0.8, maximumShards: 1 },
      'growAtUtilization',
      'maximumShards is 1',
    ],
    [
      'with growth by more than any pool has',
      { growAtUtilization: 0.8, growSizeAddresses: 512, poolIds: ['pol_c'] },
      'growSizeAddresses',
      'is 512, and the largest pool that its shards may come from has 256',
    ],
    [
      'with a range that ends before it begins',
      { reservedRanges: [{ first: '10.0.0.9', last: '10.0.0.2' }] },
      'reservedRanges[0]',
      'ends at 10.0.0.2, which is before 10.0.0.9',
    ],
    [
      'with a range of something else',
      { reservedRanges: [{ first: '10.0.0.2', last: 'x' }] },
      'reservedRanges[0].last',
      'x is no IPv4 address',
    ],
    [
      'with an address pinned twice',
      {
        pinnedAddresses: [
          { address: '10.0.0.9', machineName: 'web-1' },
          { address: '10.0.0.9', machineName: 'web-2' },
        ],
      },
      'pinnedAddresses[1].address',
      "pinned for 'web-1' already",
    ],
    [
      'with a machine that has two',
      {
        pinnedAddresses: [
          { address: '10.0.0.9', machineName: 'web-1' },
          { address: '10.0.0.10', machineName: 'web-1' },
        ],
      },
      'pinnedAddresses[1].machineName',
      "'web-1' has 10.0.0.9 pinned already",
    ],
    [
      'with an address pinned outside every pool',
      { pinnedAddresses: [{ address: '10.9.0.9', machineName: 'web-1' }] },
      'pinnedAddresses[0].address',
      'is in no pool that its shards may come from: 10.0.0.0/16, 10.1.0.0/16, 10.2.0.0/24',
    ],
    [
      'with an address pinned in a pool that its shards may not come from',
      { poolIds: ['pol_a'], pinnedAddresses: [{ address: '10.1.0.9', machineName: 'web-1' }] },
      'pinnedAddresses[0].address',
      'may come from: 10.0.0.0/16',
    ],
  ]
  for (const [sentence, policy, field, words] of rows) {
    test(sentence, () => {
      const fault = findPolicyFault(policy, pools)
      expect(fault?.field).toBe(`addressPolicy.${field}`)
      expect(fault?.message).toContain(words)
    })
  }

  test('where its project says which pools there are', () => {
    const policy = { pinnedAddresses: [{ address: '10.1.0.9', machineName: 'web-1' }] }
    expect(findPolicyFault(policy, pools)).toBeNull()
    expect(findPolicyFault(policy, pools, ['pol_a'])?.field).toBe('addressPolicy.pinnedAddresses[0].address')
  })

  test('not for growing up to a maximum', () => {
    expect(findPolicyFault({ growAtUtilization: 0.8, maximumShards: 2, poolIds: ['pol_a'] }, pools)).toBeNull()
  })
})

test('what is kept of a block is what ranges and pins have in it', () => {
  const ranges = listKeptRanges({
    reservedRanges: [
      { first: '10.0.0.12', last: '10.0.0.17' },
      { first: '10.9.0.0', last: '10.9.0.9' },
    ],
    pinnedAddresses: [{ address: '10.0.0.5', machineName: 'web-1' }],
  })
  const keptOf = (cidr: string) => {
    const bitmap = createKeptBitmap(ranges, blockOf(cidr), 2)
    return bitmap === null ? null : Array.from({ length: 16 }, (_, i) => i).filter((i) => isTaken(bitmap, i))
  }
  expect(keptOf('10.0.0.0/28')).toEqual([5, 12, 13, 14, 15])
  expect(keptOf('10.0.0.16/28')).toEqual([0, 1])
  expect(keptOf('10.0.1.0/28')).toBeNull()
})
