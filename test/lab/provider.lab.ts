/**
 * Every resource of the provider through its life, by each CLI that is there, on a real rack: made, read, every attribute
 * changed in place, put right when somebody else has changed or deleted it, imported, and taken away without a trace. And
 * what happens when things go wrong. Runs in a sandbox:
 *   scripts/build && scripts/sandbox bun test ./test/lab/provider.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
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
import { type CommandLine, findPrograms, openCommandLine } from '../provider/command-line.ts'
import { describeEverything, everyResource, first, second, secretOf, third } from '../provider/everything.ts'
import { createOutside, type Outside, repository } from './lab-client.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(120_000)
const settings = labSettings({ name: 'tf', hosts: 2 })
const nouns = ['projects', 'pools', 'shards', 'networks', 'machines', 'load-balancers'] as const

let outside: Outside

beforeAll(async () => {
  requireSandbox()
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
})

afterAll(async () => {
  await takeLabDown(settings)
})

const open = (program: string, environment: Readonly<Record<string, string>> = {}) =>
  openCommandLine({
    program,
    binaries: join(repository, 'dist'),
    environment: { ...outside.environment(), ...environment },
  })

const pageSchema = v.object({ items: v.array(v.looseObject({ id: v.string(), name: v.string() })) })
async function list(noun: string) {
  return v.parse(pageSchema, (await outside.ask('GET', `/v1/${noun}?limit=1000`)).body).items
}
const count = async () => (await Promise.all(nouns.map(list))).map((items) => items.length)

/** The ids of the state, by resource. */
async function readIds(cli: CommandLine): Promise<Readonly<Record<string, string>>> {
  const state = v.parse(
    v.object({
      values: v.object({
        root_module: v.object({
          resources: v.array(v.looseObject({ address: v.string(), values: v.looseObject({}) })),
        }),
      }),
    }),
    JSON.parse(await cli.run('show', '-json')),
  )
  return Object.fromEntries(
    state.values.root_module.resources.map(({ address, values }) => [
      address,
      address.startsWith('sluice_load_balancer_member.')
        ? `${String(values.load_balancer_id)}/${String(values.id)}`
        : String(values.id),
    ]),
  )
}

interface Tried {
  readonly program: string
  readonly cli: CommandLine
  ids: Readonly<Record<string, string>>
}

