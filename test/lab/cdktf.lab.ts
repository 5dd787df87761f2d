/**
 * The examples of examples/cdktf deployed: the web service by the command lines of cdktf and of its successor, each with its
 * own library; the others by OpenTofu from what is synthesized. Runs in a sandbox, and wants the command lines installed:
 *   bun install --cwd examples/cdktf/cli; scripts/check lab test/lab/cdktf.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { bringLabUp, labSettings, silentProgress, takeLabDown } from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { type ConstructsLibrary, constructsLibraries, createConstructsProject } from '../constructs-project.ts'
import { createOutside, finish, type Outside, repository } from './lab-client.ts'
import { requireSandbox } from './machine-snapshot.ts'
import { cliSettings, createMirror, findCli, openWorkspace } from './terraform-workspace.ts'

setDefaultTimeout(300_000)
const settings = labSettings({ name: 'cdktf', hosts: 2 })
const answerSeconds = 30
const packages = join(repository, 'examples/cdktf/cli/node_modules')
/** cdktn wants a newer Node than Debian's. */
const nodeFolder = join(packages, `node-linux-${process.arch}/bin`)

let outside: Outside
let root: string

beforeAll(async () => {
  requireSandbox()
  if (!existsSync(packages)) throw new Error('run bun install --cwd examples/cdktf/cli, as scripts/check does')
  root = mkdtempSync(join(tmpdir(), 'sluice-cdktf-'))
  await run([join(repository, 'scripts/build-constructs')], repository)
  for (const library of constructsLibraries) {
    createConstructsProject(join(root, library), library)
    createMirror(join(root, library))
  }
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
})

afterAll(async () => {
  await takeLabDown(settings)
  rmSync(root, { recursive: true, force: true })
})

type Variables = Readonly<Record<string, string>>

async function run(argv: readonly string[], folder: string, variables: Variables = {}): Promise<string> {
  const environment = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/root', ...variables }
  const { exitCode, stdout, stderr } = await finish(argv, folder, environment)
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} ended with ${exitCode}:\n${stdout}${stderr}`)
  return stdout
}

const itemsSchema = v.object({
  items: v.array(
    v.object({
      id: v.string(),
      name: v.string(),
      projectId: v.nullable(v.string()),
      vips: v.optional(v.array(v.string()), []),
    }),
  ),
})

const list = async (noun: string) => v.parse(itemsSchema, (await outside.ask('GET', `/v1/${noun}`)).body).items

/** What a project has; others are at work beside it. */
async function listOf(project: string, noun: string) {
  const own = (await list('projects')).find(({ name }) => name === project)
  return (await list(noun)).filter(({ projectId }) => own !== undefined && projectId === own.id)
}
const namesOf = async (project: string, noun: string) => (await listOf(project, noun)).map(({ name }) => name)

/** A machine is active before the program in it listens. */
async function awaitAnswer(vip: string, wanted: RegExp): Promise<void> {
  let answer = ''
  await waitUntil(
    async () => {
      answer = (await outside.askMany(`http://${vip}/`, 1))[0] ?? ''
      return wanted.test(answer)
    },
    { what: () => `an answer by ${vip} like ${wanted}; the last was "${answer}"`, timeoutSeconds: answerSeconds },
  )
}

/** Deploys and destroys as users do; both CLIs of CDKTF have the same commands. */
const commandOf = (library: ConstructsLibrary) => (verb: string) =>
  run(
    [join(packages, '.bin', library), verb, '--auto-approve', '--skip-provider-lock'],
    join(root, library, 'web-service'),
    {
      ...outside.environment(),
      PATH: `${nodeFolder}:${process.env.PATH}`,
      CHECKPOINT_DISABLE: '1',
      CI: '1',
      TERRAFORM_BINARY_NAME: findCli(),
      TF_CLI_CONFIG_FILE: join(root, library, cliSettings),
    },
  )

/** OpenTofu with what is synthesized; again with other variables, in the place of what was there. */
async function open(example: string, variables?: Variables) {
  const folder = join(root, 'cdktf', example)
  const stack = join(folder, 'cdktf.out/stacks', example)
  const synthesize = (given?: Variables) => run([process.execPath, 'main.ts'], folder, given)
  await synthesize(variables)
  const installed = join(root, 'cdktf', cliSettings)
  const workspace = await openWorkspace({ source: stack, environment: outside.environment(), installed })
  const change = async (given: Variables) => {
    await synthesize(given)
    copyFileSync(join(stack, 'cdk.tf.json'), join(workspace.folder, 'cdk.tf.json'))
  }
  return { workspace, change }
}

