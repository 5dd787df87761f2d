import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test'
import { Command } from 'commander'
import type { Migration, MigrationPlan } from '../../controller/contract/migration.ts'
import type { Api, ApiRequest } from '../api.ts'
import { attachmentCommands, networkNoun, shardNoun } from './address-space.ts'
import { describeBlocked, describePlan, migrationCommand, shardMigrationCommands } from './migration.ts'

const id = (prefix: string) => `${prefix}_${'0'.repeat(25)}`
const at = '2030-01-01T00:00:00.000Z'

const migration: Migration = {
  id: id('mig'),
  name: 'web',
  projectId: id('prj'),
  shardKey: '0',
  version: 1,
  generation: 1,
  status: 'running',
  conditions: [],
  createdAt: at,
  updatedAt: at,
  shardId: id('shd'),
  networkId: id('net'),
  toNetworkId: null,
  mode: 'overlap',
  parallelism: 8,
  drainSeconds: 30,
  reason: null,
  movesTotal: 1,
  movesDone: 0,
  movesFailed: 0,
  startedAt: at,
  finishedAt: null,
  moves: [
    {
      ownerId: id('mch'),
      ownerKind: 'machine',
      name: 'web-1',
      from: '10.0.0.2',
      to: null,
      mode: 'overlap',
      step: 'waiting',
      reason: null,
      startedAt: null,
      finishedAt: null,
    },
  ],
}

const plan: MigrationPlan = {
  shardId: id('shd'),
  networkId: id('net'),
  toNetworkId: null,
  mode: 'restart',
  moves: [
    {
      ownerId: id('mch'),
      ownerKind: 'machine',
      name: 'web-1',
      from: '10.0.0.2',
      to: '10.0.4.2',
      breaksConnections: true,
    },
  ],
  secondsMaximum: 40,
}

let printed: string[]
let asked: ApiRequest[]
let restore: () => void
beforeEach(() => {
  printed = []
  asked = []
  const spy = spyOn(console, 'log').mockImplementation((text: string) => {
    printed.push(text)
  })
  restore = () => spy.mockRestore()
})
afterEach(() => restore())

/** Runs a command against an API that answers with what is there for a path. */
async function run(words: string, answers: Readonly<Record<string, unknown>>): Promise<string> {
  const api: Api = {
    address: 'http://127.0.0.1:7480',
    token: 'secret',
    call: async (request) => {
      asked.push(request)
      return answers[request.path]
    },
    open: () => Promise.reject(new Error('BUG: nothing is streamed here')),
  }
  const shard = new Command('shard')
  for (const verb of [...attachmentCommands(() => api), ...shardMigrationCommands(() => api)]) shard.addCommand(verb)
  const program = new Command('sluice').addCommand(shard).addCommand(migrationCommand(() => api))
  await program.parseAsync(words.split(' '), { from: 'user' })
  return printed.join('\n')
}

const shardsPath = shardNoun.path
const migratePath = `${shardsPath}/${id('shd')}/migrate`
const page = (...items: unknown[]) => ({ items, next: null })

describe('sluice shard', () => {
  test('plan shows who would move where, and for how long', async () => {
    const text = await run(`shard plan ${id('shd')} --mode restart`, { [migratePath]: plan })
    expect(text).toBe(
      [
        'HOLDER  KIND     FROM      TO        CONNECTIONS',
        'web-1   machine  10.0.0.2  10.0.4.2  break',
        '1 holder moves in restart mode, in at most 40 s',
      ].join('\n'),
    )
    expect(asked).toMatchObject([{ method: 'POST', body: { mode: 'restart', dryRun: true } }])
    expect(describePlan({ ...plan, moves: [] })).toContain('free at once')
  })

  test('migrate says how it stands and how it is followed', async () => {
    const options = '--to-network db --parallelism 2 --drain-seconds 5 --wait 30'
    const text = await run(`shard migrate web ${options}`, {
      [migratePath]: migration,
      [shardsPath]: page({ id: id('shd'), name: 'web', projectId: null }),
      [networkNoun.path]: page({ id: id('net'), name: 'db', projectId: null }),
    })
    expect(text).toBe(`shard web  running  0 of 1 moved\nfollow it: sluice migration watch ${migration.id}`)
    expect(asked.at(-1)).toEqual({
      method: 'POST',
      path: migratePath,
      query: { wait: 'true', timeout: '30s' },
      body: { toNetworkId: id('net'), parallelism: 2, drainSeconds: 5, dryRun: false },
    })
  })

  test('deallocate of one in use tells of the migration that empties it', async () => {
    const path = `${networkNoun.path}/${id('net')}/shards/${id('shd')}`
    const text = await run(`shard deallocate ${id('shd')} --network ${id('net')}`, { [path]: migration })
    expect(text).toContain(`follow it: sluice migration watch ${migration.id}`)
    expect(asked).toMatchObject([{ method: 'DELETE', path }])
  })

  test('says it all as JSON', async () => {
    expect(JSON.parse(await run(`shard plan ${id('shd')} --json`, { [migratePath]: plan }))).toEqual(plan)
    printed = []
    expect(JSON.parse(await run(`shard migrate ${id('shd')} --json`, { [migratePath]: migration }))).toEqual(migration)
  })
})

describe('sluice migration', () => {
  const path = `/v1/migrations/${migration.id}`

  test('list has a line for each', async () => {
    const text = await run('migration list --status running', { '/v1/migrations': page(migration) })
    expect(text.split('\n')).toEqual([
      'SHARD  STATUS   MODE     MOVED  FAILED  ID',
      `web    running  overlap  0/1    0       ${migration.id}`,
    ])
    expect(asked).toMatchObject([{ query: { status: 'running' } }])
    printed = []
    expect(await run('migration list', { '/v1/migrations': page() })).toBe('no migration')
  })

  test('show has its moves, found by its id or as the last of its shard', async () => {
    const text = await run(`migration show ${migration.id}`, { [path]: migration })
    expect(text).toContain('HOLDER  FROM      TO  STEP     REASON\nweb-1   10.0.0.2  -   waiting  -')
    const older = { ...migration, id: id('mig').replace(/0$/, '1') }
    printed = []
    await run('migration show web', { '/v1/migrations': page(older, migration), [path]: migration })
    expect(asked.at(-1)?.path).toBe(path)
    await expect(run('migration show db', { '/v1/migrations': page() })).rejects.toThrow(
      'there is no migration of a shard "db"',
    )
  })

  for (const action of ['cancel', 'rollback', 'resume']) {
    test(`${action} asks for it`, async () => {
      await run(`migration ${action} ${migration.id}`, { [`${path}/${action}`]: migration })
      expect(asked).toMatchObject([{ method: 'POST', path: `${path}/${action}` }])
    })
  }
})

test('one that is blocked names who could not move, and what can be done', () => {
  const [move] = migration.moves
  if (move === undefined) throw new Error('there is no move')
  const moves = [{ ...move, step: 'failed' as const, reason: 'its host is silent' }]
  expect(describeBlocked({ ...migration, status: 'blocked', reason: '1 could not move', moves })).toBe(
    [
      'the migration is blocked: 1 could not move',
      '  web-1 (10.0.0.2): its host is silent',
      `  remedy: put that right and \`sluice migration resume ${migration.id}\`, or \`sluice migration rollback ${migration.id}\``,
    ].join('\n'),
  )
})
