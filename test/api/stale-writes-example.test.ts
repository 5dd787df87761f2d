/** The example of docs/stale-writes.md, as a user runs it: by curl and the command line, against a whole controller. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { findFreePort } from '../../controller/control-plane/test-nats-server.ts'
import { readSettings } from '../../controller/settings.ts'
import { type StartedController, startController } from '../../controller/start-controller.ts'

setDefaultTimeout(120_000)

let folder: string
let controller: StartedController

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-stale-writes-'))
  const settings = readSettings({
    SLUICE_UPLINK_CIDR: '198.18.32.0/20',
    SLUICE_UPLINK_GATEWAY: '198.18.32.1',
    SLUICE_LISTEN: '127.0.0.1:0',
    SLUICE_NATS_LISTEN: `127.0.0.1:${await findFreePort()}`,
    SLUICE_STATE_FOLDER: folder,
  })
  controller = await startController(settings, pino({ level: 'silent' }))
})
afterAll(async () => {
  await controller?.close()
  await rm(folder, { recursive: true, force: true })
})

test('two people change one network: examples/stale-writes/two-people.sh', async () => {
  const token = (await readFile(join(folder, 'admin-token'), 'utf8')).trim()
  const shell = Bun.spawn(['bash', 'examples/stale-writes/two-people.sh'], {
    cwd: join(import.meta.dir, '../..'),
    env: { ...process.env, SLUICE_ADDR: controller.urls[0] ?? '', SLUICE_TOKEN: token },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, trouble, status] = await Promise.all([
    new Response(shell.stdout).text(),
    new Response(shell.stderr).text(),
    shell.exited,
  ])
  expect({ status, trouble }).toEqual({ status: 0, trouble: '' })
  const lines = output.split('\n').map((line) => line.trimEnd())
  expect(lines.slice(0, 5)).toEqual([
    'asked twice with one Idempotency-Key: 201, and the same network again: yes',
    "Bob's change: 200, version 2",
    'Ann, with If-Match: 412 precondition-failed, nothing is changed',
    "Ann, with currentVersion, another field: 200, and Bob's name stays: shop",
    'Ann, with currentVersion, the same field: 409 escalated',
  ])
  expect(output).toMatch(/FIELD +DECIDED ON \(VERSION 1\) +WANTED +NOW \(VERSION 3\)\n(?:.*\n)*name +web +front +shop/)
  expect(output).toMatch(/\n4 .* name +"front"/)
})
