import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { projectCaller } from '../access/test-context.ts'
import { type Migration, type MigrationCreate, migrationCreateSchema } from '../contract/migration.ts'
import type { Outcome, Problem } from '../contract/problem.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import { write } from '../control-plane/store.ts'
import {
  addressKind,
  type MigrationValue,
  type MoveValue,
  migrationKind,
  moveKind,
  networkKind,
  projectKind,
  shardKind,
} from '../objects.ts'
import { createTestRack, type TestRack } from '../test-rack.ts'
import { moveIdOf } from './migration-moves.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let rack: TestRack
let poolId: string
let networkId: string
beforeEach(async () => {
  rack = await createTestRack()
  const input = { name: 'all', projectId: rack.projectId, cidr: '10.0.0.0/16' }
  poolId = get(await rack.services.pools.create(input, rack.context.request())).id
  networkId = await createNetwork('web')
})

function get<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`)
  return outcome.value
}
const problemOf = (outcome: Outcome<unknown>): Problem => {
  if (outcome.ok) throw new Error('it was not refused')
  return outcome.problem
}

async function createNetwork(name: string, projectId = rack.projectId): Promise<string> {
  return get(await rack.services.networks.create({ name, projectId, mtu: 1400 }, rack.context.request())).id
}
async function createShard(name: string, sizeAddresses: 16 | 1024 = 16, on: string | null = networkId) {
  const input = { name, poolId, sizeAddresses, ...(on === null ? {} : { networkId: on }) }
  return get(await rack.services.shards.create(input, rack.context.request())).id
}
const createMachine = (name: string, address?: string) =>
  rack.services.machines.create(
    { name, projectId: rack.projectId, networkId, driver: 'netns', workloads: [], ...(address && { address }) },
    rack.context.request(),
  )
const input = (parts: Partial<MigrationCreate> = {}) => v.parse(migrationCreateSchema, parts)
const start = (shardId: string, parts: Partial<MigrationCreate> = {}, request = rack.context.request()) =>
  rack.services.migrations.start(shardId, input(parts), request)
const statusOf = async (shardId: string) => get(await rack.services.shards.show(shardId, rack.context.request())).status
const listAll = async () => get(await rack.services.migrations.list({}, rack.context.request())).items

/** A shard with two machines, and room for them elsewhere. */
async function createInUse(): Promise<string> {
  const shardId = await createShard('old')
  for (const name of ['web-1', 'web-2']) get(await createMachine(name))
  await createShard('new')
  return shardId
}

/** As the reconcile loop would. */
async function put(id: string, change: (value: MigrationValue) => MigrationValue): Promise<void> {
  const object = await rack.store.get(migrationKind, id)
  if (object === null) throw new Error(`there is no migration ${id}`)
  await rack.store.transact({
    writes: [write({ kind: migrationKind, id, expect: object.version, value: change(object.value) })],
  })
}
async function putMove(migrationId: string, ownerId: string, parts: Partial<MoveValue>): Promise<void> {
  const id = moveIdOf(migrationId, ownerId)
  const object = await rack.store.get(moveKind, id)
  if (object === null) throw new Error(`there is no move ${id}`)
  const value = { ...object.value, ...parts }
  await rack.store.transact({ writes: [write({ kind: moveKind, id, expect: object.version, value })] })
}
async function unmark(shardId: string): Promise<void> {
  const object = await rack.store.get(shardKind, shardId)
  if (object === null) throw new Error(`there is no shard ${shardId}`)
  const { migrationId: _, ...value } = object.value
  await rack.store.transact({ writes: [write({ kind: shardKind, id: shardId, expect: object.version, value })] })
}

describe('starting a migration', () => {
  test('marks the shard and has a move for each holder, in the order of the addresses', async () => {
    const shardId = await createInUse()
    const migration = get(await start(shardId, { parallelism: 3, drainSeconds: 5 }))
    expect(migration).toMatchObject({
      name: 'old',
      status: 'running',
      shardId,
      networkId,
      toNetworkId: null,
      mode: 'overlap',
      parallelism: 3,
      drainSeconds: 5,
      movesTotal: 2,
      movesDone: 0,
      movesFailed: 0,
      finishedAt: null,
    })
    expect(migration.moves.map(({ name, from, to, step }) => ({ name, from, to, step }))).toEqual([
      { name: 'web-1', from: '10.0.0.2', to: null, step: 'waiting' },
      { name: 'web-2', from: '10.0.0.3', to: null, step: 'waiting' },
    ])
    expect(await statusOf(shardId)).toBe('migrating')
    const events = rack.events.filter(({ type }) => type === 'migration.started')
    expect(events).toMatchObject([{ subject: migration.id, data: { shardId, networkId, movesTotal: 2 } }])
  })

  test('goes as the policy of its network says, where it says nothing itself', async () => {
    const shardId = await createInUse()
    const addressPolicy = { migrationMode: 'restart' as const }
    get(await rack.services.networks.update(networkId, { addressPolicy }, rack.context.request()))
    const plan = get(await rack.services.migrations.plan(shardId, input(), rack.context.request()))
    expect([plan.mode, plan.moves[0]?.breaksConnections]).toEqual(['restart', true])
    const asked = get(await rack.services.migrations.plan(shardId, input({ mode: 'overlap' }), rack.context.request()))
    expect(asked.mode).toBe('overlap')
    const { id, mode } = get(await start(shardId))
    expect(mode).toBe('restart')
    expect(get(await start(shardId)).id).toBe(id)
    expect(problemOf(await start(shardId, { mode: 'overlap' })).code).toBe('conflict')
  })

  test('of an empty shard has no moves, and ends by itself', async () => {
    const shardId = await createShard('old')
    expect(get(await start(shardId))).toMatchObject({ status: 'running', movesTotal: 0 })
  })

  const elsewhere = createNamedId(projectKind.prefix, 'another', 'project')
  const refusals: readonly (readonly [
    string,
    (shardId: string) => Promise<Outcome<unknown>>,
    Problem['code'],
    string,
  ])[] = [
    ['of no shard', () => start(createNamedId('shd', rack.projectId, 'x')), 'not-found', 'There is no shard'],
    [
      "of a foreign project's shard",
      (id) => start(id, {}, rack.context.request('s', { caller: projectCaller(elsewhere) })),
      'not-found',
      'There is no shard',
    ],
    [
      'of a shard on no network',
      async () => start(await createShard('loose', 16, null)),
      'conflict',
      'is allocated to no network',
    ],
    [
      'to the network that it is on',
      (id) => start(id, { toNetworkId: networkId }),
      'invalid',
      "is the network that the shard 'old' is allocated to",
    ],
    [
      'to no network that there is',
      (id) => start(id, { toNetworkId: createNamedId('net', rack.projectId, 'x') }),
      'invalid',
      'there is no network',
    ],
    ['to a network of another project', (id) => startAcross(id), 'invalid', 'is of another project'],
    [
      'to a network that is being deleted',
      (id) => startToDeleting(id),
      'invalid',
      "the network 'leaving' is being deleted",
    ],
  ]
  for (const [sentence, attempt, code, words] of refusals) {
    test(`${sentence} is refused, and nothing is changed`, async () => {
      const shardId = await createInUse()
      const problem = problemOf(await attempt(shardId))
      expect(problem.code).toBe(code)
      expect(problem.detail).toContain(words)
      expect(problem.remedy).toBeTruthy()
      expect(await statusOf(shardId)).toBe('in-use')
      expect(await listAll()).toEqual([])
    })
  }

  async function startAcross(shardId: string) {
    const quota = { pools: 1, shards: 1, networks: 1, machines: 1, loadBalancers: 1 }
    const value = { name: 'other', user: 'ann', slug: 'other', quota }
    await rack.store.transact({ writes: [write({ kind: projectKind, id: elsewhere, expect: 'absent', value })] })
    return start(shardId, { toNetworkId: await createNetwork('theirs', elsewhere) })
  }

  async function startToDeleting(shardId: string) {
    const id = await createNetwork('leaving')
    const network = await rack.store.get(networkKind, id)
    if (network === null) throw new Error('there is no network')
    const value = { ...network.value, deletingSince: new Date(rack.context.now()).toISOString() }
    await rack.store.transact({ writes: [write({ kind: networkKind, id, expect: network.version, value })] })
    return start(shardId, { toNetworkId: id })
  }

  test('into too little space is refused with what is missing, and with the command that helps', async () => {
    const shardId = await createShard('old', 1024)
    for (let i = 0; i < 15; i++) get(await createMachine(`web-${i}`))
    await createShard('small')
    const problem = problemOf(await start(shardId))
    expect(problem.code).toBe('no-space')
    expect(problem.detail).toContain("'old' has 15 holders")
    expect(problem.detail).toContain('have 13 free addresses: 2 are missing')
    expect(problem.remedy).toContain(`sluice shard create --pool ${poolId} --size 16 --network ${networkId}`)
    expect(await statusOf(shardId)).toBe('in-use')
    await createShard('another')
    expect(get(await start(shardId)).movesTotal).toBe(15)
  })

  test('where the only other shard is reserved or migrating is refused', async () => {
    const shardId = await createInUse()
    const [other] = get(await rack.services.shards.list({ name: 'new' }, rack.context.request())).items
    get(await start(other?.id ?? ''))
    expect(problemOf(await start(shardId)).detail).toContain('the network has no other shard that it could use')
  })

  test('twice answers the one that is running, if both say the same', async () => {
    const shardId = await createInUse()
    const [first, second] = await Promise.all([start(shardId), start(shardId)])
    expect(get(second).id).toBe(get(first).id)
    expect(get(await start(shardId)).id).toBe(get(first).id)
    const problem = problemOf(await start(shardId, { mode: 'restart' }))
    expect(problem.code).toBe('conflict')
    expect(problem.detail).toContain(get(first).id)
    expect(await listAll()).toHaveLength(1)
  })

  test('repeated by one request is done once, also after it has ended', async () => {
    const shardId = await createInUse()
    const first = get(await start(shardId, {}, rack.context.request('the same')))
    await put(first.id, (value) => ({ ...value, status: 'cancelled', wanted: 'cancel' }))
    await unmark(shardId)
    expect(get(await start(shardId, {}, rack.context.request('the same'))).id).toBe(first.id)
    expect(await statusOf(shardId)).toBe('in-use')
  })

  test('on another version of the shard than the one that is there is refused', async () => {
    const shardId = await createInUse()
    const stale = rack.context.request('stale', { expectedVersion: 7 })
    expect(problemOf(await start(shardId, {}, stale)).code).toBe('precondition-failed')
    expect(await statusOf(shardId)).toBe('in-use')
  })

  test('while others allocate leaves none of its holders without a move', async () => {
    const shardId = await createShard('old')
    await createShard('new', 1024)
    const outcomes = await Promise.all([
      ...Array.from({ length: 6 }, (_, i) => createMachine(`early-${i}`)),
      start(shardId),
      ...Array.from({ length: 6 }, (_, i) => createMachine(`late-${i}`)),
    ])
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([])
    const [listed] = await listAll()
    const migration = get(await rack.services.migrations.show(listed?.id ?? '', rack.context.request()))
    const holders = rack.store.snapshot(addressKind).filter(({ value }) => value.shardId === shardId)
    expect(migration.moves.map(({ ownerId }) => ownerId).toSorted()).toEqual(
      holders.map(({ value }) => value.ownerId).toSorted(),
    )
    get(await createMachine('afterwards'))
    const now = rack.store.snapshot(addressKind).filter(({ value }) => value.shardId === shardId)
    expect(now.length).toBe(holders.length)
  })
})

describe('a shard that is migrating', () => {
  test('is neither deleted nor deallocated, and its migration is named', async () => {
    const shardId = await createInUse()
    const { id } = get(await start(shardId))
    for (const attempt of [
      rack.services.shards.remove(shardId, rack.context.request()),
      rack.services.shards.deallocate(networkId, shardId, rack.context.request()),
    ]) {
      const problem = problemOf(await attempt)
      expect(problem.code).toBe('in-use')
      expect(problem.detail).toContain(id)
    }
  })

  test('and is taken from its network is so by the migration that does that already', async () => {
    const shardId = await createInUse()
    const { id } = get(await start(shardId, { mode: 'restart', drainSeconds: 1 }))
    expect(get(await rack.services.migrations.evacuate(shardId, rack.context.request())).id).toBe(id)
  })

  test('on its way to another network is not taken from both', async () => {
    const shardId = await createInUse()
    get(await start(shardId, { toNetworkId: await createNetwork('db') }))
    const problem = problemOf(await rack.services.migrations.evacuate(shardId, rack.context.request()))
    expect(problem.code).toBe('conflict')
  })
})

describe('a plan', () => {
  test('says who would move where and for how long, and changes nothing', async () => {
    const shardId = await createInUse()
    const asked = input({ parallelism: 1, drainSeconds: 20, mode: 'restart' })
    const plan = get(await rack.services.migrations.plan(shardId, asked, rack.context.request()))
    expect(plan).toMatchObject({ shardId, networkId, toNetworkId: null, mode: 'restart', secondsMaximum: 60 })
    expect(plan.moves.map(({ name, from, to, breaksConnections }) => [name, from, to, breaksConnections])).toEqual([
      ['web-1', '10.0.0.2', '10.0.0.18', true],
      ['web-2', '10.0.0.3', '10.0.0.19', true],
    ])
    expect(await statusOf(shardId)).toBe('in-use')
    expect(await listAll()).toEqual([])
  })

  test('of a shard that is migrating is refused', async () => {
    const shardId = await createInUse()
    get(await start(shardId))
    const problem = problemOf(await rack.services.migrations.plan(shardId, input(), rack.context.request()))
    expect(problem.code).toBe('conflict')
  })
})

describe('a migration', () => {
  const act = (id: string, action: 'cancel' | 'rollback' | 'resume') =>
    rack.services.migrations.act(id, action, rack.context.request())

  async function createMigration(): Promise<Migration> {
    return get(await start(await createInUse()))
  }

  test('is cancelled, and is told so', async () => {
    const { id } = await createMigration()
    expect(get(await act(id, 'cancel')).status).toBe('cancelling')
    expect(get(await act(id, 'cancel')).version).toBe(2)
    const events = rack.events.filter(({ type }) => type === 'migration.updated')
    expect(events).toMatchObject([{ subject: id, data: { status: 'cancelling' } }])
  })

  test('is rolled back, and is not cancelled then', async () => {
    const { id } = await createMigration()
    expect(get(await act(id, 'rollback')).status).toBe('rolling-back')
    expect(problemOf(await act(id, 'cancel')).code).toBe('conflict')
  })

  test('that was blocked goes on with those that failed', async () => {
    const { id, moves } = await createMigration()
    const [first, second] = moves
    await putMove(id, first?.ownerId ?? '', { step: 'failed', reason: 'the host is silent', returnsAs: 'failed' })
    await putMove(id, second?.ownerId ?? '', { step: 'draining', to: { address: '10.0.0.18', shardId: 'shd' } })
    await put(id, (value) => ({ ...value, status: 'blocked', reason: 'web-1 could not move' }))
    expect(get(await rack.services.migrations.show(id, rack.context.request()))).toMatchObject({
      status: 'blocked',
      movesFailed: 1,
    })
    const resumed = get(await act(id, 'resume'))
    expect(resumed).toMatchObject({ status: 'running', movesFailed: 0, reason: null })
    expect(resumed.moves.map(({ step, reason }) => [step, reason])).toEqual([
      ['waiting', null],
      ['draining', null],
    ])
  })

  test('that was cancelled goes on with its shard marked anew', async () => {
    const { id, shardId } = await createMigration()
    await put(id, (value) => ({ ...value, status: 'cancelled', wanted: 'cancel', finishedAt: value.startedAt }))
    await unmark(shardId)
    expect(get(await act(id, 'resume'))).toMatchObject({ status: 'running', finishedAt: null })
    expect(await statusOf(shardId)).toBe('migrating')
  })

  test('that was cancelled does not go on when its shard has another, or is elsewhere', async () => {
    const { id, shardId } = await createMigration()
    await put(id, (value) => ({ ...value, status: 'cancelled', wanted: 'cancel' }))
    await unmark(shardId)
    const other = get(await start(shardId, { mode: 'restart' }))
    expect(problemOf(await act(id, 'resume')).detail).toContain(other.id)
    expect(get(await rack.services.migrations.show(id, rack.context.request())).status).toBe('cancelled')
  })

  test('is found by network, by status and by the name of its shard', async () => {
    const { id } = await createMigration()
    const find = async (query: object) =>
      get(await rack.services.migrations.list(query, rack.context.request())).items.map((one) => one.id)
    expect(await find({ networkId })).toEqual([id])
    expect(await find({ networkId: 'net_other' })).toEqual([])
    expect(await find({ status: 'running', name: 'old' })).toEqual([id])
    expect(await find({ status: 'done' })).toEqual([])
    expect(await find({ projectId: rack.projectId })).toEqual([id])
  })

  test('of another project is not to be seen', async () => {
    const { id } = await createMigration()
    const stranger = rack.context.request('s', { caller: projectCaller(createNamedId('prj', 'another', 'project')) })
    expect(problemOf(await rack.services.migrations.show(id, stranger)).code).toBe('not-found')
    expect(problemOf(await rack.services.migrations.act(id, 'cancel', stranger)).code).toBe('not-found')
    expect(get(await rack.services.migrations.list({}, stranger)).items).toEqual([])
  })
})
