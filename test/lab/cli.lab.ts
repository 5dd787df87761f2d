/** The `sluice` command against a real controller: every noun, as a person types it and as a program reads it. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as v from 'valibot'
import { statusSchema } from '../../controller/contract/status.ts'
import { bringLabUp, labSettings, silentProgress, takeLabDown } from '../../lab/lab.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(120_000)
const settings = labSettings({ name: 'clitest', hosts: 2 })
const repository = new URL('../..', import.meta.url).pathname
const folder = mkdtempSync(`${tmpdir()}/sluice-cli-`)

beforeAll(async () => {
  requireSandbox()
  await bringLabUp(settings, silentProgress)
})
afterAll(async () => {
  await takeLabDown(settings)
  rmSync(folder, { recursive: true })
})

type Result = { readonly exitCode: number; readonly stdout: string; readonly stderr: string }

async function sluice(...argv: readonly string[]): Promise<Result> {
  const { SLUICE_ADDR: _, SLUICE_TOKEN: __, ...environment } = process.env
  const child = Bun.spawn([process.execPath, `${repository}/cli/main.ts`, ...argv], {
    cwd: folder,
    env: { ...environment, SLUICE_LAB: settings.name },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { exitCode: await child.exited, stdout, stderr }
}

async function must(...argv: readonly string[]): Promise<string> {
  const result = await sluice(...argv)
  if (result.exitCode !== 0) throw new Error(`sluice ${argv.join(' ')}: ${result.stdout}${result.stderr}`)
  return result.stdout
}

const mustJson = async (...argv: readonly string[]) =>
  v.parse(v.record(v.string(), v.unknown()), JSON.parse(await must(...argv, '--json')))

const itemsOf = (answer: Record<string, unknown>) =>
  v.parse(v.array(v.looseObject({ id: v.string(), name: v.string(), status: v.string() })), answer.items)

const width = (text: string) => Math.max(...text.split('\n').map((line) => line.length))

describe('nouns', () => {
  test('are made one from the other, by their names', async () => {
    await must('project', 'create', 'shop', '--user', 'john', '--quota-machines', '5')
    await must('network', 'create', 'front', '--project', 'shop')
    await must('pool', 'create', 'space', '--project', 'shop', '--cidr', '10.8.0.0/20')
    const shard = await mustJson('shard', 'create', 'first', '--pool', 'space', '--size', '256')
    expect(shard.cidr).toBe('10.8.0.0/24')
    await must('shard', 'allocate', 'first', '--network', 'front')
    await must(
      'machine',
      'create',
      'web-1',
      '--project',
      'shop',
      '--network',
      'front',
      '--workload',
      'web:80',
      '--wait',
    )
    const machine = await mustJson('machine', 'show', 'web-1')
    expect(machine.status).toBe('active')
    const balancer = ['--type', 'http', '--listener', '80', '--member', 'web-1', '--check-interval', '1']
    await must(
      'lb',
      'create',
      'web',
      '--project',
      'shop',
      '--network',
      'front',
      ...balancer,
      '--check-timeout',
      '1',
      '--wait',
    )
    expect((await mustJson('lb', 'show', 'web')).status).toBe('active')
  })

  test('are listed as a table of at most 80 columns, and as JSON', async () => {
    for (const noun of ['project', 'pool', 'shard', 'network', 'machine', 'load-balancer', 'host', 'token']) {
      const table = await must(noun, 'list')
      expect([noun, width(table)]).toEqual([noun, Math.min(80, width(table))])
      expect(itemsOf(await mustJson(noun, 'list')).length).toBeGreaterThan(noun === 'token' ? -1 : 0)
    }
    expect(await must('machine', 'list', '--project', 'shop', '--network', 'front')).toContain('web-1')
  })

  test('are shown with all that is known of them', async () => {
    const shown = await must('lb', 'show', 'web', '--project', 'shop')
    expect(shown).toContain('trafficType')
    expect(shown).toContain('members:')
    expect(shown).toContain('instances:')
  })

  test('of address space are planned, moved while they run, and followed', async () => {
    const { addresses: before } = await mustJson('machine', 'show', 'web-1')
    const refused = await sluice('shard', 'plan', 'first')
    expect([refused.exitCode, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/3 are missing[\s\S]*remedy: .*shard create/),
    ])
    await must('shard', 'create', 'second', '--pool', 'space', '--size', '256', '--network', 'front')
    expect(await must('shard', 'plan', 'first')).toMatch(/web-1 +machine +10\.8\.0\.\d+ +10\.8\.1\.\d+ +kept/)
    const followed = await must('shard', 'migrate', 'first', '--drain-seconds', '2', '--watch')
    expect(followed).toMatch(/web-1 .* draining[\s\S]*shard first {2}done {2}3 of 3 moved\n$/)
    expect(width(followed)).toBeLessThanOrEqual(80)
    expect(await mustJson('migration', 'show', 'first')).toMatchObject({ status: 'done', movesFailed: 0 })
    expect(await mustJson('shard', 'show', 'first')).toMatchObject({ status: 'available', resourceCount: 0 })
    const { addresses: after, status } = await mustJson('machine', 'show', 'web-1')
    expect([before, after, status]).toEqual([
      [expect.stringMatching(/^10\.8\.0/)],
      [expect.stringMatching(/^10\.8\.1/)],
      'active',
    ])
    expect(await must('address', 'list', '--network', 'front')).toMatch(/10\.8\.1\.\d+ .*web-1/)
    expect(await must('pool', 'space', 'space')).toContain('10.8.1.0/24')
    await must('shard', 'allocate', 'first', '--network', 'front')
  })

  test('are changed and given up, if they have the version that was named', async () => {
    await must('project', 'update', 'shop', '--quota-machines', '6')
    const stale = await sluice('project', 'update', 'shop', '--quota-machines', '7', '--if-match', '1')
    expect(stale.exitCode).toBe(1)
    expect(stale.stderr).toContain('version')
    const member = await mustJson('member', 'add', 'web', '10.8.0.200:8080', '--weight', '5')
    expect(member.weight).toBe(5)
    expect(await must('member', 'list', 'web')).toContain('10.8.0.200')
    await must('member', 'update', 'web', String(member.id), '--weight', '7')
    await must('member', 'delete', 'web', String(member.id))
    expect(itemsOfMembers(await mustJson('member', 'list', 'web'))).toHaveLength(1)
    await must('lb', 'delete', 'web', '--wait')
    await must('machine', 'delete', 'web-1', '--wait')
    expect(await must('machine', 'list', '--project', 'shop')).toBe('no machine\n')
  })
})

const itemsOfMembers = (answer: Record<string, unknown>) => v.parse(v.array(v.unknown()), answer.items)

describe('secrets', () => {
  test('are printed once, alone on their line', async () => {
    const [joinToken, how] = (await must('host', 'add', 'rack-9', '--lifetime', '60')).split('\n')
    expect(joinToken).toMatch(/^sluice-join\.rack-9\./)
    expect(how).toContain('for one use')
    const token = (await must('token', 'create', 'robot', '--project', 'shop')).trim()
    const asRobot = await fetch('http://127.0.0.1:7480/v1/projects', { headers: { authorization: `Bearer ${token}` } })
    expect(asRobot.status).toBe(200)
  })

  test('of NATS go to a file', async () => {
    const printed = await must('token', 'create', 'listener', '--project', 'shop', '--nats')
    expect(printed).toContain('stream')
    expect(readFileSync(`${folder}/listener.creds`, 'utf8')).toContain('NATS USER JWT')
  })
})

describe('what is wrong', () => {
  test('is told with the remedy, and with an exit code', async () => {
    const overlap = await sluice('pool', 'create', 'again', '--project', 'shop', '--cidr', '10.8.1.0/24')
    expect(overlap.exitCode).toBe(1)
    expect(overlap.stderr).toContain('overlap')
    expect(overlap.stderr).toContain('remedy: ')
    const field = await sluice('pool', 'create', 'again', '--project', 'shop', '--cidr', 'many')
    expect(field.stderr).toContain('cidr')
    const unknown = await sluice('network', 'show', 'nowhere')
    expect(unknown.stderr).toBe('sluice: there is no network "nowhere"; `sluice network list` shows what there is\n')
    const needed = await sluice('pool', 'create', 'again')
    expect(needed.stderr).toContain('--project is needed')
  })
})

describe('events and status', () => {
  test('events are CloudEvents, one a line', async () => {
    const lines = (await must('events', '--limit', '200')).trim().split('\n')
    const types = lines.map((line) =>
      v.parse(v.looseObject({ type: v.string(), specversion: v.literal('1.0') }), JSON.parse(line)),
    )
    expect(types.map(({ type }) => type)).toEqual(expect.arrayContaining(['project.created', 'load-balancer.deleted']))
    const own = await must('events', '--project', 'shop', '--type', 'pool.*')
    expect(
      own
        .trim()
        .split('\n')
        .every((line) => line.includes('"pool.')),
    ).toBe(true)
  })

  test('events --follow tells what happens while it happens', async () => {
    const child = Bun.spawn(
      [process.execPath, `${repository}/cli/main.ts`, 'events', '--follow', '--type', 'network.*'],
      {
        cwd: folder,
        env: { ...process.env, SLUICE_LAB: settings.name },
        stdout: 'pipe',
        stderr: 'pipe',
      },
    )
    const reader = child.stdout.getReader()
    const first = reader.read()
    // Until it follows nothing is told, so make one after the other.
    let made = 0
    const isTold = first.then(() => true)
    while (!(await Promise.race([isTold, Bun.sleep(200).then(() => false)]))) {
      await must('network', 'create', `net-${made++}`, '--project', 'shop')
    }
    const { value } = await first
    expect(JSON.parse(new TextDecoder().decode(value).split('\n')[0] ?? '')).toMatchObject({ type: 'network.created' })
    child.kill()
    await child.exited
  })

  test('status has the shape that programs rely on, and fits 80 columns', async () => {
    const status = v.parse(statusSchema, await mustJson('status'))
    const active = status.hosts.filter((host) => host.status === 'active').map(({ name }) => name)
    expect(active.toSorted()).toEqual(['host-1', 'host-2'])
    const printed = await must('status')
    expect(printed).toMatch(/HOST +STATUS\nhost-1 +active\nhost-2 +active/)
    expect(width(printed)).toBeLessThanOrEqual(80)
  })

  test('lab env is what a shell can eval', async () => {
    expect(await must('lab', 'env')).toMatch(/^SLUICE_ADDR=http:\/\/127\.0\.0\.1:7480\nSLUICE_TOKEN=\S+\n$/)
  })
})
