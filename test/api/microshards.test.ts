/** A whole controller whose microshards are split, merged and refused by the command line, and what comes out of it. */

import { afterAll, beforeAll, expect, setDefaultTimeout, spyOn, test } from 'bun:test'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import * as v from 'valibot'
import { type Api, connectToController, ProblemError } from '../../cli/api.ts'
import { createProgram } from '../../cli/program.ts'
import { cloudEventSchema } from '../../controller/contract/events.ts'
import { microshardSchema } from '../../controller/contract/microshard.ts'
import { findFreePort } from '../../controller/control-plane/test-nats-server.ts'
import { readSettings } from '../../controller/settings.ts'
import { type StartedController, startController } from '../../controller/start-controller.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(120_000)

const logger = pino({ level: 'silent' })
let folder: string
let controller: StartedController
let api: Api

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-microshards-'))
  const settings = readSettings({
    SLUICE_UPLINK_CIDR: '198.18.32.0/20',
    SLUICE_UPLINK_GATEWAY: '198.18.32.1',
    SLUICE_LISTEN: '127.0.0.1:0',
    SLUICE_NATS_LISTEN: `127.0.0.1:${await findFreePort()}`,
    SLUICE_STATE_FOLDER: folder,
  })
  controller = await startController(settings, logger)
  const token = (await readFile(join(folder, 'admin-token'), 'utf8')).trim()
  api = connectToController({ SLUICE_ADDR: controller.urls[0] ?? '', SLUICE_TOKEN: token })
})
afterAll(async () => {
  await controller.close()
  await rm(folder, { recursive: true, force: true })
})

/** What `sluice …` prints. */
async function sluice(...words: readonly string[]): Promise<string> {
  const lines: string[] = []
  const log = spyOn(console, 'log').mockImplementation((line: unknown) => void lines.push(String(line)))
  try {
    await createProgram(() => api).parseAsync([...words], { from: 'user' })
  } finally {
    log.mockRestore()
  }
  return lines.join('\n')
}

async function listMicroshards() {
  const listed: unknown = JSON.parse(await sluice('microshard', 'list', '--json'))
  return v.parse(v.object({ items: v.array(microshardSchema) }), listed).items
}

test('a microshard is split and merged again while projects are made, which are all there', async () => {
  const makeProjects = (prefix: string) =>
    Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        api.call({ method: 'POST', path: '/v1/projects', body: { name: `${prefix}-${i}`, user: 'jane' } }),
      ),
    )
  await makeProjects('before')
  const fullest = (await listMicroshards()).toSorted((a, b) => b.keys - a.keys)[0]
  const id = fullest?.id ?? ''
  const [split] = await Promise.all([sluice('microshard', 'split', id, '--wait'), makeProjects('during')])
  expect(split).toEndWith(`done, ${id} become 5 and 6`)
  const [lower, upper] = (await listMicroshards()).filter(({ epoch }) => epoch === 2)
  expect([lower?.from, upper?.to]).toEqual([fullest?.from, fullest?.to])
  expect(lower).toMatchObject({ id: '5', status: 'active', phase: null, operationId: null })
  expect(lower?.address).not.toBeNull()

  const [merged] = await Promise.all([
    sluice('microshard', 'merge', '5', '--with', '6', '--wait'),
    makeProjects('after'),
  ])
  expect(merged).toEndWith('done, 5 and 6 become 7')
  const projects = v.parse(
    v.object({ items: v.array(v.object({ name: v.string() })) }),
    await api.call({ method: 'GET', path: '/v1/projects', query: { limit: '100' } }),
  )
  expect(projects.items.length).toBe(24)

  const events = v.parse(
    v.object({ items: v.array(cloudEventSchema) }),
    await api.call({ method: 'GET', path: '/v1/events', query: { format: 'json', type: 'microshard.*' } }),
  )
  expect(events.items.map(({ type, subject }) => [type, subject])).toEqual([
    ['microshard.split', id],
    ['microshard.merged', '5'],
  ])
  expect(JSON.parse(await sluice('microshard', 'locate', 'jane', 'createVolume', '--json'))).toMatchObject({
    user: 'jane',
    node: lower?.node ?? '',
    address: lower?.address ?? '',
  })
})

test('what can not be is refused with what to do', async () => {
  const before = await api.call({ method: 'GET', path: '/v1/directory' })
  const rows = [
    [['split', '99'], "There is no such microshard: The directory has no microshard '99'."],
    [['migrate', '1', '--to-node', 'mars'], 'There is no such node'],
    [['split', '1', '--at', 'zebra'], 'must be a point of the ring: 16 hex digits'],
    [['abort', `mop_${'0'.repeat(25)}`], 'There is no such operation'],
  ] as const
  for (const [words, refusal] of rows) {
    const refused = sluice('microshard', ...words)
    await expect(refused).rejects.toThrow(ProblemError)
    await expect(refused).rejects.toThrow(refusal)
  }
  expect(await api.call({ method: 'GET', path: '/v1/directory' })).toEqual(before)
})
