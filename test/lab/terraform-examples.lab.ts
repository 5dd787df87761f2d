/**
 * Every example of examples/terraform as somebody follows it: applied, planned again without a change, changed, and
 * destroyed with nothing left. The snippets of the documents are validated. Runs in a sandbox:
 *   scripts/check lab test/lab/terraform-examples.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { type Load, startLoad } from '../../bench/load/start-load.ts'
import { bringLabUp, labSettings, openLab, silentProgress, takeLabDown } from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { createOutside, type Outside, repository } from './lab-client.ts'
import { requireSandbox } from './machine-snapshot.ts'
import { openWorkspace, type TerraformWorkspace, type Variables } from './terraform-workspace.ts'

setDefaultTimeout(120_000)
const settings = labSettings({ name: 'terraform', hosts: 2 })

let outside: Outside
const workspaces: TerraformWorkspace[] = []

beforeAll(async () => {
  requireSandbox()
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
})

afterAll(async () => {
  for (const workspace of workspaces) workspace.remove()
  await takeLabDown(settings)
})

async function open(example: string): Promise<TerraformWorkspace> {
  const source = join(repository, 'examples/terraform', example)
  const workspace = await openWorkspace({ source, environment: outside.environment() })
  workspaces.push(workspace)
  return workspace
}

/** Applied, and planned again: nothing is left to do. */
async function applyWholly(workspace: TerraformWorkspace, variables?: Variables): Promise<void> {
  await workspace.apply(variables)
  await workspace.expectNoChange(variables)
}

const itemsSchema = v.object({
  items: v.array(v.object({ id: v.string(), name: v.string(), projectId: v.nullable(v.string()) })),
})
const stringsSchema = v.array(v.string())
const nouns = ['projects', 'pools', 'shards', 'networks', 'machines', 'load-balancers'] as const

async function list(noun: (typeof nouns)[number]) {
  return v.parse(itemsSchema, (await outside.ask('GET', `/v1/${noun}`)).body).items
}

/** The names of what the projects of one name have: others are at work beside it. */
async function listOf(project: string, noun: (typeof nouns)[number]): Promise<readonly string[]> {
  const own = (await list('projects')).filter(({ name }) => name === project).map(({ id }) => id)
  const found = await list(noun)
  return found.filter(({ projectId }) => projectId !== null && own.includes(projectId)).map(({ name }) => name)
}

/** Until these answer, and nobody else. A balancer is active before its members have been found healthy. */
async function untilAnswering(vips: readonly string[], names: readonly string[]): Promise<void> {
  for (const vip of vips) {
    let found: readonly string[] = []
    const isSo = async () => {
      const answers = await outside.askMany(`http://${vip}/`, 20)
      found = [...new Set(answers.map((answer) => answer.split(' ')[0] ?? ''))].toSorted()
      return found.join() === names.join()
    }
    await waitUntil(isSo, {
      what: () => `${names.join(', ')} to answer by ${vip}, not ${found.join(', ')}`,
      timeoutSeconds: 30,
      intervalMilliseconds: 100,
    })
  }
}

async function vipsOf(workspace: TerraformWorkspace): Promise<readonly string[]> {
  return v.parse(stringsSchema, await workspace.output('vips'))
}

async function startSteadyLoad(vips: readonly string[], phase: string): Promise<Load> {
  return await startLoad(openLab(settings).state.client?.pid ?? 0, {
    targets: vips.map((address) => ({ address, port: 80 })),
    connections: 4,
    requestsPerSecond: 100,
    timeoutMilliseconds: 10_000,
    requestsPerConnection: 10,
    phase,
  })
}

async function expectNoneFailed(load: Load): Promise<void> {
  const phases = await load.end()
  expect(phases.map(({ name, failures }) => [name, failures])).toEqual(phases.map(({ name }) => [name, []]))
  for (const { name, requests } of phases) expect([name, requests > 0]).toEqual([name, true])
}

const create = async (noun: string, body: unknown) => {
  const { status, body: made } = await outside.ask('POST', `/v1/${noun}?wait=true`, { body })
  if (status >= 300) throw new Error(`${noun}: ${JSON.stringify(made)}`)
  return v.parse(v.object({ id: v.string() }), made).id
}

