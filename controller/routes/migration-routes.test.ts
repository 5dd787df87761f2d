import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createGround, expectProblem, type Ground } from '../../test/api/api-ground.ts'
import type { Json } from '../../test/api/api-world.ts'
import { write } from '../control-plane/store.ts'
import { type MigrationValue, migrationKind } from '../objects.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let ground: Ground
beforeEach(async () => {
  ground = await createGround()
  const { world, projectId, networkId } = ground
  for (const name of ['web-1', 'web-2']) await world.create('/v1/machines', { name, projectId, networkId })
})

const addShard = () =>
  ground.world.create('/v1/shards', { poolId: ground.poolId, networkId: ground.networkId, sizeAddresses: 16 })
const migrate = (body: object = {}, query = '', headers = {}) =>
  ground.world.call('POST', `/v1/shards/${ground.shardId}/migrate${query}`, body, { headers })
const attachment = () => `/v1/networks/${ground.networkId}/shards/${ground.shardId}`
const read = (path: string) => ground.world.call('GET', path)

/** As the reconcile loop would. */
async function put(id: string, change: (value: MigrationValue) => MigrationValue): Promise<void> {
  const { store } = ground.world.context
  const object = await store.get(migrationKind, id)
  if (object === null) throw new Error(`there is no migration ${id}`)
  await store.transact({
    writes: [write({ kind: migrationKind, id, expect: object.version, value: change(object.value) })],
  })
}

describe('a shard', () => {
  test('is migrated: 202 with the migration and where it is', async () => {
    await addShard()
    const started = await migrate({ parallelism: 2 })
    expect(started).toMatchObject({ status: 202, body: { status: 'running', movesTotal: 2, parallelism: 2 } } as object)
    const path = String(started.headers.get('location'))
    expect(path).toBe(`/v1/migrations/${started.body.id}`)
    expect((await read(path)).body).toEqual(started.body)
    expect((await read(`/v1/shards/${ground.shardId}`)).body.status as unknown).toBe('migrating')
  })

  test('is planned without a trace', async () => {
    await addShard()
    const planned = await migrate({ dryRun: true })
    expect(planned).toMatchObject({ status: 200, body: { shardId: ground.shardId, secondsMaximum: 40 } } as object)
    expect((planned.body.moves as unknown as Json[]).map(({ name, from, to }) => [name, from, to])).toEqual([
      ['web-1', '198.18.16.2', '198.18.17.2'],
      ['web-2', '198.18.16.3', '198.18.17.3'],
    ] as never)
    expect((await read('/v1/migrations')).body.items as unknown).toEqual([])
  })

  test('without room for its holders is not migrated, and it is said what is missing', async () => {
    const refused = await migrate()
    expectProblem(refused, 409, 'no-space')
    expect(String(refused.body.detail)).toContain('2 are missing')
    expect(String(refused.body.remedy)).toContain('sluice shard create')
  })

  test('is migrated once by one request', async () => {
    await addShard()
    const headers = { 'idempotency-key': 'the-same' }
    const first = await migrate({}, '', headers)
    const again = await migrate({}, '', headers)
    expect([again.status, again.body.id]).toEqual([202, first.body.id] as never)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
  })

  test('is waited for until its migration is at rest, whatever has become of it', async () => {
    await addShard()
    const { body } = await migrate()
    const waiting = migrate({}, '?wait=true&timeout=30s')
    await put(String(body.id), (value) => ({ ...value, status: 'blocked', reason: 'web-1 could not move' }))
    expect(await waiting).toMatchObject({ status: 202, body: { id: body.id, status: 'blocked' } } as object)
    await put(String(body.id), (value) => ({ ...value, status: 'running' }))
    const late = await migrate({}, '?wait=true&timeout=10ms')
    expectProblem(late, 504, 'timeout')
    expect(String(late.body.detail)).toContain('and its holders are still moving')
  })
})

