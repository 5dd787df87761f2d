/** Joining, against a controller that answers what the test says. Root is only claimed: all files are in a folder of the test's. */

import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createHash, createHmac } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JoinRequest } from '../contract/enrolment.ts'
import type { RunCommand } from '../operations/run-command.ts'
import { type JoinOptions, joinHost } from './join.ts'
import { fingerprintOf } from './join-token.ts'

// Made for this test alone: P-256, valid until 2126.
const authority = `-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUPNQnQ3jberQuXp8syRkSbw64G+AwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLU2x1aWNlIHRlc3QwIBcNMjYxMTIxMTIyMTQxWhgPMjEyNjEw
MjgxMjIxNDFaMBYxFDASBgNVBAMMC1NsdWljZSB0ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEBYKYkdcF/1OW+NmOS9y7As+7jMwk0A+6hku16yeuPFD1V000
eB21Uj2yFowZwDuaE3+ljy4h6kX7/NqNW/VxCaNTMFEwHQYDVR0OBBYEFGf0+f5c
U6wZD0w/4sfAzEUWgbo1MB8GA1UdIwQYMBaAFGf0+f5cU6wZD0w/4sfAzEUWgbo1
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgNzHFS0Eoz4WgA5Xb
ufo7IXGrf3NREZXsRytREsDQQ2UCIQCFPnDAEmSfO2eAGc1bFgxzdbAJm8CrtIuB
mSzkbzc/oA==
-----END CERTIFICATE-----
`
const fingerprint = fingerprintOf(authority)
const token = (parts: { host?: string; fingerprint?: string } = {}) =>
  `sluice-join.${parts.host ?? 'host-1'}.jtk_x.s3cret.${parts.fingerprint ?? fingerprint}`

let folder: string
let requests: { path: string; body: JoinRequest }[]
let respond: () => Response
let server: ReturnType<typeof Bun.serve>

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-join-'))
  requests = []
  respond = answer
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      requests.push({ path: new URL(request.url).pathname, body: (await request.json()) as JoinRequest })
      return respond()
    },
  })
})
afterEach(async () => {
  await server.stop(true)
  await rm(folder, { recursive: true, force: true })
})

const answer = () =>
  Response.json({
    hostId: 'hst_x',
    host: 'host-1',
    natsServers: ['tls://198.18.0.254:4222'],
    userJwt: `jwt ${requests.length}`,
    caCertificate: authority,
  })

/** A host as iproute2 sees it: an uplink without an address, and an underlay. */
const devices: RunCommand = async () => ({
  exitCode: 0,
  stdout: JSON.stringify([
    { ifname: 'lo', addr_info: [{ family: 'inet', local: '127.0.0.1', scope: 'host' }] },
    { ifname: 'eth0', addr_info: [{ family: 'inet6', local: 'fe80::1', scope: 'link' }] },
    { ifname: 'eth1', addr_info: [{ family: 'inet', local: '198.18.0.1', scope: 'global' }] },
  ]),
  stderr: '',
})

function joinWith(overrides: Partial<JoinOptions> = {}): Promise<string> {
  const options: JoinOptions = {
    userId: 0,
    controllerUrl: server.url.origin,
    token: token(),
    uplinkDevice: 'eth0',
    underlayDevice: 'eth1',
    configurationFolder: folder,
    stateFolder: '/var/lib/sluice-agent',
    runFolder: '/run/sluice-agent',
    ...overrides,
  }
  return joinHost(options, devices)
}

const read = (name: string) => readFile(join(folder, name), 'utf8')

