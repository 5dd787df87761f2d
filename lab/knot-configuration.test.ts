import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { searchPath } from './commands.ts'
import { configurationFile, renderEmptyZone, renderKnotConfiguration, zoneFile } from './knot-configuration.ts'

const key = `hmac-sha256:sluice:${Buffer.alloc(32, 7).toString('base64')}`
const settings = { folder: '/var/cache/sluice-lab/sluice/names', zone: 'sluice.test', listen: ['198.18.49.2@53'], key }

test('the key may change the zone and read all of it, and nobody else may', () => {
  expect(renderKnotConfiguration(settings)).toBe(`# Written whole by whoever starts this name server.
server:
    rundir: "/var/cache/sluice-lab/sluice/names"
    listen: [ 198.18.49.2@53 ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    automatic-acl: off
log:
  - target: stderr
    any: warning
database:
    storage: "/var/cache/sluice-lab/sluice/names"
    journal-db-max-size: 256M
key:
  - id: sluice
    algorithm: hmac-sha256
    secret: ${key.split(':')[2]}
acl:
  - id: keeper
    key: sluice
    action: [ update, transfer ]
zone:
  - domain: sluice.test
    storage: "/var/cache/sluice-lab/sluice/names"
    file: "/var/cache/sluice-lab/sluice/names/sluice.test.zone"
    acl: keeper
    # What was changed is in the journal, which outlives a crash; the file is written now and then.
    zonefile-sync: 60
`)
})

test('Knot accepts its settings and its zone', async () => {
  const folder = mkdtempSync(`${tmpdir()}/sluice-knot-`)
  try {
    const own = { ...settings, folder }
    writeFileSync(configurationFile(own), renderKnotConfiguration(own))
    writeFileSync(zoneFile(own), renderEmptyZone(own))
    for (const words of [['conf-check'], ['zone-check', settings.zone]]) {
      const argv = ['knotc', '--config', configurationFile(own), ...words]
      const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', env: { PATH: searchPath() } })
      const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
      expect([words[0], await child.exited, /error/i.exec(said.join(''))]).toEqual([words[0], 0, null])
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
