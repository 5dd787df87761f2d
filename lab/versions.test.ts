import { expect, test } from 'bun:test'
import { isVersionAtLeast, parseVersion } from './versions.ts'

test('versions are found in what programs print', () => {
  expect(parseVersion('nats-server: v2.15.2')).toBe('2.15.2')
  expect(parseVersion('HAProxy version 2.6.12-1+deb12u4 2026/04/18 - https://haproxy.org/')).toBe('2.6.12')
  expect(parseVersion('Keepalived v2.2.7 (01/16,2022)')).toBe('2.2.7')
  expect(parseVersion('Dnsmasq version 2.90  Copyright (c) 2000-2024 Simon Kelley')).toBe('2.90')
  expect(parseVersion('unknown option --version')).toBeUndefined()
})

test('versions are compared number by number', () => {
  expect(isVersionAtLeast('2.15.2', '2.9')).toBe(true)
  expect(isVersionAtLeast('2.9.10', '2.15.0')).toBe(false)
  expect(isVersionAtLeast('2.15', '2.15.0')).toBe(true)
  expect(isVersionAtLeast('2.15.0', '2.15.1')).toBe(false)
})
