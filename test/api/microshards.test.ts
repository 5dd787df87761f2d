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
import { microshardMeasureSchema } from '../../controller/contract/microshard-measures.ts'
import { defaultMicroshardPolicies, microshardPoliciesSchema } from '../../controller/contract/microshard-policies.ts'
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

test('who uses microshards how is shown, with nodes that tell of themselves', async () => {
  const measured = v.parse(
    v.object({ items: v.array(microshardMeasureSchema) }),
    JSON.parse(await sluice('microshard', 'top', '--json', '--once')),
  )
  expect(measured.items.map(({ id }) => id)).toEqual((await listMicroshards()).map(({ id }) => id))
  const shown = await sluice('microshard', 'top', '--once')
  const lines = shown.split('\n')
  expect(lines).toHaveLength(2 + measured.items.length)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
})

test('policies are shown, changed and refused where they contradict each other', async () => {
  const shown = v.parse(microshardPoliciesSchema, JSON.parse(await sluice('microshard', 'policies')))
  expect(shown).toEqual(defaultMicroshardPolicies)
  expect(JSON.parse(await sluice('microshard', 'policies', '--mode', 'on'))).toEqual({ ...shown, mode: 'on' })
  expect(await sluice('microshard', 'explain')).toStartWith('mode: on; ')
  expect(await sluice('microshard', 'explain', '1')).toContain('a-node-is-hot: nodeLoadPeak above 1.25, until 1.1')

  const put = (body: object) => api.call({ method: 'PUT', path: '/v1/microshard-policies', body })
  const example = new URL('../../examples/microshard-policies/policies.json', import.meta.url).pathname
  expect(JSON.parse(await sluice('microshard', 'policies', '--file', example))).toMatchObject({
    split: { overMean: 3 },
  })
  await put({ ...shown, mode: 'on' })

  const contradicting = put({ placement: { overMean: 1.2, untilOverMean: 1.3 }, nodes: { minimum: 5, maximum: 3 } })
  await expect(contradicting).rejects.toThrow(
    /placement\.untilOverMean must be below .*nodes\.minimum must not be above/s,
  )
  await expect(put({ prediction: { horizonSeconds: 60 } })).rejects.toThrow('must be 300 to 86400')
  await expect(put({ split: { overMean: 'much' } })).rejects.toThrow('split.overMean')
  await expect(put({ spilt: {} })).rejects.toThrow('spilt')
  const stale = { method: 'PUT', path: '/v1/microshard-policies', body: {}, headers: { 'if-match': '"7"' } } as const
  await expect(api.call(stale)).rejects.toThrow('They have version 3, and not 7')
  expect(JSON.parse(await sluice('microshard', 'policies'))).toEqual({ ...shown, mode: 'on' })
})