test('the snippets of the documents are valid, all together', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-snippets-'))
  const root = join(repository, 'examples/terraform/snippets')
  const paths = readdirSync(root, { recursive: true }).map(String)
  for (const path of paths.filter((one) => one.endsWith('.tf')))
    copyFileSync(join(root, path), join(folder, path.replaceAll('/', '-')))
  try {
    const workspace = await openWorkspace({ source: folder, environment: outside.environment() })
    workspaces.push(workspace)
    expect((await workspace.run('validate', '-no-color')).stdout).toContain('The configuration is valid')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

describe.concurrent('without load, beside each other,', () => {
  test('a web service grows by a machine, and nothing is replaced', async () => {
    const workspace = await open('web-service')
    await applyWholly(workspace)
    const vips = await vipsOf(workspace)
    await untilAnswering(vips, ['web-1', 'web-2'])
    const more = { machines: 3 }
    expect(await workspace.plan(more)).toEqual([
      { address: 'sluice_load_balancer.web', actions: 'update', isImport: false },
      { address: 'sluice_machine.web[2]', actions: 'create', isImport: false },
    ])
    await applyWholly(workspace, more)
    await workspace.destroy(more)
  })

  test('two projects have the same names and addresses, and one goes without the other', async () => {
    const workspace = await open('two-projects')
    await applyWholly(workspace)
    expect(await listOf('shop', 'machines')).toEqual(['web', 'web'])
    const urls = v.parse(v.record(v.string(), v.string()), await workspace.output('urls'))
    for (const url of Object.values(urls)) {
      // A balancer is active before its members have been found healthy.
      await waitUntil(async () => (await outside.askMany(url, 1))[0]?.startsWith('web ') === true, {
        what: () => `${url} to answer`,
        timeoutSeconds: 30,
        intervalMilliseconds: 100,
      })
    }
    const one = { owners: ['jane'] }
    await applyWholly(workspace, one)
    expect(await listOf('shop', 'machines')).toEqual(['web'])
    await workspace.destroy(one)
  })

  test('what was made by hand is imported as it is, then changed', async () => {
    const project = await create('projects', { name: 'adopted', user: 'jane' })
    const pool = await create('pools', { name: 'shop', projectId: project, cidr: '10.20.0.0/24' })
    const network = await create('networks', { name: 'front', projectId: project })
    const body = { name: 'front', poolId: pool, cidr: '10.20.0.0/24', networkId: network }
    const shard = await create('shards', body)
    const on = { name: 'web', projectId: project, networkId: network }
    const machine = await create('machines', { ...on, workloads: [{ kind: 'web', port: 80 }] })
    const balancer = { ...on, trafficType: 'http', listeners: [{ port: 80 }], members: [{ machineId: machine }] }
    const loadBalancer = await create('load-balancers', balancer)
    const ids = { project, pool, shard, network, machine, load_balancer: loadBalancer }

    const workspace = await open('adopt')
    const planned = await workspace.plan({ ids })
    expect(planned.map(({ actions, isImport }) => [actions, isImport])).toEqual(Array(7).fill(['no-op', true]))
    const known = await Promise.all(nouns.map((noun) => listOf('adopted', noun)))
    await applyWholly(workspace, { ids })
    expect(await Promise.all(nouns.map((noun) => listOf('adopted', noun)))).toEqual(known)
    await applyWholly(workspace, { ids, drain_seconds: 5 })
    const shown = await outside.ask('GET', `/v1/load-balancers/${loadBalancer}`)
    expect(shown.body).toMatchObject({ timeouts: { drainSeconds: 5 } })
    await workspace.destroy({ ids })
  })
})

test('blue is switched to green by weights, and no request fails', async () => {
  const workspace = await open('blue-green')
  await applyWholly(workspace)
  const vips = await vipsOf(workspace)
  await untilAnswering(vips, ['blue-1', 'blue-2'])
  const load = await startSteadyLoad(vips, 'half of it goes to green')
  await applyWholly(workspace, { green_percent: 50 })
  await untilAnswering(vips, ['blue-1', 'blue-2', 'green-1', 'green-2'])
  await load.enterPhase('all of it goes to green')
  await applyWholly(workspace, { green_percent: 100 })
  await untilAnswering(vips, ['green-1', 'green-2'])
  await expectNoneFailed(load)
  await workspace.destroy({ green_percent: 100 })
})

test('a network grows by a shard, and its old one is emptied under traffic', async () => {
  const workspace = await open('grow-and-evacuate')
  await applyWholly(workspace)
  const addressesSchema = v.record(v.string(), stringsSchema)
  const before = v.parse(addressesSchema, await workspace.output('addresses'))
  const vips = await vipsOf(workspace)
  await untilAnswering(vips, Object.keys(before).toSorted())
  const load = await startSteadyLoad(vips, 'the network grows')
  await applyWholly(workspace, { shards: ['old', 'new'] })
  await load.enterPhase('the old shard is emptied')
  const only = { shards: ['new'] }
  expect(await workspace.plan(only)).toEqual([
    { address: 'sluice_shard.front["old"]', actions: 'delete', isImport: false },
    { address: 'sluice_shard_attachment.front["old"]', actions: 'delete', isImport: false },
  ])
  await workspace.apply(only)
  await load.enterPhase('it is gone')
  expect(await workspace.plan(only)).toEqual([])
  // The machines' new addresses are read with the next run.
  await applyWholly(workspace, only)
  const after = v.parse(addressesSchema, await workspace.output('addresses'))
  for (const [name, [address]] of Object.entries(before)) expect(after[name]).not.toContain(address)
  await expectNoneFailed(load)
  expect(await listOf('grow-and-evacuate', 'shards')).toEqual(['new'])
  await workspace.destroy(only)
})

test('nothing is left of any of them', async () => {
  expect((await Promise.all(nouns.map(list))).flat()).toEqual([])
})
