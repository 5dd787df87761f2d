/**
 * Three NATS servers and three controllers behind one address: the quick start works there, and goes on while a
 * controller or a server, the leader included, is killed, frozen or cut off. Runs in a sandbox; SLUICE_CLUSTER_FAULTS
 * says how many faults, SLUICE_SEED which:
 *   scripts/check lab test/faults/distributed.lab.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import * as v from 'valibot'
import { pageSchema } from '../../controller/contract/common.ts'
import { type ControllerView, controllerSchema, storeStatusSchema } from '../../controller/contract/control-plane.ts'
import { cloudEventSchema } from '../../controller/contract/events.ts'
import { loadBalancerSchema, memberSchema } from '../../controller/contract/load-balancer.ts'
import { machineSchema } from '../../controller/contract/machine.ts'
import {
  bringLabUp,
  type ControlProgram,
  controlAddress,
  controllerFolder,
  cutControl,
  findControl,
  freezeControlProgram,
  killControlProgram,
  labSettings,
  natsPort,
  openLab,
  silentProgress,
  startControlProgram,
  takeLabDown,
} from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { createFaultyWriters } from '../consistency/faulty-writers.ts'
import { createOutside, finish, type Outside, repository } from '../lab/lab-client.ts'
import { requireSandbox } from '../lab/machine-snapshot.ts'

const faults = Number(process.env.SLUICE_CLUSTER_FAULTS ?? 3)
const seed = Number(process.env.SLUICE_SEED ?? 1)
setDefaultTimeout(240_000 + faults * 30_000)
const settings = labSettings({ name: 'dist', hosts: 2, nats: 3, controllers: 3 })
const waitSeconds = 60
const servers = [1, 2, 3].map((index) => `${controlAddress(index)}:${natsPort}`)
const intervalMilliseconds = 100

let outside: Outside
let vips: readonly string[] = []

beforeAll(async () => {
  requireSandbox()
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
})

afterAll(async () => {
  await takeLabDown(settings)
})

const wait = (what: string, isTrue: () => Promise<boolean>, detail = () => '') =>
  waitUntil(isTrue, { what: () => `${what} ${detail()}`, timeoutSeconds: waitSeconds, intervalMilliseconds })

/** Null: nobody answers just now, as while an address or a leader moves. */
async function ask<Schema extends v.GenericSchema>(
  schema: Schema,
  path: string,
): Promise<v.InferOutput<Schema> | null> {
  const answer = await outside.ask('GET', path).catch(() => null)
  return answer?.status === 200 ? v.parse(schema, answer.body) : null
}

async function listControllers(): Promise<readonly ControllerView[]> {
  return (await ask(v.object({ items: v.array(controllerSchema) }), '/v1/controllers'))?.items ?? []
}
const whoLeads = async (work: string) => (await listControllers()).find(({ leads }) => leads.includes(work))?.name

const showStore = () => ask(storeStatusSchema, '/v1/store')

async function isWhole(): Promise<boolean> {
  const store = await showStore()
  if (store === null || store.streams.length === 0) return false
  return store.streams.every(
    ({ leader, replicas }) =>
      leader !== null && replicas.length === 2 && replicas.every(({ status }) => status === 'current'),
  )
}

function kill(name: string, program: ControlProgram): Promise<void> {
  const { settings: own, state } = openLab(settings)
  return killControlProgram(own, state, findControl(state, name), program)
}

function boot(name: string, program: ControlProgram): void {
  const { settings: own, state } = openLab(settings)
  startControlProgram(own, state, findControl(state, name), program)
}

/** Declares a machine until it is taken, as any client does that repeats what was not answered. */
async function makeMachine(name: string): Promise<void> {
  const [balancer] = (await ask(pageSchema(loadBalancerSchema), '/v1/load-balancers'))?.items ?? []
  const body = { projectId: balancer?.projectId, networkId: balancer?.networkId, name }
  const headers = { 'idempotency-key': `make-${name}` }
  let last = ''
  await waitUntil(
    async () => {
      const answer = await outside.ask('POST', '/v1/machines', { body, headers }).catch(() => null)
      last = JSON.stringify(answer?.body)
      return answer !== null && answer.status < 300
    },
    { what: () => `machine ${name} to be made: ${last}`, timeoutSeconds: waitSeconds, intervalMilliseconds },
  )
  await wait(`machine ${name} to be active`, async () => {
    const machines = (await ask(pageSchema(machineSchema), '/v1/machines'))?.items ?? []
    return machines.some((machine) => machine.name === name && machine.status === 'active')
  })
}

async function countAnswers(): Promise<number> {
  const answers = await Promise.all(vips.map((vip) => outside.askMany(`http://${vip}/`, 10)))
  return answers.flat().filter((answer) => answer !== '').length
}

async function listEventsOf(type: string): Promise<readonly string[]> {
  const path = `/v1/events?format=json&type=${type}&limit=500`
  const events = (await ask(v.object({ items: v.array(cloudEventSchema) }), path))?.items ?? []
  return events.map(({ data }) => v.parse(v.object({ name: v.string() }), data).name)
}