describe('a host joins', () => {
  test('and keeps what its agent starts from, for its owner alone', async () => {
    expect(await joinWith()).toBe('host-1')
    expect((await readdir(folder)).sort()).toEqual(['agent.json', 'agent.jwt', 'agent.nk', 'ca.pem'])
    for (const name of await readdir(folder)) expect((await stat(join(folder, name))).mode & 0o777, name).toBe(0o600)
    expect(JSON.parse(await read('agent.json'))).toEqual({
      format: 1,
      host: 'host-1',
      controllerUrl: server.url.origin,
      natsServers: ['tls://198.18.0.254:4222'],
      uplinkDevice: 'eth0',
      underlayAddress: '198.18.0.1',
      underlayDevice: 'eth1',
      stateFolder: '/var/lib/sluice-agent',
      runFolder: '/run/sluice-agent',
    })
    expect(await read('ca.pem')).toBe(authority)
    expect(await read('agent.nk')).toMatch(/^SU[A-Z2-7]{56}\n$/)
  })

  test('with a proof over its name, key and address; the secret stays at home', async () => {
    await joinWith()
    const [request] = requests
    expect(request?.path).toBe('/v1/hosts/host-1/join')
    expect(JSON.stringify(request)).not.toContain('s3cret')
    const key = createHash('sha256').update('s3cret').digest('hex')
    const message = `host-1\n${request?.body.publicKey}\n198.18.0.1`
    expect(request?.body.proof).toBe(createHmac('sha256', key).update(message).digest('hex'))
  })

  test('again as the same, with the key it has, after an attempt that was cut off', async () => {
    respond = () => new Response('', { status: 502 })
    await expect(joinWith()).rejects.toThrow('502')
    expect(await readdir(folder)).toEqual(['agent.nk'])
    respond = answer
    await joinWith()
    await joinWith()
    expect(new Set(requests.map(({ body }) => body.publicKey)).size).toBe(1)
    expect(await read('agent.jwt')).toBe('jwt 3\n')
  })

  test('over what a power cut left of its files', async () => {
    await writeFile(join(folder, 'agent.json'), '{"format":1,')
    await writeFile(join(folder, 'agent.nk'), 'SUA')
    expect(await joinWith()).toBe('host-1')
  })
})

describe('a host does not join', () => {
  const rows: readonly [string, () => Promise<unknown>, string][] = [
    ['without root', () => joinWith({ userId: 1000 }), 'joining needs root'],
    ['with half a token', () => joinWith({ token: token().slice(0, 60) }), 'this is no whole join token'],
    [
      'by a device that is not there',
      () => joinWith({ uplinkDevice: 'none0' }),
      'as --uplink says; there are: eth0, eth1',
    ],
    [
      'over a device that is not there',
      () => joinWith({ underlayDevice: 'none0' }),
      'there is no device none0, as --underlay',
    ],
    ['by what is no URL', () => joinWith({ controllerUrl: '198.18.0.254' }), 'is no URL of a controller'],
    ['where nobody answers', () => joinWith({ controllerUrl: 'http://127.0.0.1:1' }), 'no controller answers at'],
    [
      'at a controller of another authority',
      () => joinWith({ token: token({ fingerprint: 'ab'.repeat(32) }) }),
      'another certificate authority',
    ],
  ]
  test.each(rows)('%s', async (_, attempt, words) => {
    await expect(attempt()).rejects.toThrow(words)
    expect(await readdir(folder)).not.toContain('agent.json')
  })

  test('over an underlay device without an address', async () => {
    const attempt = joinWith({ underlayDevice: 'eth0' })
    await expect(attempt).rejects.toThrow('the device eth0 of --underlay has no IPv4 address')
  })

  test('when the controller refuses: its words and its remedy are shown', async () => {
    const problem = { detail: 'The join token is unknown, or it has been used.', remedy: 'Make a new one.' }
    respond = () => Response.json(problem, { status: 403 })
    await expect(joinWith()).rejects.toThrow('The join token is unknown, or it has been used. Make a new one.')
  })

  test('at something that answers, but is no controller', async () => {
    respond = () => new Response('<html>')
    await expect(joinWith()).rejects.toThrow('is no Sluice controller')
  })

  test('as another one when it has joined: it says as whom, and what to do', async () => {
    await joinWith()
    const attempt = joinWith({ token: token({ host: 'host-2' }) })
    await expect(attempt).rejects.toThrow(`joined already, as host-1 at ${server.url.origin}`)
    await expect(joinWith({ token: token({ host: 'host-2' }) })).rejects.toThrow(`remove ${folder}`)
    expect(requests).toHaveLength(1)
  })
})
