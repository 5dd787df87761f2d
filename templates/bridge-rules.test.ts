import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderBridgeRules } from './bridge-rules.ts'

const golden = readFileSync(join(import.meta.dir, 'golden/bridge-rules.nft'), 'utf8')
const networks = [
  { vxlanDevice: 'sxb', gateways: ['10.1.0.1', '10.1.1.1'] },
  { vxlanDevice: 'sxa', gateways: ['10.1.0.1'] },
]

test('two networks, one with two shards', () => {
  const rendered = renderBridgeRules({ networks })
  expect(rendered.text).toBe(golden)
  expect(rendered.elements).toEqual(['sxa', 'sxa 10.1.0.1', 'sxb', 'sxb 10.1.0.1', 'sxb 10.1.1.1'])
})

test('the order of the networks does not matter', () => {
  expect(renderBridgeRules({ networks: [...networks].reverse() })).toEqual(renderBridgeRules({ networks }))
})

test('a network that has no shard yet has no gateway to keep', () => {
  const { text } = renderBridgeRules({ networks: [{ vxlanDevice: 'sxa', gateways: [] }] })
  expect(text).toContain('  set gateways {\n    type ifname . ipv4_addr\n  }')
})