test('the quick start works, and everything is kept three times', async () => {
  const declared = await finish([process.execPath, 'examples/quickstart/declare.ts'], repository, outside.environment())
  expect([declared.exitCode, declared.stderr]).toEqual([0, ''])
  const [balancer] = (await ask(pageSchema(loadBalancerSchema), '/v1/load-balancers'))?.items ?? []
  vips = balancer?.vips ?? []
  expect(await countAnswers()).toBe(20)
  expect((balancer?.members ?? []).map((member) => v.parse(memberSchema, member).status)).toEqual(
    Array.from({ length: 3 }, () => 'healthy'),
  )
  await wait('all copies to be current', isWhole)
})

test('`sluice controller list` and `sluice store status` tell who is there, who leads what, and how far each copy is', async () => {
  await wait('the work to be divided', async () => {
    const present = (await listControllers()).filter(({ status }) => status === 'present')
    return present.length === 3 && present.every(({ leads }) => leads.length > 0)
  })
  const controllers = await outside.sluice(['controller', 'list'])
  expect([controllers.exitCode, controllers.stderr]).toEqual([0, ''])
  for (const name of ['controller-1', 'controller-2', 'controller-3'])
    expect(controllers.stdout).toContain(`${name} leads `)
  const store = await outside.sluice(['store', 'status'])
  expect([store.exitCode, store.stderr]).toEqual([0, ''])
  expect(store.stdout).toContain('distributed, available, 3 copies of each thing')
  for (const name of ['node-1', 'node-2', 'node-3']) expect(store.stdout).toContain(name)
})

test('the controller that reconciles is killed: another takes its work over, and all goes on until it is back', async () => {
  const name = (await whoLeads('reconcile')) ?? ''
  await kill(name, 'controller')
  const begun = performance.now()
  await wait('another to reconcile', async () => ![undefined, name].includes(await whoLeads('reconcile')))
  report(`work was taken over after ${Math.round(performance.now() - begun)} ms`)
  await makeMachine('after-controller')
  expect(await countAnswers()).toBe(20)
  await wait('its going to be told', async () => (await listEventsOf('controller.disappeared')).includes(name))
  boot(name, 'controller')
  await wait('it to be back', async () =>
    (await listControllers()).some((one) => one.name === name && one.status === 'present'),
  )
})

test('the server that leads is killed: the others go on, and it is whole again when it is back', async () => {
  const leader = (await showStore())?.streams.find(({ name }) => name === 'KV_desired')?.leader ?? ''
  await kill(leader, 'node')
  const begun = performance.now()
  await makeMachine('after-node')
  report(`a machine was active ${Math.round(performance.now() - begun)} ms after its server was killed`)
  expect(await countAnswers()).toBe(20)
  await wait('its going to be told', async () => (await listEventsOf('node.disappeared')).includes(leader))
  boot(leader, 'node')
  await wait('all copies to be current again', isWhole)
})

test('a backup of it is whole, and one that is damaged is refused', async () => {
  const file = join(openLab(settings).settings.diskFolder, 'store.backup')
  const saved = await outside.sluice(['store', 'backup', file])
  expect([saved.exitCode, saved.stderr]).toEqual([0, ''])
  expect(saved.stdout).toContain('versions in 4 parts')
  const refused = await outside.sluice(['store', 'restore', file])
  expect(refused.stderr).toContain('The store is not empty')
  const text = await Bun.file(file).text()
  await Bun.write(`${file}.damaged`, text.replace('\\"version\\":1', '\\"version\\":2'))
  const damaged = await outside.sluice(['store', 'restore', `${file}.damaged`, '--force'])
  expect([damaged.exitCode, damaged.stderr]).toEqual([1, expect.stringContaining('checksum is another')])
  const again = await outside.sluice(['store', 'restore', file, '--force'])
  expect([again.exitCode, again.stderr, again.stdout]).toEqual([0, '', expect.stringContaining('0 versions restored')])
})

test('whatever is killed, frozen or cut off: no acknowledged write is lost, none is doubled', async () => {
  const writers = await createFaultyWriters({
    stateFolder: controllerFolder(openLab(settings).settings),
    servers,
    seed,
  })
  for (let i = 0; i < faults; i++) {
    const fault = writers.chooseFault()
    await applyFault(fault)
    const what = `fault ${i + 1}: ${fault.what} of ${fault.name}`
    const begun = performance.now()
    await wait(`writes to go on after ${what}`, writers.hasWrittenSince(), writers.describe)
    report(`${what}: writes went on after ${Math.round(performance.now() - begun)} ms`)
    await endFault(fault)
  }
  await wait('all copies to be current in the end', isWhole)
  expect(await writers.judge()).toEqual([])
})

interface Fault {
  readonly what: 'kill' | 'freeze' | 'cut'
  readonly name: string
  readonly program: ControlProgram
}

async function applyFault({ what, name, program }: Fault): Promise<void> {
  const lab = openLab(settings)
  const control = findControl(lab.state, name)
  if (what === 'kill') await kill(name, program)
  else if (what === 'freeze') freezeControlProgram(lab.settings, control, program, true)
  else await cutControl(lab.run, lab.settings, lab.state, control, true)
}

async function endFault({ what, name, program }: Fault): Promise<void> {
  const lab = openLab(settings)
  const control = findControl(lab.state, name)
  if (what === 'kill') boot(name, program)
  else if (what === 'freeze') freezeControlProgram(lab.settings, control, program, false)
  else await cutControl(lab.run, lab.settings, lab.state, control, false)
}

function report(line: string): void {
  if (process.env.SLUICE_MEASURE === '1') console.log(line)
}
