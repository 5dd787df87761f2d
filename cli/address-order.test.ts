import { describe, expect, test } from 'bun:test'
import { compareAddresses, hasAddress } from './address-order.ts'

test('addresses and blocks are in the order of their numbers, IPv4 first', () => {
  const ordered = [
    '10.0.0.2',
    '10.0.0.10',
    '198.18.16.0/22',
    '2001:db8::/48',
    'fd00::2',
    'fd00::10',
    'fd00:0:0:1::/64',
    'fd00:20::/64',
    'fd00:20:0:ff::/64',
    'fd00:20:0:ff00::/64',
  ]
  expect(ordered.toReversed().toSorted(compareAddresses)).toEqual(ordered)
})

describe('an address is within a block', () => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['198.18.16.0/22', '198.18.19.255', true],
    ['198.18.16.0/22', '198.18.20.0', false],
    ['fd00:20::/64', 'fd00:20::7', true],
    ['fd00:20::/64', 'FD00:0020:0:0:0:0:0:7', true],
    ['fd00:20::/64', 'fd00:20:0:1::7', false],
    ['fd00:20::/64', '198.18.16.1', false],
    ['0.0.0.0/0', 'fd00::1', false],
  ]
  for (const [cidr, address, expected] of rows) {
    test(`${address} in ${cidr}: ${expected}`, () => expect(hasAddress(cidr, address)).toBe(expected))
  }
})
