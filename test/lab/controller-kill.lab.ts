/**
 * The controller and its nats-server, killed at random moments of creations, updates and deletions: each object is whole
 * or absent afterwards, the repetition of a request carries on where the first was cut off, and nothing is orphaned.
 * Runs in a sandbox; CONTROLLER_KILLS says how often, KILL_SEED which moments:
 *   CONTROLLER_KILLS=100 scripts/sandbox bun test ./test/lab/controller-kill.lab.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { networkSchema, poolSchema, shardSchema } from '../../controller/contract/address-space.ts'
import { pageSchema } from '../../controller/contract/common.ts'
import { loadBalancerSchema } from '../../controller/contract/load-balancer.ts'
import { machineSchema } from '../../controller/contract/machine.ts'
import { projectSchema } from '../../controller/contract/project.ts'
import {
  bootController,
  bringLabUp,
  killController,
  labSettings,
  openLab,
  silentProgress,
  takeLabDown,
} from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { findOrphans } from './find-orphans.ts'
import { type Answer, createOutside, type Outside } from './lab-client.ts'
import { readWorld } from './lab-world.ts'
import { requireSandbox } from './machine-snapshot.ts'

const kills = Number(process.env.CONTROLLER_KILLS ?? 16)
const seed = Number(process.env.KILL_SEED ?? 1)
setDefaultTimeout(120_000 + kills * 15_000)

/** A request takes some 10 to 60 ms, and what hosts make of it some hundred: most moments are within the first. */
const chooseKillMilliseconds = () => 500 * random() ** 3
const repeatSeconds = 30
/** A reservation whose owner was never written is kept for a grace of 30 s, and swept soon after. */
const cleanSeconds = 90
const sweepSeconds = 2
const settings = labSettings({ name: 'ckill', hosts: 2 })

let outside: Outside

beforeAll(async () => {
  requireSandbox()
  process.env.SLUICE_SWEEP_SECONDS = String(sweepSeconds)
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
})

afterAll(async () => {
  delete process.env.SLUICE_SWEEP_SECONDS
  await takeLabDown(settings)
})

/** The same moments for the same seed. */
const random = (() => {
  let drawn = 0
  return () => Number(Bun.hash.crc32(`${seed} ${drawn++}`)) / 2 ** 32
})()

interface Request {
  readonly method: 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: Readonly<Record<string, unknown>>
}

let keys = 0
let cutOff = 0

/** Sends it, kills controller and nats-server meanwhile, starts them again, looks, and repeats it with the same key. */
async function interrupt(request: Request, look: () => Promise<void>): Promise<Answer> {
  const headers = { 'idempotency-key': `kill-${seed}-${keys++}` }
  const send = async () => await outside.ask(request.method, request.path, { body: request.body, headers })
  const sending = send().catch(() => undefined)
  await Bun.sleep(chooseKillMilliseconds())
  await killController(openLab(settings))
  if ((await sending) === undefined) cutOff++
  await bootController(openLab(settings))
  await look()
  let repeated: Answer | undefined
  await waitUntil(
    async () => {
      repeated = await send().catch(() => undefined)
      return repeated !== undefined && repeated.status < 500 && repeated.status !== 409
    },
    {
      what: () => `${request.method} ${request.path} to be answered, not ${JSON.stringify(repeated?.body)}`,
      timeoutSeconds: repeatSeconds,
      intervalMilliseconds: 200,
    },
  )
  if (repeated === undefined) throw new Error('BUG: answered and not there')
  return repeated
}

const schemas = {
  projects: projectSchema,
  networks: networkSchema,
  pools: poolSchema,
  shards: shardSchema,
  machines: machineSchema,
  'load-balancers': loadBalancerSchema,
} as const
type Noun = keyof typeof schemas
type Shown = { readonly id: string; readonly name: string; readonly version: number }

/** Parsing is the test that each is whole. */
async function list(noun: Noun): Promise<readonly Shown[]> {
  const { status, body } = await outside.ask('GET', `/v1/${noun}?limit=1000`)
  expect(status).toBe(200)
  return v.parse(pageSchema(schemas[noun]), body).items as readonly Shown[]
}

const named = async (noun: Noun, name: string) => (await list(noun)).filter((one) => one.name === name)

