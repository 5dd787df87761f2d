import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Migration } from '../../controller/contract/migration.ts'
import { createGround, type Ground } from './api-ground.ts'
import type { Json, Reply } from './api-world.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

/** The shard of the ground with two machines, and a /28 beside it, which can give 13 addresses. */
let ground: Ground
let roomId: string
const machineIds = new Map<string, string>()
beforeEach(async () => {
  ground = await createGround()
  for (const name of ['web-1', 'web-2']) await createMachine(name)
  roomId = await cut('room', '198.18.17.0/28')
  await ground.world.settle()
})

async function createMachine(name: string, networkId = ground.networkId): Promise<void> {
  const { id } = await ground.world.create('/v1/machines', { name, projectId: ground.projectId, networkId })
  machineIds.set(name, String(id))
}

async function cut(name: string, cidr: string): Promise<string> {
  const { poolId, networkId } = ground
  return String((await ground.world.create('/v1/shards', { name, poolId, networkId, cidr })).id)
}

const call = (method: string, path: string, body?: unknown) => ground.world.call(method, path, body)
const migrate = (body: object = {}) => call('POST', `/v1/shards/${ground.shardId}/migrate`, body)
const show = async (id: unknown) => (await call('GET', `/v1/migrations/${id}`)).body as unknown as Migration
const shard = async (id = ground.shardId) => (await call('GET', `/v1/shards/${id}`)).body
const act = (id: unknown, action: string) => call('POST', `/v1/migrations/${id}/${action}`)
const addressesOf = async (name: string): Promise<unknown> =>
  (await call('GET', `/v1/machines/${machineIds.get(name)}`)).body.addresses

/** What was told of shards and migrations, but for the steps, since the migration began. */
const toldSince = (start: string): unknown[] => {
  const told = ground.world.events.filter(({ type }) => /^(shard|migration)\./.test(type) && type !== 'migration.step')
  const from = told.findIndex(({ type }) => type === start)
  return told.slice(from + 1).map(({ type, data }) => [type, (data as { readonly status?: string }).status ?? null])
}

/** So many seconds, in each of which the controller and the hosts do what there is to do. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    ground.world.context.advance(1_001)
    await ground.world.settle()
  }
}

/** Lets time pass until an answer has come. */
async function passUntil(answering: Promise<Reply>): Promise<Reply> {
  let reply: Reply | undefined
  void answering.then((answered) => {
    reply = answered
  })
  for (let second = 0; second < 100 && reply === undefined; second++) await pass(1)
  if (reply === undefined) throw new Error('no answer came')
  return reply
}

describe('a shard', () => {
  test('is emptied while its machines run, and each step of it is told', async () => {
    const { body } = await migrate({ drainSeconds: 5 })
    await pass(8)
    const done = await show(body.id)
    expect(done).toMatchObject({ status: 'done', movesDone: 2, movesTotal: 2, movesFailed: 0, reason: null })
    expect(done.moves.map(({ name, to, step }) => [name, to, step])).toEqual([
      ['web-1', '198.18.17.2', 'done'],
      ['web-2', '198.18.17.3', 'done'],
    ])
    expect(await shard()).toMatchObject({
      status: 'available',
      networkId: null,
      resourceCount: 0,
      utilization: 0,
    } as object)
    expect(await shard(roomId)).toMatchObject({ status: 'in-use', resourceCount: 2, utilization: 0.1538 } as object)
    expect(await addressesOf('web-1')).toEqual(['198.18.17.2'])

    expect((await call('DELETE', `/v1/shards/${ground.shardId}`)).status).toBe(204)
    const told = ground.world.events.map(({ type }) => type).filter((type) => /^(shard|migration)\./.test(type))
    const steps = Array.from({ length: 10 }, () => 'migration.step')
    expect(told).toEqual([
      ...['shard.created', 'shard.allocated', 'shard.created', 'shard.allocated'],
      ...['shard.updated', 'migration.started', ...steps],
      ...['shard.deallocated', 'migration.completed', 'shard.deleted'],
    ])
    const left = ground.world.events.find(({ type }) => type === 'shard.deallocated')
    expect(left?.data).toEqual({ shardId: ground.shardId, networkId: ground.networkId, cidr: '198.18.16.0/24' })
  })

  test('joins the network that it was migrated to', async () => {
    const { id } = await ground.world.create('/v1/networks', { name: 'db', projectId: ground.projectId })
    await migrate({ drainSeconds: 0, toNetworkId: id })
    await pass(6)
    expect(await shard()).toMatchObject({ status: 'in-use', networkId: id, resourceCount: 0 } as object)
    await createMachine('db-1', String(id))
    expect(await addressesOf('db-1')).toEqual(['198.18.16.2'])
    const told = ground.world.events.filter(({ type }) => type === 'shard.allocated').at(-1)
    expect(told?.data).toMatchObject({ shardId: ground.shardId, networkId: id })
  })

  test('in use is taken from its network when its machines have moved, and the answer waits for that', async () => {
    const path = `/v1/networks/${ground.networkId}/shards/${ground.shardId}?wait=true&timeout=60s`
    const reply = await passUntil(call('DELETE', path))
    expect(reply).toMatchObject({ status: 202, body: { status: 'done', movesDone: 2, toNetworkId: null } } as object)
    expect(await shard()).toMatchObject({ status: 'available', networkId: null } as object)
    expect(await call('DELETE', path)).toMatchObject({ status: 200, body: { status: 'available' } } as object)
  })
})

