import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { anyAddressSchema, anyCidrSchema, cidrSchema } from './common.ts'

/** The form alone: what is in it is for the services to judge, which say more. */
const rows: readonly (readonly [string, { readonly any: boolean; readonly ipv4: boolean }])[] = [
  ['198.18.16.0/22', { any: true, ipv4: true }],
  ['fd00:20::/48', { any: true, ipv4: false }],
  ['FD00:0020:0:0:0:0:0:0/48', { any: true, ipv4: false }],
  ['::/0', { any: true, ipv4: false }],
  ['::ffff:198.18.16.0/120', { any: true, ipv4: false }],
  ['198.18.16.0', { any: false, ipv4: false }],
  ['fd00:20::', { any: false, ipv4: false }],
  ['fd00:20::/1000', { any: false, ipv4: false }],
  ['fe80::%eth0/64', { any: false, ipv4: false }],
  ['fd00:20::/48 ', { any: false, ipv4: false }],
  ['web', { any: false, ipv4: false }],
]

describe('a block is admitted', () => {
  for (const [text, { any, ipv4 }] of rows) {
    test(`'${text}': of either family ${any}, of IPv4 ${ipv4}`, () => {
      expect(v.is(anyCidrSchema, text)).toBe(any)
      expect(v.is(cidrSchema, text)).toBe(ipv4)
    })
  }

  test('and refused with what it may be', () => {
    const { issues } = v.safeParse(anyCidrSchema, 'web')
    expect(issues?.[0]?.message).toBe('must be a CIDR block, as 198.18.16.0/22 or fd00:20::/48')
  })
})

describe('an address is admitted', () => {
  for (const text of ['198.18.16.2', 'fd00:20::2', 'FD00:20:0:0:0:0:0:2', '::ffff:198.18.16.2']) {
    test(text, () => expect(v.is(anyAddressSchema, text)).toBe(true))
  }
  for (const text of ['198.18.16.256', 'fd00:20:::2', 'fd00:20::/64', 'fe80::1%eth0 ', 'web', '']) {
    test(`but not '${text}'`, () => expect(v.is(anyAddressSchema, text)).toBe(false))
  }
})
