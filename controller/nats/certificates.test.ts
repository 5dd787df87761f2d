import { afterAll, beforeAll, expect, test } from 'bun:test'
import { cp, mkdtemp, rm, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fingerprintOf, openCertificates } from './certificates.ts'

const day = 24 * 3600 * 1000
const now = Date.parse('2030-01-01T00:00:00Z')
const names = ['198.18.0.254', 'bus.example.net']

let root: string
let made = 0

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-certificates-'))
  await openCertificates({ folder: root, names, now })
})
afterAll(() => rm(root, { recursive: true, force: true }))

/** A copy of the folder of a first start. */
async function copy(): Promise<string> {
  const folder = `${root}-${++made}`
  await cp(root, folder, { recursive: true })
  return folder
}

async function withCopy(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await copy()
  try {
    await run(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

test('openssl accepts the chain, by address and by name', () => {
  for (const check of [
    ['-verify_ip', '198.18.0.254'],
    ['-verify_hostname', 'bus.example.net'],
  ]) {
    const at = ['-attime', String(now / 1000), '-purpose', 'sslserver']
    const argv = ['openssl', 'verify', ...at, ...check, '-CAfile', join(root, 'ca.pem'), join(root, 'server.pem')]
    const verified = Bun.spawnSync(argv)
    expect(verified.stdout.toString() + verified.stderr.toString()).toContain(': OK')
  }
  const wrong = ['-attime', String(now / 1000), '-verify_ip', '198.18.0.1']
  const refused = Bun.spawnSync([
    'openssl',
    'verify',
    ...wrong,
    '-CAfile',
    join(root, 'ca.pem'),
    join(root, 'server.pem'),
  ])
  expect(refused.exitCode).not.toBe(0)
})

test('the fingerprint is what openssl says', async () => {
  const pem = await Bun.file(join(root, 'ca.pem')).text()
  const shown = Bun.spawnSync(['openssl', 'x509', '-noout', '-fingerprint', '-sha256', '-in', join(root, 'ca.pem')])
  const hex = shown.stdout.toString().trim().split('=')[1]?.replaceAll(':', '').toLowerCase()
  expect(fingerprintOf(pem)).toBe(hex ?? '')
})

test.each([
  ['a start soon after keeps the certificate', now + day, names, false],
  ['it is renewed before it ends', now + 340 * day, names, true],
  ['one that has ended is renewed', now + 400 * day, names, true],
  ['another address makes another', now, [...names, '198.18.0.253'], true],
  ['an address less keeps it', now, ['198.18.0.254'], false],
  ['a clock that has gone back makes another', now - day, names, true],
])('%s', async (_, at, wanted, isRenewed) => {
  await withCopy(async (folder) => {
    const first = await openCertificates({ folder, names: wanted, now: at })
    expect(first.isRenewed).toBe(isRenewed)
    const pem = await Bun.file(join(root, 'ca.pem')).text()
    // Hosts trust the authority: it stays whatever becomes of the server's certificate.
    expect(first.caFingerprint).toBe(fingerprintOf(pem))
    expect((await openCertificates({ folder, names: wanted, now: at })).isRenewed).toBe(false)
  })
})

test.each([
  ['server.key', true],
  ['server.pem', true],
])('a start that was cut off before %s was written is carried on', async (file, isRenewed) => {
  await withCopy(async (folder) => {
    await unlink(join(folder, file))
    expect((await openCertificates({ folder, names, now })).isRenewed).toBe(isRenewed)
  })
})

test("a key that is not the certificate's makes both anew", async () => {
  await withCopy(async (folder) => {
    await withCopy(async (other) => {
      await unlink(join(other, 'server.pem'))
      await openCertificates({ folder: other, names, now })
      await cp(join(other, 'server.key'), join(folder, 'server.key'))
      expect((await openCertificates({ folder, names, now })).isRenewed).toBe(true)
    })
  })
})

test("the authority's lost key is not replaced in silence", async () => {
  await withCopy(async (folder) => {
    await unlink(join(folder, 'ca.key'))
    await expect(openCertificates({ folder, names, now })).rejects.toThrow('Restore it from a backup')
  })
})