describe('a migration', () => {
  test('goes on when one of its machines is deleted in the middle', async () => {
    const { body } = await migrate({ drainSeconds: 10, parallelism: 1 })
    await pass(1)
    expect((await show(body.id)).moves.map(({ step }) => step)).toEqual(['draining', 'waiting'])
    expect((await call('DELETE', `/v1/machines/${machineIds.get('web-1')}`)).status).toBeLessThan(300)
    await pass(20)
    const ended = await show(body.id)
    expect(ended).toMatchObject({ status: 'done', movesDone: 2 })
    expect(ended.moves.map(({ name, step }) => [name, step])).toEqual([
      ['web-1', 'gone'],
      ['web-2', 'done'],
    ])
    const held = (await call('GET', '/v1/addresses')).body.items as unknown as Json[]
    expect(held.map(({ owner }) => owner) as unknown).toEqual(['machine web-2'])
    expect([(await shard()).resourceCount, (await shard(roomId)).resourceCount] as unknown).toEqual([0, 1])
  })

  test('whose target is full in the middle is blocked and says who is left, and goes on when there is room', async () => {
    const { body } = await migrate({ drainSeconds: 10, parallelism: 1 })
    await pass(1)
    for (let i = 0; i < 12; i++) await createMachine(`late-${i}`)
    await pass(40)
    const blocked = await show(body.id)
    expect(blocked).toMatchObject({ status: 'blocked', movesDone: 1, movesFailed: 1 })
    expect(String(blocked.reason)).toContain('web-2')
    const [, left] = blocked.moves
    expect(left).toMatchObject({ name: 'web-2', from: '198.18.16.3', step: 'failed' })
    expect(String(left?.reason)).toMatch(/\w+ \w+/)
    expect(await addressesOf('web-2')).toEqual(['198.18.16.3'])
    expect(await shard()).toMatchObject({ status: 'migrating', resourceCount: 1 } as object)

    await cut('more', '198.18.18.0/28')
    expect((await act(body.id, 'resume')).body.status as unknown).toBe('running')
    await pass(30)
    expect(await show(body.id)).toMatchObject({ status: 'done', movesDone: 2, movesFailed: 0, reason: null })
    expect(await addressesOf('web-2')).toEqual(['198.18.18.2'])
    expect(toldSince('migration.started')).toEqual([
      ['migration.blocked', null],
      ['shard.created', null],
      ['shard.allocated', null],
      ['migration.updated', 'running'],
      ['shard.deallocated', null],
      ['migration.completed', null],
    ])
  })

  test('that is cancelled leaves what has moved, and gives addresses again', async () => {
    const { body } = await migrate({ drainSeconds: 10, parallelism: 1 })
    await pass(1)
    expect((await act(body.id, 'cancel')).body.status as unknown).toBe('cancelling')
    await pass(20)
    expect(await show(body.id)).toMatchObject({ status: 'cancelled', movesDone: 1 })
    expect([await addressesOf('web-1'), await addressesOf('web-2')]).toEqual([['198.18.17.2'], ['198.18.16.3']])
    expect(await shard()).toMatchObject({ status: 'in-use', resourceCount: 1 } as object)
    expect(toldSince('migration.started')).toEqual([
      ['migration.updated', 'cancelling'],
      ['shard.updated', 'in-use'],
      ['migration.cancelled', null],
    ])
    await createMachine('web-3')
    expect(await addressesOf('web-3')).toEqual(['198.18.16.2'])
  })

  test('that is rolled back has everybody where they were', async () => {
    const { body } = await migrate({ drainSeconds: 10, parallelism: 1 })
    await pass(2)
    expect((await show(body.id)).movesDone).toBe(1)
    const back = await passUntil(call('POST', `/v1/migrations/${body.id}/rollback?wait=true&timeout=60s`))
    expect(back).toMatchObject({ status: 202, body: { status: 'rolled-back' } } as object)
    expect([await addressesOf('web-1'), await addressesOf('web-2')]).toEqual([['198.18.16.2'], ['198.18.16.3']])
    expect(await shard()).toMatchObject({ status: 'in-use', resourceCount: 2 } as object)
    expect(await shard(roomId)).toMatchObject({ resourceCount: 0 } as object)
    expect(toldSince('migration.started')).toEqual([
      ['migration.updated', 'rolling-back'],
      ['shard.updated', 'in-use'],
      ['migration.rolled-back', null],
    ])
  })
})
