import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { readSettings } from '../settings.ts'
import { parseServer, readKeyFile } from './read-settings.ts'

const uplink = { SLUICE_UPLINK_CIDR: '198.18.32.0/20', SLUICE_UPLINK_GATEWAY: '198.18.32.1' }
const named = { SLUICE_DNS_ZONE: 'lb.example.net', SLUICE_DNS_SERVER: '192.0.2.53', SLUICE_DNS_KEY_FILE: '/run/key' }
const read = (environment: Readonly<Record<string, string>>) => readSettings({ ...uplink, ...environment })

describe('the environment', () => {
  test('says nothing of names: none are kept', () => {
    expect(read({})).toMatchObject({ nameServer: null, controller: { names: null } })
  })

  test('says all that is needed', () => {
    const settings = read({ ...named, SLUICE_DNS_ZONE: 'LB.Example.net.', SLUICE_DNS_TTL_SECONDS: '5' })
    expect(settings.controller.names).toEqual({
      zone: 'lb.example.net',
      ttlSeconds: 5,
      sweepSeconds: 30,
      owner: 'sluice',
    })
    expect(settings.nameServer).toMatchObject({ address: '192.0.2.53', port: 53, keyFile: '/run/key' })
  })

  const bad: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
    ['a zone that is none', { ...named, SLUICE_DNS_ZONE: 'lb..net' }, 'SLUICE_DNS_ZONE must be a domain name'],
    [
      'a zone of one label',
      { ...named, SLUICE_DNS_ZONE: 'net' },
      'SLUICE_DNS_ZONE must be a domain name of two labels',
    ],
    ['a zone with a space', { ...named, SLUICE_DNS_ZONE: 'lb example.net' }, 'SLUICE_DNS_ZONE must be a domain name'],
    [
      'a zone that leaves no room',
      { ...named, SLUICE_DNS_ZONE: `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}` },
      'SLUICE_DNS_ZONE must be at most',
    ],
    ['a server by a name', { ...named, SLUICE_DNS_SERVER: 'ns.example.net' }, 'SLUICE_DNS_SERVER must be an address'],
    ['a port of 70000', { ...named, SLUICE_DNS_SERVER: '192.0.2.53:70000' }, 'SLUICE_DNS_SERVER must be an address'],
    ['a TTL of nothing', { ...named, SLUICE_DNS_TTL_SECONDS: '0' }, 'SLUICE_DNS_TTL_SECONDS must be 1 to 3600 seconds'],
    [
      'a TTL that is no number',
      { ...named, SLUICE_DNS_TTL_SECONDS: 'short' },
      'SLUICE_DNS_TTL_SECONDS must be a number of seconds',
    ],
    ['an owner with a comma', { ...named, SLUICE_DNS_OWNER: 'a,b' }, 'SLUICE_DNS_OWNER must be lower-case letters'],
    [
      'a zone alone',
      { SLUICE_DNS_ZONE: 'lb.example.net' },
      'SLUICE_DNS_SERVER and SLUICE_DNS_KEY_FILE must be set too',
    ],
  ]
  for (const [what, environment, message] of bad) {
    test(`${what} is refused`, () => expect(() => read(environment)).toThrow(message))
  }
})

describe('a server is given', () => {
  const rows: readonly (readonly [string, ReturnType<typeof parseServer>])[] = [
    ['192.0.2.53', { address: '192.0.2.53', port: 53 }],
    ['192.0.2.53:5353', { address: '192.0.2.53', port: 5353 }],
    ['2001:db8::53', { address: '2001:db8::53', port: 53 }],
    ['[2001:db8::53]:5353', { address: '2001:db8::53', port: 5353 }],
    ['[192.0.2.53]:53', null],
    ['192.0.2.53:0', null],
    ['', null],
  ]
  for (const [text, server] of rows) test(`as '${text}'`, () => expect(parseServer(text)).toEqual(server))
})

describe("the key's file", () => {
  test('that is not there, or holds no key, is named with what it must hold, and its secret is not told', async () => {
    const folder = mkdtempSync(`${tmpdir()}/sluice-key-`)
    try {
      expect(readKeyFile(`${folder}/none`)).rejects.toThrow(`SLUICE_DNS_KEY_FILE ${folder}/none can not be read`)
      writeFileSync(`${folder}/key`, 'hmac-sha256:sluice:verysecret!')
      const refusal = await readKeyFile(`${folder}/key`).catch((error: unknown) => String(error))
      expect(refusal).toContain(`SLUICE_DNS_KEY_FILE ${folder}/key: its secret is not base 64`)
      expect(refusal).not.toContain('verysecret')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