const vipsSchema = v.array(v.string())
const firstVip = (vips: unknown) => v.parse(vipsSchema, vips)[0] ?? 'no VIP'

describe.concurrent('beside each other,', () => {
  // One after the other, since they are the same project.
  test(`the web service is deployed, answers, and is destroyed by ${constructsLibraries.join(' and by ')}`, async () => {
    for (const library of constructsLibraries) {
      const command = commandOf(library)
      await command('deploy')
      const [balancer] = await listOf('cdktf-web-service', 'load-balancers')
      await awaitAnswer(firstVip(balancer?.vips), /^web-[12] /)
      await command('destroy')
      expect(await namesOf('cdktf-web-service', 'networks')).toEqual([])
    }
  })

  test('blue is switched to green', async () => {
    const { workspace, change } = await open('blue-green')
    await workspace.apply()
    await workspace.expectNoChange()
    await change({ GREEN_PERCENT: '100' })
    const planned = await workspace.plan()
    expect(planned.map(({ actions }) => actions)).toEqual(['update'])
    await workspace.apply()
    await workspace.expectNoChange()
    await awaitAnswer(firstVip(await workspace.output('vips')), /^shop-green-1 /)
    await workspace.destroy()
    workspace.remove()
  })

  test('a network grows, and its old shard is emptied', async () => {
    const { workspace, change } = await open('grow-and-evacuate')
    await workspace.apply()
    await change({ SHARDS: 'old,new' })
    await workspace.apply()
    await change({ SHARDS: 'new' })
    const planned = await workspace.plan()
    expect(planned.map(({ actions }) => actions)).toEqual(['delete', 'delete'])
    await workspace.apply()
    expect(await namesOf('cdktf-grow', 'shards')).toEqual(['front-new'])
    await awaitAnswer(firstVip(await workspace.output('vips')), /^web-1 /)
    await workspace.destroy()
    workspace.remove()
  })

  test('a topology has two tenants with the same names', async () => {
    const { workspace } = await open('topology')
    await workspace.apply()
    await workspace.expectNoChange()
    for (const project of ['blog', 'shop']) expect(await namesOf(project, 'machines')).toEqual(['web-1'])
    await workspace.destroy()
    workspace.remove()
  })

  test('what was made by hand is imported as it is, then changed', async () => {
    const create = async (noun: string, body: object) => {
      const { status, body: made } = await outside.ask('POST', `/v1/${noun}?wait=true`, { body })
      if (status >= 300) throw new Error(`${noun}: ${JSON.stringify(made)}`)
      return v.parse(v.object({ id: v.string() }), made).id
    }
    const PROJECT = await create('projects', { name: 'adopted', user: 'jane' })
    const POOL = await create('pools', { name: 'shop', projectId: PROJECT, cidr: '10.20.0.0/24' })
    const NETWORK = await create('networks', { name: 'front', projectId: PROJECT })
    const SHARD = await create('shards', { name: 'front', poolId: POOL, cidr: '10.20.0.0/24', networkId: NETWORK })
    const on = { name: 'web', projectId: PROJECT, networkId: NETWORK }
    const MACHINE = await create('machines', { ...on, workloads: [{ kind: 'web', port: 80 }] })
    const traffic = { trafficType: 'http', listeners: [{ port: 80 }], members: [{ machineId: MACHINE }] }
    const LOAD_BALANCER = await create('load-balancers', { ...on, ...traffic })
    const { workspace, change } = await open('adopt', { PROJECT, POOL, NETWORK, SHARD, MACHINE, LOAD_BALANCER })
    const planned = await workspace.plan()
    expect(planned.map(({ actions, isImport }) => [actions, isImport])).toEqual(Array(7).fill(['no-op', true]))
    await workspace.apply()
    await change({ DRAIN_SECONDS: '5' })
    await workspace.apply()
    await workspace.expectNoChange()
    const shown = await outside.ask('GET', `/v1/load-balancers/${LOAD_BALANCER}`)
    expect(shown.body).toMatchObject({ timeouts: { drainSeconds: 5 } })
    await workspace.destroy()
    workspace.remove()
  })
})

test('nothing is left of any of them', async () => {
  expect((await Promise.all(['projects', 'networks', 'load-balancers'].map(list))).flat()).toEqual([])
})