describe('by each CLI at once, each with a project of its own,', () => {
  let all: readonly Tried[]
  const each = (work: (tried: Tried) => Promise<void>) => Promise.all(all.map(work))

  beforeAll(() => {
    all = findPrograms().map((program) => ({ program, cli: open(program), ids: {} }))
  })
  afterAll(() => {
    for (const { cli } of all) cli.remove()
  })

  test('everything is made, and the next plan is empty', () =>
    each(async (tried) => {
      const { program, cli } = tried
      cli.write(describeEverything(program, first))
      expect(await cli.apply()).toContain(`${everyResource.length} added, 0 changed, 0 destroyed`)
      expect(await cli.plan()).toMatchObject({ changes: [], outputsChange: false })
      tried.ids = await readIds(cli)
    }))

  test('the secret of a token lets in, and is in no state', () =>
    each(async ({ program, cli, ids }) => {
      const prefix = JSON.parse(await cli.run('output', '-json', 'bearer_prefix'))
      const me = await outside.ask('GET', '/v1/me', { token: `${prefix}${secretOf(program)}` })
      expect(me.body).toMatchObject({ scope: 'project', projectId: ids['sluice_project.all'] } as object)
      expect(readFileSync(join(cli.folder, 'terraform.tfstate'), 'utf8')).not.toContain(secretOf(program))
    }))

  test('every attribute that can change in place does, and nothing is made anew', () =>
    each(async ({ program, cli, ids }) => {
      for (const wishes of [second, third]) {
        cli.write(describeEverything(program, wishes))
        expect(await cli.apply()).toMatch(/0 added, \d+ changed, 0 destroyed/)
        expect(await cli.plan()).toMatchObject({ changes: [], outputsChange: false })
      }
      expect(await readIds(cli)).toEqual(ids)
    }))

  test('what somebody else has changed or deleted is put right', () =>
    each(async (tried) => {
      const { cli, ids } = tried
      const [balancer, member] = (ids['sluice_load_balancer_member.one'] ?? '').split('/')
      await outside.ask('PATCH', `/v1/networks/${ids['sluice_network.web']}`, { body: { name: 'drifted' } })
      await outside.ask('PATCH', `/v1/load-balancers/${ids['sluice_load_balancer.web']}?wait=true`, {
        body: { algorithm: 'source', retries: 9 },
      })
      await outside.ask('DELETE', `/v1/load-balancers/${balancer}/members/${member}?wait=true`)
      await outside.ask('DELETE', `/v1/tokens/${ids['sluice_token.reader']}`)
      const deleted = await outside.ask('DELETE', `/v1/machines/${ids['sluice_machine.web']}?wait=true`)
      expect(deleted.status).toBe(204)
      const { changes, drift } = await cli.plan()
      expect(drift).toEqual(expect.arrayContaining(['sluice_load_balancer.web', 'sluice_network.web']))
      expect(changes).toEqual([
        'create sluice_load_balancer_member.one',
        'create sluice_machine.web',
        'create sluice_token.reader',
        'update sluice_load_balancer.web',
        'update sluice_network.web',
      ])
      await cli.apply()
      expect((await cli.plan()).changes).toEqual([])
      tried.ids = await readIds(cli)
    }))

  test('what can not change in place says that it is made anew', () =>
    each(async ({ program, cli }) => {
      cli.write(
        describeEverything(program, third)
          .replace('traffic_type = "tcp"', 'traffic_type = "http"')
          .replace('name = "spare-', 'name = "other-')
          .replace('cidr           = "198.18.19.0/24"', 'cidr           = "198.18.18.0/24"'),
      )
      expect((await cli.plan()).changes).toEqual([
        'replace sluice_host.spare',
        'replace sluice_load_balancer.open',
        'replace sluice_load_balancer_member.one',
        'replace sluice_shard.spare',
      ])
    }))

  test('everything is imported by its id as it is', () =>
    each(async ({ program, ids }) => {
      const other = open(program)
      const blocks = everyResource.map((address) => `import {\n  to = ${address}\n  id = "${ids[address]}"\n}\n`)
      other.write(describeEverything(program, third) + blocks.join(''))
      const summary = (await other.apply()).match(/Apply complete!.*/)?.[0]
      expect(summary).toContain(`${everyResource.length} imported, 0 added, 0 changed, 0 destroyed`)
      other.remove()
    }))

  test('everything is taken away, and nothing of it is left', async () => {
    await each(async ({ program, cli }) => {
      cli.write(describeEverything(program, third))
      expect(await cli.run('destroy', '-auto-approve')).toContain(`${everyResource.length} destroyed`)
    })
    expect(await count()).toEqual(nouns.map(() => 0))
    expect((await list('hosts')).map(({ name }) => name).toSorted()).toEqual(['host-1', 'host-2'])
  })
})

const small = `
resource "sluice_project" "killed" {
  name = "killed"
  user = "john"
}
resource "sluice_network" "killed" {
  count      = 12
  name       = "network \${count.index}"
  project_id = sluice_project.killed.id
}
`

describe('when things go wrong', () => {
  const [program = ''] = findPrograms()

  test('an apply that is killed in the middle is finished by the next one, without doubles', async () => {
    const cli = open(program)
    cli.write(small)
    const child = cli.start('apply', '-auto-approve')
    const isUnderWay = async () => (await list('networks')).length > 0
    await waitUntil(isUnderWay, { what: () => 'a network to be there', timeoutSeconds: 30, intervalMilliseconds: 1 })
    child.kill('SIGKILL')
    await child.exited
    await cli.apply('-lock=false')
    expect((await list('networks')).length).toBe(12)
    expect((await cli.plan()).changes).toEqual([])
    await cli.run('destroy', '-auto-approve')
    expect(await list('networks')).toEqual([])
    cli.remove()
  })

  test('a controller that is restarted in the middle is waited for, by each CLI', async () => {
    const all = findPrograms().map((program) => ({ program, cli: open(program) }))
    for (const { program, cli } of all) cli.write(small.replace('"killed"\n  user', `"${program}"\n  user`))
    const applying = Promise.all(all.map(({ cli }) => cli.apply('-parallelism=2')))
    const isUnderWay = async () => (await list('networks')).length > 0
    await waitUntil(isUnderWay, { what: () => 'a network to be there', timeoutSeconds: 30, intervalMilliseconds: 1 })
    await killController(openLab(settings))
    await bootController(openLab(settings))
    for (const said of await applying) expect(said).toContain('13 added')
    expect((await list('networks')).length).toBe(12 * all.length)
    await Promise.all(all.map(({ cli }) => cli.run('destroy', '-auto-approve')))
    for (const { cli } of all) cli.remove()
  })
})
