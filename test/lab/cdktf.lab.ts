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

setDefaultTimeout(120_000)
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

const itemsSchema = v.object({ items: v.array(v.object({ name: v.string() })) })

async function listNames(noun: string): Promise<readonly string[]> {
  const { body } = await outside.ask('GET', `/v1/${noun}`)
  return v.parse(itemsSchema, body).items.map(({ name }) => name)
}

const balancersSchema = v.object({ items: v.array(v.object({ vips: v.array(v.string()) })) })

/** Of the one balancer that there is. */
async function findVip(): Promise<string> {
  const { body } = await outside.ask('GET', '/v1/load-balancers')
  const vips = v.parse(balancersSchema, body).items.flatMap((one) => one.vips)
  return vips[0] ?? 'no VIP'
}

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

describe.each(constructsLibraries)('the web service by the command line of %s', (library: ConstructsLibrary) => {
  const command = (verb: string) =>
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

  test('is deployed, answers, and is destroyed', async () => {
    await command('deploy')
    await awaitAnswer(await findVip(), /^web-[12] /)
    await command('destroy')
    expect(await listNames('projects')).toEqual([])
  })
})

describe('by OpenTofu from what is synthesized', () => {
  /** Synthesizes it again with other variables, in the place of what was there. */
  const open = async (example: string) => {
    const folder = join(root, 'cdktf', example)
    const stack = join(folder, 'cdktf.out/stacks', example)
    const synthesize = (variables?: Variables) => run([process.execPath, 'main.ts'], folder, variables)
    await synthesize()
    const workspace = await openWorkspace({ source: stack, environment: outside.environment() })
    const change = async (variables: Variables) => {
      await synthesize(variables)
      copyFileSync(join(stack, 'cdk.tf.json'), join(workspace.folder, 'cdk.tf.json'))
    }
    return { workspace, change }
  }

  test('blue is switched to green', async () => {
    const { workspace, change } = await open('blue-green')
    await workspace.apply()
    await workspace.expectNoChange()
    await change({ GREEN_PERCENT: '100' })
    const planned = await workspace.plan()
    expect(planned.map(({ actions }) => actions)).toEqual(['update'])
    await workspace.apply()
    await workspace.expectNoChange()
    const [vip = ''] = v.parse(v.array(v.string()), await workspace.output('vips'))
    await awaitAnswer(vip, /^shop-green-1 /)
    await workspace.destroy()
    workspace.remove()
  })

  test('a network grows, and its old shard is emptied', async () => {
    const { workspace, change } = await open('grow-and-evacuate')
    await workspace.apply()
    const [vip = ''] = v.parse(v.array(v.string()), await workspace.output('vips'))
    await change({ SHARDS: 'old,new' })
    await workspace.apply()
    await change({ SHARDS: 'new' })
    const planned = await workspace.plan()
    expect(planned.map(({ actions }) => actions)).toEqual(['delete', 'delete'])
    await workspace.apply()
    expect(await listNames('shards')).toEqual(['front-new'])
    await awaitAnswer(vip, /^web-1 /)
    await workspace.destroy()
    workspace.remove()
  })

  test('a topology has two tenants with the same names', async () => {
    const { workspace } = await open('topology')
    await workspace.apply()
    await workspace.expectNoChange()
    expect((await listNames('projects')).toSorted()).toEqual(['blog', 'shop'])
    expect(await listNames('machines')).toEqual(['web-1', 'web-1'])
    await workspace.destroy()
    expect(await listNames('projects')).toEqual([])
    workspace.remove()
  })
})