async function create(noun: Noun, body: Readonly<Record<string, unknown>>): Promise<string> {
  const name = String(body.name)
  const repeated = await interrupt({ method: 'POST', path: `/v1/${noun}`, body }, async () => {
    expect((await named(noun, name)).length).toBeLessThanOrEqual(1)
  })
  expect([noun, repeated.status, repeated.body]).toEqual([noun, 201, expect.objectContaining({ name })])
  const all = await named(noun, name)
  expect(all.map(({ id }) => id)).toEqual([v.parse(v.object({ id: v.string() }), repeated.body).id])
  return all[0]?.id ?? 'no id'
}

async function update(noun: Noun, id: string, body: Readonly<Record<string, unknown>>): Promise<void> {
  const path = `/v1/${noun}/${id}`
  const show = async () => v.parse(v.object({ version: v.number() }), (await outside.ask('GET', path)).body).version
  const before = await show()
  const repeated = await interrupt({ method: 'PATCH', path, body }, async () => {
    expect([before, before + 1]).toContain(await show())
  })
  expect([repeated.status, repeated.body]).toEqual([200, expect.objectContaining(body)])
  // Applied once, however often it was sent.
  expect(await show()).toBe(before + 1)
}

async function remove(noun: Noun, id: string): Promise<void> {
  const path = `/v1/${noun}/${id}`
  const repeated = await interrupt({ method: 'DELETE', path }, async () => {
    expect([200, 404]).toContain((await outside.ask('GET', path)).status)
  })
  expect([202, 204, 404]).toContain(repeated.status)
  let last: Answer = repeated
  const isGone = async () => {
    last = await outside.ask('GET', path)
    return last.status === 404
  }
  await waitUntil(isGone, {
    what: () => `the end of ${JSON.stringify(last.body)}`,
    timeoutSeconds: repeatSeconds,
    intervalMilliseconds: 100,
  })
}

interface Made {
  readonly noun: Noun
  readonly id: string
}

/** A project with all there can be in it, one step at a time; the generator's steps are the moments to be killed in. */
async function* live(name: string): AsyncGenerator<void> {
  const made: Made[] = []
  const make = async (noun: Noun, body: Readonly<Record<string, unknown>>) => {
    const id = await create(noun, body)
    made.push({ noun, id })
    return id
  }
  const projectId = await make('projects', { name, user: 'killed' })
  yield
  const networkId = await make('networks', { name, projectId })
  yield
  const poolId = await make('pools', { name, projectId, cidr: '10.20.0.0/22' })
  yield
  const shardId = await make('shards', { name, poolId, networkId, sizeAddresses: 256 })
  yield
  const machineId = await make('machines', { name, projectId, networkId, workloads: [{ kind: 'web', port: 80 }] })
  yield
  const members = [{ machineId }]
  const common = { projectId, networkId, trafficType: 'http', listeners: [{ port: 80 }], members }
  const balancerId = await make('load-balancers', { name, ...common })
  yield
  await update('load-balancers', balancerId, { listeners: [{ port: 80 }, { port: 81 }] })
  yield
  await update('networks', networkId, { name: `${name} renamed` })
  yield
  for (const { noun, id } of made.toReversed()) {
    if (noun === 'shards') await outside.ask('DELETE', `/v1/networks/${networkId}/shards/${shardId}`)
    await remove(noun, id)
    yield
  }
}

test(`killed ${kills} times, the controller leaves every object whole or absent, and carries on`, async () => {
  let done = 0
  for (let life = 1; done < kills; life++) {
    for await (const _ of live(`life-${life}`)) {
      done++
      if (done >= kills) break
    }
  }
  process.stdout.write(`${kills} kills, seed ${seed}: ${cutOff} requests were cut off before their answer\n`)
})

test('what half-way creations had taken is given back within a bounded time', async () => {
  let orphans: readonly string[] = ['nothing was looked at']
  await waitUntil(
    async () => {
      orphans = findOrphans(await readWorld(settings))
      return orphans.length === 0
    },
    { what: () => 'a world without orphans', timeoutSeconds: cleanSeconds, intervalMilliseconds: 1000 },
  ).catch(() => undefined)
  expect(orphans).toEqual([])
})