describe('a shard that is taken from its network', () => {
  test('is available at once when nobody uses it', async () => {
    const shard = await addShard()
    const path = `/v1/networks/${ground.networkId}/shards/${shard.id}`
    for (let i = 0; i < 2; i++) {
      expect(await ground.world.call('DELETE', path)).toMatchObject({
        status: 200,
        body: { id: shard.id, status: 'available' },
      } as object)
    }
  })

  for (const prefix of ['/v1', '']) {
    test(`has its holders move first: 202 with the migration, asked for at ${prefix}/networks`, async () => {
      await addShard()
      const path = attachment().replace('/v1', prefix)
      const taken = await ground.world.call('DELETE', path)
      expect(taken).toMatchObject({ status: 202, body: { status: 'running', toNetworkId: null } } as object)
      expect(taken.headers.get('location')).toBe(`${prefix}/migrations/${taken.body.id}`)
      expect((await ground.world.call('DELETE', path)).body.id).toEqual(taken.body.id as Json)
    })
  }

  test('stays when there is no room, and when it is on another network', async () => {
    expectProblem(await ground.world.call('DELETE', attachment()), 409, 'no-space')
    const other = await ground.world.create('/v1/networks', { name: 'db', projectId: ground.projectId })
    const path = `/v1/networks/${other.id}/shards/${ground.shardId}`
    expectProblem(await ground.world.call('DELETE', path), 409, 'conflict')
  })

  test('on another version than the one that is there is refused', async () => {
    await addShard()
    const stale = await ground.world.call('DELETE', attachment(), undefined, { headers: { 'if-match': '"9"' } })
    expectProblem(stale, 412, 'precondition-failed')
    expect((await read('/v1/migrations')).body.items as unknown).toEqual([])
  })
})

test('shards and migrations are at the same paths without /v1', async () => {
  const { paths } = (await read('/v1/openapi.json')).body as unknown as { paths: Record<string, object> }
  const wanted: Readonly<Record<string, readonly string[]>> = {
    '/shards': ['get', 'post'],
    '/shards/{id}': ['get', 'patch', 'delete'],
    '/shards/{id}/migrate': ['post'],
    '/networks/{networkId}/shards/{shardId}': ['post', 'delete'],
    '/migrations': ['get'],
    '/migrations/{id}': ['get'],
    '/migrations/{id}/cancel': ['post'],
    '/migrations/{id}/rollback': ['post'],
    '/migrations/{id}/resume': ['post'],
  }
  for (const [path, methods] of Object.entries(wanted)) {
    for (const prefix of ['/v1', '']) {
      expect([prefix + path, Object.keys(paths[prefix + path] ?? {}).toSorted()]).toEqual([
        prefix + path,
        methods.toSorted(),
      ])
    }
  }
})

describe('a migration', () => {
  test('is listed, shown and steered, with and without /v1', async () => {
    await addShard()
    const { body } = await migrate()
    for (const prefix of ['/v1', '']) {
      const path = `${prefix}/migrations/${body.id}`
      expect((await read(path)).body).toMatchObject({ id: body.id } as object)
      const filter = `networkId=${ground.networkId}&projectId=${ground.projectId}&shardId=${ground.shardId}`
      const listed = await read(`${prefix}/migrations?${filter}`)
      expect((listed.body.items as unknown as Json[]).map(({ id }) => id)).toEqual([body.id] as never)
      expect((await ground.world.call('POST', `${path}/cancel`)).body.status as unknown).toBe('cancelling')
      expect((await ground.world.call('POST', `${path}/resume`)).body.status as unknown).toBe('running')
    }
    expect((await read('/v1/migrations?status=done')).body.items as unknown).toEqual([])
    const back = await ground.world.call('POST', `/v1/migrations/${body.id}/rollback`)
    expect(back).toMatchObject({ status: 202, body: { status: 'rolling-back' } } as object)
    expectProblem(await ground.world.call('POST', `/v1/migrations/${body.id}/resume`), 409, 'conflict')
  })

  test('that is not there is not found', async () => {
    const id = `mig_${'0'.repeat(25)}`
    expectProblem(await read(`/v1/migrations/${id}`), 404, 'not-found')
    expectProblem(await ground.world.call('POST', `/v1/migrations/${id}/cancel`), 404, 'not-found')
    expectProblem(await read('/v1/migrations/other'), 404, 'not-found')
  })

  const bad: readonly (readonly [string, object, string])[] = [
    ['a mode that is none', { mode: 'teleport' }, 'mode'],
    ['too many at once', { parallelism: 65 }, 'parallelism'],
    ['nobody at a time', { parallelism: 0 }, 'parallelism'],
    ['a drain without end', { drainSeconds: 1e9 }, 'drainSeconds'],
    ['an id of another noun', { toNetworkId: 'shd_0000000000000000000000000' }, 'toNetworkId'],
    ['a field that is not known', { colour: 'red' }, 'colour'],
  ]
  for (const [sentence, body, field] of bad) {
    test(`with ${sentence} is refused by that field`, async () => {
      await addShard()
      expectProblem(await migrate(body), 422, 'invalid', field)
      expectProblem(await migrate({ ...body, dryRun: true }), 422, 'invalid', field)
    })
  }
})
