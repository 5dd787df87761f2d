/** Three whole controllers that start at once on a new cluster of three real NATS servers. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pino from 'pino'
import * as v from 'valibot'
import { createBackupCheck } from './contract/backup.ts'
import { type ControllerView, controllerSchema, storeStatusSchema } from './contract/control-plane.ts'
import { startTestCluster, type TestCluster } from './nats/cluster/test-cluster.ts'
import { waitFor } from './nats/test-bus.ts'
import { readSettings } from './settings.ts'
import { type StartedController, startController } from './start-controller.ts'

setDefaultTimeout(180_000)
const waitSeconds = 60

let cluster: TestCluster
let controllers: StartedController[] = []

beforeAll(async () => {
  cluster = await startTestCluster()
  const { stateFolder, servers } = cluster
  const start = (name: string) =>
    startController(
      readSettings({
        SLUICE_UPLINK_CIDR: '198.18.32.0/20',
        SLUICE_UPLINK_GATEWAY: '198.18.32.1',
        SLUICE_LISTEN: '127.0.0.1:0',
        SLUICE_STATE_FOLDER: stateFolder,
        SLUICE_NATS_SERVERS: servers.join(','),
        SLUICE_CONTROLLER_NAME: name,
      }),
      pino({ level: 'silent' }),
    )
  const [first, ...others] = ['controller-1', 'controller-2', 'controller-3']
  controllers = [await start(first ?? ''), ...(await Promise.all(others.map(start)))]
})

afterAll(async () => {
  await Promise.all(controllers.map((controller) => controller.close()))
  await cluster?.stop()
})

async function ask(controller: number, method: string, path: string, body?: unknown): Promise<Response> {
  const token = (await readFile(join(cluster.stateFolder, 'admin-token'), 'utf8')).trim()
  return await fetch(`${controllers[controller]?.urls[0]}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

async function listControllers(controller: number): Promise<readonly ControllerView[]> {
  const answer = await (await ask(controller, 'GET', '/v1/controllers')).json()
  return v.parse(v.object({ items: v.array(controllerSchema) }), answer).items
}

test('they divide the work, and what one has written the others show', async () => {
  await waitFor(
    'each to lead something',
    async () => {
      const listed = await listControllers(1)
      return listed.length === 3 && listed.every(({ status, leads }) => status === 'present' && leads.length > 0)
    },
    waitSeconds,
  )
  const led = (await listControllers(2)).flatMap(({ leads }) => leads)
  expect(led).toHaveLength(new Set(led).size)
  const made = await ask(0, 'POST', '/v1/projects', { name: 'everywhere', user: 'ada' })
  expect(made.status).toBe(201)
  const { id } = v.parse(v.object({ id: v.string() }), await made.json())
  for (const controller of [1, 2]) {
    await waitFor('it to be shown', async () => (await ask(controller, 'GET', `/v1/projects/${id}`)).ok, waitSeconds)
  }
})

test('the store is told with its servers, and all of it is saved by any of them', async () => {
  await waitFor(
    'the servers to be known',
    async () => {
      const store = v.parse(storeStatusSchema, await (await ask(1, 'GET', '/v1/store')).json())
      const names = store.nodes.map(({ name }) => name)
      return store.replicas === 3 && names.join() === 'node-1,node-2,node-3' && store.status === 'available'
    },
    waitSeconds,
  )
  const text = await (await ask(2, 'GET', '/v1/store/backup')).text()
  const check = createBackupCheck()
  for (const line of text.trimEnd().split('\n')) check.take(line)
  expect(check.finish().parts).toBe(4)
  expect(text).toContain('everywhere')
  const refused = await ask(0, 'POST', '/v1/store/restore', { format: 1 })
  expect([refused.status, await refused.text()]).toEqual([409, expect.stringContaining('project everywhere')])
  expect((await ask(0, 'POST', '/v1/store/restore', { format: 2, force: true })).status).toBe(422)
})

test('one that is ended hands its work over at once', async () => {
  await controllers[0]?.close()
  await waitFor(
    'its work to be done by others',
    async () => {
      const listed = await listControllers(1)
      const present = listed.filter(({ status }) => status === 'present')
      return present.length === 2 && present.flatMap(({ leads }) => leads).includes('reconcile')
    },
    waitSeconds,
  )
})
