/**
 * Three NATS servers and three controllers behind one address: the quick start works there, and goes on while a
 * controller or a server, the leader included, is killed, frozen or cut off. Runs in a sandbox:
 *   scripts/check lab test/lab/distributed.lab.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { bringLabUp, labSettings, silentProgress, takeLabDown } from '../../lab/lab.ts'
import { createOutside, finish, type Outside, repository } from './lab-client.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(240_000)
const settings = labSettings({ name: 'dist', hosts: 2, nats: 3, controllers: 3 })

let outside: Outside

beforeAll(async () => {
  requireSandbox()
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
})

afterAll(async () => {
  await takeLabDown(settings)
})

test('the quick start works', async () => {
  const declared = await finish([process.execPath, 'examples/quickstart/declare.ts'], repository, outside.environment())
  expect([declared.exitCode, declared.stderr]).toEqual([0, ''])
})
