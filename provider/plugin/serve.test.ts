import { afterAll, describe, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { string } from './attributes.ts'
import { createCertificate } from './server/certificate.ts'
import { connect } from './testing/client.ts'
import { readUntil, spawnProvider, startProvider, testProviderMain } from './testing/spawned.ts'
import { encodeObject } from './values/wire.ts'
import { magicCookie } from './wire/go-plugin.ts'

const folder = mkdtempSync(join(tmpdir(), 'plugin-serve-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a provider that the CLI started', () => {
  test('shakes hands, answers over mutual TLS, logs in lines of JSON, ends when asked, and leaves nothing behind', async () => {
    const { child, handshake, client, socketPath } = await startProvider(folder, { TF_LOG: 'debug' })
    expect(handshake).toEqual({ core: '1', plugin: '6', network: 'unix', protocol: 'grpc' })
    expect(socketPath).toStartWith(folder)
    expect((await client.health()).status).toBe(1)
    const stdio = client.openStdio().on('error', () => {})
    const schema = await client.call('GetProviderSchema', {})
    expect(Object.keys(schema.resourceSchemas)).toEqual(['test_note'])
    const config = encodeObject({ folder: string({ required: true }) }, { folder })
    expect((await client.call('ConfigureProvider', { config })).diagnostics).toEqual([])
    await client.shutdown()
    expect(await child.exited).toBe(0)
    stdio.cancel()
    client.close()
    expect(readdirSync(folder)).toEqual([])
    const lines = (await new Response(child.stderr).text()).trim().split('\n')
    expect(lines.map((line) => JSON.parse(line)['@message'])).toContain('Configuring the provider')
  }, 30_000)

  test('refuses whoever has another certificate', async () => {
    const { child, client, socketPath, tls } = await startProvider(folder)
    const other = createCertificate(new Date(), Uint8Array.of(7))
    const stranger = connect(socketPath, { ...tls, certificatePem: other.pem, keyPem: other.keyPem })
    const plain = connect(socketPath)
    expect(await outcome(stranger.call('GetMetadata', {}))).toBe('refused')
    expect(await outcome(plain.call('GetMetadata', {}))).toBe('refused')
    expect(await outcome(client.call('GetMetadata', {}))).toBe('answered')
    for (const one of [stranger, plain, client]) one.close()
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
    expect(readdirSync(folder)).toEqual([])
  }, 30_000)

  test('goes on when the key for interrupting was pressed: the CLI has it in hand', async () => {
    const { child, client } = await startProvider(folder)
    child.kill('SIGINT')
    expect(await outcome(client.call('GetMetadata', {}))).toBe('answered')
    await client.shutdown()
    client.close()
    expect(await child.exited).toBe(0)
  }, 30_000)
})

test('it does not outlive a CLI that was killed', async () => {
  const start = `'${process.execPath}' '${testProviderMain}' & echo "pid=$!"; wait`
  const parent = Bun.spawn(['sh', '-c', start], {
    env: {
      ...process.env,
      PLUGIN_UNIX_SOCKET_DIR: folder,
      [magicCookie.name]: magicCookie.value,
      PLUGIN_CLIENT_CERT: '',
    },
    stdout: 'pipe',
    stderr: 'ignore',
  })
  const text = await readUntil(parent.stdout, /\|grpc\|/)
  const pid = Number(/pid=(\d+)/.exec(text)?.[1])
  parent.kill('SIGKILL')
  const isRunning = () => existsSync(`/proc/${pid}`)
  expect(isRunning()).toBe(true)
  for (let turn = 0; turn < 300 && isRunning(); turn += 1) await Bun.sleep(50)
  expect(isRunning()).toBe(false)
  expect(readdirSync(folder)).toEqual([])
}, 30_000)

test('started by hand it says what it is, and does not serve', async () => {
  const child = spawnProvider({ folder, environment: { TF_PLUGIN_MAGIC_COOKIE: '' } })
  expect(await child.exited).toBe(1)
  expect(await new Response(child.stdout).text()).toBe('')
  expect(await new Response(child.stderr).text()).toContain('required_providers')
}, 30_000)

test('debugged, it says how to attach to it, and answers', async () => {
  const child = spawnProvider({ folder, args: ['--debug'] })
  const text = await readUntil(child.stdout, /'\n/)
  const attach = JSON.parse(/TF_REATTACH_PROVIDERS='(.*)'/.exec(text)?.[1] ?? '{}')['example.test/test/test']
  expect(attach).toMatchObject({ Protocol: 'grpc', ProtocolVersion: 6, Pid: child.pid, Test: true })
  const client = connect(attach.Addr.String)
  expect(await outcome(client.call('GetMetadata', {}))).toBe('answered')
  client.close()
  child.kill('SIGINT')
  expect(await child.exited).toBe(0)
  expect(existsSync(attach.Addr.String)).toBe(false)
}, 30_000)

test('a certificate is one that others can read', () => {
  const { pem, der } = createCertificate(new Date('2026-01-31T12:00:00Z'), Uint8Array.of(0x80, 1))
  const read = new X509Certificate(pem)
  expect(read.subject).toBe('CN=localhost')
  expect(read.subjectAltName).toBe('DNS:localhost')
  expect(read.ca).toBe(true)
  expect(read.serialNumber).toBe('8001')
  expect(read.verify(read.publicKey)).toBe(true)
  expect(new Date(read.validFrom)).toEqual(new Date('2026-01-31T11:00:00Z'))
  expect(Buffer.from(read.raw)).toEqual(Buffer.from(der))
})

const outcome = (call: Promise<unknown>) =>
  call.then(
    () => 'answered',
    () => 'refused',
  )
