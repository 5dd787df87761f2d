import { expect, test } from 'bun:test'
import { dropsOfRuleset } from './forward-drop.ts'

const ruleset = (...chains: object[]) =>
  JSON.stringify({ nftables: [{ metainfo: { version: '1.0.6' } }, ...chains.map((chain) => ({ chain }))] })
const forward = { family: 'ip', table: 'filter', name: 'FORWARD', hook: 'forward', policy: 'drop' }

test('a chain that drops what is forwarded is named', () => {
  expect(dropsOfRuleset(ruleset(forward, { ...forward, family: 'inet', table: 'own' }))).toEqual([
    'nft chain ip filter FORWARD',
    'nft chain inet own FORWARD',
  ])
})

test('chains that accept, that see something else, or that hang on no hook are none', () => {
  const { hook: _, policy: __, ...user } = forward
  const others = [{ ...forward, policy: 'accept' }, { ...forward, hook: 'input' }, { ...forward, family: 'ip6' }, user]
  expect(dropsOfRuleset(ruleset(...others))).toEqual([])
})
