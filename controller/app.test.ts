import { describe, expect, test } from 'bun:test'
import { createTestWorld, type Json, type Reply, type TestWorld } from '../test/api/api-world.ts'
import { admitAdminBearer } from './access/tokens.ts'
import type { Kind } from './control-plane/store.ts'
import * as objects from './objects.ts'

const balancer = {
  name: 'web',
  trafficType: 'http',
  listeners: [{ port: 80 }],
  members: [{ address: '198.18.16.11' }, { address: '198.18.16.12', port: 8080 }],
}

interface Ground {
  readonly world: TestWorld
  readonly projectId: string
  readonly poolId: string
  readonly networkId: string
  readonly shardId: string
}

async function createGround(quota: Readonly<Record<string, number>> = {}): Promise<Ground> {
  const world = await createTestWorld()
  const project = await world.create('/v1/projects', { name: 'rack', user: 'john', quota })
  const projectId = String(project.id)
  const pool = await world.create('/v1/pools', { name: 'all', projectId, cidr: '198.18.16.0/20' })
  const network = await world.create('/v1/networks', { name: 'web', projectId })
  const shard = await world.create('/v1/shards', { poolId: pool.id, networkId: network.id, cidr: '198.18.16.0/24' })
  return {
    world,
    projectId,
    poolId: String(pool.id),
    networkId: String(network.id),
    shardId: String(shard.id),
  }
}

const createBalancer = ({ world, projectId, networkId }: Ground, fields: object = {}) =>
  world.create('/v1/load-balancers', { ...balancer, projectId, networkId, ...fields })

function expectProblem(reply: Reply, status: number, code: string, field?: string): void {
  expect({ status: reply.status, code: reply.body.code, detail: reply.body.detail }).toMatchObject({
    status,
    code,
  } as object)
  expect(reply.headers.get('content-type')).toBe('application/problem+json')
  expect(String(reply.body.remedy)).toMatch(/\w+ \w+/)
  expect(reply.headers.get('traceparent')).toContain(String(reply.body.traceId))
  if (field === undefined) return
  const fields = (reply.body.errors as unknown as { field: string }[] | undefined)?.map((error) => error.field)
  expect(fields).toContain(field)
}

/** Everything that is stored. */
function describeStore({ context }: TestWorld): string {
  const kinds: readonly Kind<unknown>[] = Object.values(objects).filter((kind) => typeof kind === 'object')
  return JSON.stringify(kinds.map((kind) => context.store.snapshot(kind)))
}

describe('every noun', () => {
  test('is created with a location, listed, shown, updated, and deleted', async () => {
    const { world, projectId } = await createGround()
    const created = await world.call('POST', '/v1/networks', { name: 'api', projectId })
    expect(created.status).toBe(201)
    const path = String(created.headers.get('location'))
    expect(path).toBe(`/v1/networks/${created.body.id}`)
    expect(created.headers.get('etag')).toBe('"1"')
    expect((await world.call('GET', path)).body).toEqual(created.body)
    const listed = await world.call('GET', `/v1/networks?projectId=${projectId}&name=api`)
    expect(listed.body).toMatchObject({ items: [{ name: 'api' }], next: null } as object)
    const updated = await world.call('PATCH', path, { name: 'api-2' }, { headers: { 'if-match': '"1"' } })
    expect(updated).toMatchObject({ status: 200, body: { name: 'api-2', version: 2, generation: 2 } } as object)
    expect((await world.call('DELETE', path)).status).toBe(204)
    expectProblem(await world.call('GET', path), 404, 'not-found')
  })

  test('shows its versions, also after it was deleted', async () => {
    const { world, projectId } = await createGround()
    const { id } = await world.create('/v1/pools', { name: 'a', projectId, cidr: '10.0.0.0/24' })
    await world.call('PATCH', `/v1/pools/${id}`, { name: 'b' })
    await world.call('DELETE', `/v1/pools/${id}`)
    const history = await world.call('GET', `/v1/pools/${id}/history`)
    const items = history.body.items as unknown as { version: number; spec: { name: string } | null }[]
    expect(items.map(({ version, spec }) => [version, spec?.name])).toEqual([
      [1, 'a'],
      [2, 'b'],
      [3, undefined],
    ])
  })

  test('is listed in pages that follow one another', async () => {
    const { world, projectId } = await createGround()
    for (let i = 0; i < 7; i++) await world.create('/v1/networks', { name: `n${i}`, projectId })
    const names: unknown[] = []
    let after = ''
    for (let pages = 0; pages < 10; pages++) {
      const page = await world.call('GET', `/v1/networks?limit=3${after}`)
      for (const network of page.body.items as unknown as Json[]) names.push(network.name)
      if (page.body.next === null) break
      after = `&after=${page.body.next}`
    }
    expect(names.sort()).toEqual(['n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'web'])
  })

  test('a project keeps its quota but for what an update names', async () => {
    const { world, projectId } = await createGround({ networks: 5 })
    const updated = await world.call('PATCH', `/v1/projects/${projectId}`, { quota: { machines: 3 } })
    expect(updated.body.quota).toMatchObject({ networks: 5, machines: 3, pools: 20 } as object)
  })
})

describe('shards', () => {
  test('are allocated and deallocated, with and without /v1', async () => {
    const { world, poolId, networkId } = await createGround()
    const shard = await world.create('/shards', { poolId, sizeAddresses: 256 })
    for (const prefix of ['/v1', '']) {
      const path = `${prefix}/networks/${networkId}/shards/${shard.id}`
      expect((await world.call('POST', path)).body).toMatchObject({ networkId, status: 'in-use' } as object)
      expect((await world.call('DELETE', path)).body).toMatchObject({ networkId: null, status: 'available' } as object)
    }
    expect((await world.call('DELETE', `/shards/${shard.id}`)).status).toBe(204)
  })
})

describe('load balancers', () => {
  test('wait for their hosts when they are asked to', async () => {
    const ground = await createGround()
    const { world } = ground
    const creating = world.call('POST', '/v1/load-balancers?wait=true&timeout=30s', {
      ...balancer,
      projectId: ground.projectId,
      networkId: ground.networkId,
    })
    await world.nextSubject('load-balancer.created')
    await world.settle()
    expect(await creating).toMatchObject({ status: 201, body: { status: 'active' } } as object)
  })

  test('that do not become active in time are named, and stay', async () => {
    const ground = await createGround()
    const { world } = ground
    const reply = await world.call('POST', '/v1/load-balancers?wait=true&timeout=20ms', {
      ...balancer,
      projectId: ground.projectId,
      networkId: ground.networkId,
    })
    expectProblem(reply, 504, 'timeout')
    expect(String(reply.body.detail)).toContain('lb_')
    const listed = await world.call('GET', '/v1/load-balancers?name=web')
    expect(listed.body.items as unknown).toHaveLength(1)
  })

  test('have members that are added, changed and removed one by one', async () => {
    const ground = await createGround()
    const { world } = ground
    const { id } = await createBalancer(ground)
    const added = await world.call('POST', `/v1/load-balancers/${id}/members`, { address: '198.18.16.13' })
    expect(added.status).toBe(201)
    const path = String(added.headers.get('location'))
    expect((await world.call('PATCH', path, { weight: 5 })).body).toMatchObject({ weight: 5 } as object)
    expect((await world.call('GET', path)).body).toMatchObject({ address: '198.18.16.13', weight: 5 } as object)
    expect((await world.call('DELETE', path)).status).toBe(204)
    expectProblem(await world.call('GET', path), 404, 'not-found')
    expect((await world.call('GET', `/v1/load-balancers/${id}/members`)).body.items as unknown).toHaveLength(2)
  })

  test('are given up by their hosts before they go', async () => {
    const ground = await createGround()
    const { world } = ground
    const { id } = await createBalancer(ground)
    const removed = await world.call('DELETE', `/v1/load-balancers/${id}`)
    expect([202, 204]).toContain(removed.status)
    if (removed.status === 202) expect(removed.body.status as unknown).toBe('deleting')
  })
})

describe('tokens', () => {
  test("a project's token sees its own project, and nothing else", async () => {
    const ground = await createGround()
    const { world, projectId, networkId } = ground
    const other = await world.create('/v1/projects', { name: 'other', user: 'mary' })
    const foreign = await world.create('/v1/networks', { name: 'foreign', projectId: other.id })
    const { token, scope } = await world.create('/v1/tokens', { name: 'ci', projectId })
    const own = { token: String(token) }
    expect(scope as unknown).toBe('project')
    expect((await world.call('GET', '/v1/me', undefined, own)).body).toMatchObject({ projectId } as object)
    expect((await world.call('GET', `/v1/networks/${networkId}`, undefined, own)).status).toBe(200)
    expectProblem(await world.call('GET', `/v1/networks/${foreign.id}`, undefined, own), 404, 'not-found')
    expectProblem(await world.call('GET', `/v1/networks/${foreign.id}/history`, undefined, own), 404, 'not-found')
    expectProblem(await world.call('PATCH', `/v1/networks/${foreign.id}`, { name: 'x' }, own), 404, 'not-found')
    expectProblem(await world.call('DELETE', `/v1/networks/${foreign.id}`, undefined, own), 404, 'not-found')
    expectProblem(await world.call('GET', `/v1/projects/${other.id}`, undefined, own), 404, 'not-found')
    const listed = await world.call('GET', '/v1/networks', undefined, own)
    expect((listed.body.items as unknown as Json[]).map(({ name }) => name as unknown)).toEqual(['web'])
    const intruder = await world.call('POST', '/v1/networks', { name: 'x', projectId: other.id }, own)
    expectProblem(intruder, 422, 'invalid', 'projectId')
    expectProblem(await world.call('POST', '/v1/projects', { name: 'x', user: 'x' }, own), 403, 'forbidden')
    expectProblem(await world.call('GET', '/v1/hosts', undefined, own), 403, 'forbidden')
    expectProblem(await world.call('POST', '/v1/tokens', { name: 'root' }, own), 403, 'forbidden')
  })

  test('are kept as hashes, and work until they expire or are deleted', async () => {
    const { world, projectId } = await createGround()
    const expiresAt = new Date(world.context.now() + 60_000).toISOString()
    const created = await world.create('/v1/tokens', { name: 'ci', projectId, expiresAt })
    const own = { token: String(created.token) }
    const secret = String(created.token).split('_')[2] ?? ''
    const shown = await world.call('GET', `/v1/tokens/${created.id}`)
    expect(JSON.stringify(shown.body)).not.toContain(secret)
    expect((await world.call('GET', '/v1/me', undefined, own)).status).toBe(200)
    const guess = { token: `${String(created.token).slice(0, -1)}${own.token.endsWith('0') ? '1' : '0'}` }
    expectProblem(await world.call('GET', '/v1/me', undefined, guess), 401, 'unauthenticated')
    world.context.advance(60_001)
    expectProblem(await world.call('GET', '/v1/me', undefined, own), 401, 'unauthenticated')
    await world.call('DELETE', `/v1/tokens/${created.id}`)
    expectProblem(await world.call('GET', `/v1/tokens/${created.id}`), 404, 'not-found')
  })

  test('come with credentials for events, which go with them', async () => {
    const revoked: string[] = []
    const world = await createTestWorld({
      issuer: {
        issue: async ({ projectId }) => ({
          publicKey: 'UREADER',
          credentials: 'text',
          servers: [],
          caCertificate: '',
          stream: 'EVENTS',
          consumer: 'UREADER',
          subject: `sluice.events.${projectId}.>`,
          inboxPrefix: '_INBOX.UREADER',
          domain: 'sluice',
        }),
        revoke: async (publicKey) => {
          revoked.push(publicKey)
        },
      },
    })
    const project = await world.create('/v1/projects', { name: 'rack', user: 'john' })
    const created = await world.create('/v1/tokens', { name: 'events', projectId: project.id, nats: true })
    expect(created).toMatchObject({ nats: true, natsCredentials: { consumer: 'UREADER' } } as object)
    await world.call('DELETE', `/v1/projects/${project.id}`)
    expect(revoked).toEqual(['UREADER'])
    expectProblem(
      await world.call('GET', '/v1/me', undefined, { token: String(created.token) }),
      401,
      'unauthenticated',
    )
  })

  test('the first of an admin stays deleted when the controller starts again', async () => {
    const { world } = await createGround()
    const me = await world.call('GET', '/v1/me')
    const { token } = await world.create('/v1/tokens', { name: 'second admin' })
    const second = { token: String(token) }
    expect((await world.call('DELETE', `/v1/tokens/${me.body.tokenId}`, undefined, second)).status).toBe(204)
    expect(await admitAdminBearer(world.context, world.admin)).toEqual({ ok: true, value: null })
    expectProblem(await world.call('GET', '/v1/me'), 401, 'unauthenticated')
  })

  test('the last of an admin can not be deleted', async () => {
    const { world } = await createGround()
    const me = await world.call('GET', '/v1/me')
    expectProblem(await world.call('DELETE', `/v1/tokens/${me.body.tokenId}`), 409, 'in-use')
  })
})

describe('an Idempotency-Key', () => {
  test('has a creation done once, and its answer kept', async () => {
    const { world, projectId } = await createGround()
    const ask = () =>
      world.call('POST', '/v1/networks', { name: 'api', projectId }, { headers: { 'idempotency-key': 'k1' } })
    const [first, second] = [await ask(), await ask()]
    expect(first.status).toBe(201)
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('location')).toBe(first.headers.get('location'))
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'))
    expect(second.headers.get('idempotent-replayed')).toBe('true')
  })

  test('has ten at once answered alike', async () => {
    const { world, projectId } = await createGround()
    const ask = () =>
      world.call('POST', '/v1/networks', { name: 'api', projectId }, { headers: { 'idempotency-key': 'k1' } })
    const replies = await Promise.all(Array.from({ length: 10 }, ask))
    expect(new Set(replies.map(({ body }) => String(body.id))).size).toBe(1)
  })

  test('is refused for another body', async () => {
    const { world, projectId } = await createGround()
    const headers = { 'idempotency-key': 'k1' }
    await world.call('POST', '/v1/networks', { name: 'api', projectId }, { headers })
    const other = await world.call('POST', '/v1/networks', { name: 'web-2', projectId }, { headers })
    expectProblem(other, 422, 'idempotency-key-reused', 'Idempotency-Key')
  })

  test('is forgotten after a day', async () => {
    const { world, projectId } = await createGround()
    const headers = { 'idempotency-key': 'k1' }
    await world.call('POST', '/v1/networks', { name: 'api', projectId }, { headers })
    world.context.advance(24 * 3600 * 1000 + 1)
    const other = await world.call('POST', '/v1/networks', { name: 'web-2', projectId }, { headers })
    expect(other.status).toBe(201)
  })

  test('of a refusal may be asked again when the cause is gone', async () => {
    const { world, projectId } = await createGround({ networks: 1 })
    const ask = () =>
      world.call('POST', '/v1/networks', { name: 'api', projectId }, { headers: { 'idempotency-key': 'k1' } })
    expectProblem(await ask(), 409, 'quota-exceeded')
    await world.call('PATCH', `/v1/projects/${projectId}`, { quota: { networks: 2 } })
    expect((await ask()).status).toBe(201)
  })

  test("of a token's creation gives the token a new secret", async () => {
    const { world, projectId } = await createGround()
    const ask = () =>
      world.call('POST', '/v1/tokens', { name: 'ci', projectId }, { headers: { 'idempotency-key': 'k1' } })
    const [first, second] = [await ask(), await ask()]
    expect(second.body.id).toBe(first.body.id)
    expectProblem(
      await world.call('GET', '/v1/me', undefined, { token: String(first.body.token) }),
      401,
      'unauthenticated',
    )
    expect((await world.call('GET', '/v1/me', undefined, { token: String(second.body.token) })).status).toBe(200)
  })
})

describe('HTTP', () => {
  test('a trace is taken up, or begun', async () => {
    const world = await createTestWorld()
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` }
    const taken = await world.call('GET', '/v1/me', undefined, { headers })
    expect(taken.headers.get('traceparent')).toMatch(new RegExp(`^00-${traceId}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`))
    const begun = await world.call('GET', '/v1/me', undefined, { headers: { traceparent: '00-zz' } })
    expect(begun.headers.get('traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  })

  test('what was not changed is not sent again, where the version says all', async () => {
    const { world, projectId, networkId } = await createGround()
    const headers = { 'if-none-match': '"1"' }
    expect((await world.call('GET', `/v1/projects/${projectId}`, undefined, { headers })).status).toBe(304)
    expect((await world.call('GET', `/v1/networks/${networkId}`, undefined, { headers })).status).toBe(200)
  })

  test('HEAD is answered as GET, without a body', async () => {
    const { world, projectId } = await createGround()
    const reply = await world.call('HEAD', `/v1/projects/${projectId}`)
    expect(reply).toMatchObject({ status: 200, body: '' } as object)
  })

  test('a store that is away is a 503 with a time to come back', async () => {
    let isAway = false
    const world = await createTestWorld({ fault: () => (isAway ? 'unavailable' : 'none') })
    const project = await world.create('/v1/projects', { name: 'rack', user: 'john' })
    isAway = true
    const reply = await world.call('POST', '/v1/networks', { name: 'web', projectId: project.id })
    expectProblem(reply, 503, 'unavailable')
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0)
    isAway = false
    expect((await world.call('POST', '/v1/networks', { name: 'web', projectId: project.id })).status).toBe(201)
  })

  test('status, health and readiness', async () => {
    const ground = await createGround()
    const { world } = ground
    await createBalancer(ground)
    const status = await world.call('GET', '/v1/status')
    expect(status.body).toMatchObject({
      controller: { url: 'http://127.0.0.1:7480', version: '0.0.0' },
      store: { mode: 'memory', status: 'available' },
      loadBalancers: [{ name: 'web', members: [{ address: '198.18.16.11' }, {}] }],
    } as object)
    expect((await world.call('GET', '/healthz', undefined, { token: null })).status).toBe(200)
    expect((await world.call('GET', '/readyz', undefined, { token: null })).status).toBe(200)
    await world.context.store.close()
    expectProblem(await world.call('GET', '/readyz', undefined, { token: null }), 503, 'unavailable')
  })
})

describe('bad input is refused by its name, and changes nothing', () => {
  const id = (prefix: string) => `${prefix}_${'0'.repeat(25)}`
  const rows: readonly [string, (ground: Ground) => Promise<Reply>, number, string, string?][] = [
    ['no token', ({ world }) => world.call('GET', '/v1/networks', undefined, { token: null }), 401, 'unauthenticated'],
    [
      'a body that is not JSON',
      ({ world }) => world.call('POST', '/v1/networks', undefined, { text: '{' }),
      400,
      'malformed',
      'body',
    ],
    ['no body', ({ world }) => world.call('POST', '/v1/networks'), 400, 'malformed', 'body'],
    ['a body that is not an object', ({ world }) => world.call('POST', '/v1/networks', []), 422, 'invalid', 'body'],
    [
      'a body that is too large',
      ({ world }) => world.call('POST', '/v1/networks', { name: 'x'.repeat(1_100_000) }),
      413,
      'payload-too-large',
    ],
    [
      'a wrong type',
      ({ world, projectId }) => world.call('POST', '/v1/networks', { name: 5, projectId }),
      422,
      'invalid',
      'name',
    ],
    [
      'an unknown field',
      ({ world, projectId }) => world.call('POST', '/v1/networks', { name: 'x', projectId, vlan: 3 }),
      422,
      'invalid',
      'vlan',
    ],
    [
      'an unknown field within',
      (ground) => postBalancer(ground, { timeouts: { forever: true } }),
      422,
      'invalid',
      'timeouts.forever',
    ],
    [
      'a missing field',
      ({ world, projectId }) => world.call('POST', '/v1/networks', { projectId }),
      422,
      'invalid',
      'name',
    ],
    [
      'an unknown query parameter',
      ({ world }) => world.call('GET', '/v1/networks?colour=red'),
      422,
      'invalid',
      'colour',
    ],
    ['a limit that is none', ({ world }) => world.call('GET', '/v1/networks?limit=0'), 422, 'invalid', 'limit'],
    [
      'a timeout that is none',
      ({ world, projectId }) => world.call('POST', '/v1/networks?wait=true&timeout=soon', { name: 'x', projectId }),
      422,
      'invalid',
      'timeout',
    ],
    [
      'a name with control characters',
      ({ world, projectId }) => world.call('POST', '/v1/networks', { name: 'a\nb', projectId }),
      422,
      'invalid',
      'name',
    ],
    [
      'a CIDR that overlaps within the project',
      ({ world, projectId }) => world.call('POST', '/v1/pools', { name: 'x', projectId, cidr: '198.18.20.0/24' }),
      409,
      'overlap',
      'cidr',
    ],
    [
      'a shard that overlaps',
      ({ world, poolId }) => world.call('POST', '/v1/shards', { poolId, cidr: '198.18.16.0/28' }),
      409,
      'overlap',
      'cidr',
    ],
    [
      'a CIDR that is misaligned',
      ({ world, projectId }) => world.call('POST', '/v1/pools', { name: 'x', projectId, cidr: '10.0.0.1/24' }),
      422,
      'invalid',
      'cidr',
    ],
    [
      'a CIDR that is none',
      ({ world, projectId }) => world.call('POST', '/v1/pools', { name: 'x', projectId, cidr: 'ten' }),
      422,
      'invalid',
      'cidr',
    ],
    [
      'a size smaller than /28',
      ({ world, poolId }) => world.call('POST', '/v1/shards', { poolId, sizeAddresses: 8 }),
      422,
      'invalid',
      'sizeAddresses',
    ],
    [
      'a size larger than /20',
      ({ world, poolId }) => world.call('POST', '/v1/shards', { poolId, sizeAddresses: 8192 }),
      422,
      'invalid',
      'sizeAddresses',
    ],
    [
      'a shard CIDR smaller than /28',
      ({ world, poolId }) => world.call('POST', '/v1/shards', { poolId, cidr: '198.18.17.0/29' }),
      422,
      'invalid',
      'cidr',
    ],
    ['no members', (ground) => postBalancer(ground, { members: [] }), 422, 'invalid', 'members'],
    ['port 0', (ground) => postBalancer(ground, { listeners: [{ port: 0 }] }), 422, 'invalid', 'listeners[0].port'],
    [
      'a timeout longer than its interval',
      (ground) => postBalancer(ground, { healthCheck: { protocol: 'http', intervalSeconds: 2, timeoutSeconds: 3 } }),
      422,
      'invalid',
      'healthCheck.timeoutSeconds',
    ],
    [
      'a member that is two things',
      (ground) => postBalancer(ground, { members: [{ address: '198.18.16.11', url: 'http://198.18.16.11' }] }),
      422,
      'invalid',
      'members[0]',
    ],
    [
      'an unknown project',
      ({ world }) => world.call('POST', '/v1/networks', { name: 'x', projectId: id('prj') }),
      422,
      'invalid',
      'projectId',
    ],
    [
      'an unknown project, though the network is known',
      (ground) => postBalancer(ground, { projectId: id('prj') }),
      422,
      'invalid',
      'projectId',
    ],
    ['an unknown network', (ground) => postBalancer(ground, { networkId: id('net') }), 422, 'invalid', 'networkId'],
    [
      'an unknown pool',
      ({ world }) => world.call('POST', '/v1/shards', { poolId: id('pol') }),
      422,
      'invalid',
      'poolId',
    ],
    [
      'the id of another noun',
      ({ world, projectId }) => world.call('GET', `/v1/networks/${projectId}`),
      404,
      'not-found',
    ],
    ['an id that is none', ({ world }) => world.call('DELETE', '/v1/networks/all'), 404, 'not-found'],
    [
      'a stale If-Match',
      ({ world, networkId }) =>
        world.call('PATCH', `/v1/networks/${networkId}`, { name: 'x' }, { headers: { 'if-match': '"9"' } }),
      412,
      'precondition-failed',
      'If-Match',
    ],
    [
      'a stale If-Match of a delete',
      ({ world, projectId }) =>
        world.call('DELETE', `/v1/projects/${projectId}`, undefined, { headers: { 'if-match': '"9"' } }),
      412,
      'precondition-failed',
      'If-Match',
    ],
    [
      'an If-Match that is none',
      ({ world, networkId }) =>
        world.call('PATCH', `/v1/networks/${networkId}`, { name: 'x' }, { headers: { 'if-match': 'yes' } }),
      422,
      'invalid',
      'If-Match',
    ],
    [
      'a name that is taken',
      ({ world, projectId }) => world.call('POST', '/v1/networks', { name: 'web', projectId }),
      409,
      'name-taken',
      'name',
    ],
    [
      "a user's project name that is taken",
      ({ world }) => world.call('POST', '/v1/projects', { name: 'rack', user: 'john' }),
      409,
      'name-taken',
      'name',
    ],
    [
      'a slug that is taken',
      ({ world }) => world.call('POST', '/v1/projects', { name: 'x', user: 'x', slug: 'rack' }),
      409,
      'name-taken',
      'slug',
    ],
    [
      'delete of a project that is not empty',
      ({ world, projectId }) => world.call('DELETE', `/v1/projects/${projectId}`),
      409,
      'in-use',
    ],
    ['delete of a pool with shards', ({ world, poolId }) => world.call('DELETE', `/v1/pools/${poolId}`), 409, 'in-use'],
    [
      'delete of a network with shards',
      ({ world, networkId }) => world.call('DELETE', `/v1/networks/${networkId}`),
      409,
      'in-use',
    ],
    ['a path that is none', ({ world }) => world.call('GET', '/v1/cakes'), 404, 'not-found'],
    [
      'an admin token with NATS',
      ({ world }) => world.call('POST', '/v1/tokens', { name: 'x', nats: true }),
      422,
      'invalid',
      'nats',
    ],
    [
      'a token of the past',
      ({ world }) => world.call('POST', '/v1/tokens', { name: 'x', expiresAt: '2001-01-01T00:00:00Z' }),
      422,
      'invalid',
      'expiresAt',
    ],
    [
      'a workload with an unknown field',
      ({ world, projectId, networkId }) =>
        world.call('POST', '/v1/machines', {
          name: 'm',
          projectId,
          networkId,
          workloads: [{ kind: 'web', port: 80, root: true }],
        }),
      422,
      'invalid',
      'workloads[0].root',
    ],
    [
      'events after an id that is none',
      ({ world }) => world.call('GET', '/v1/events?after=yesterday'),
      422,
      'invalid',
      'after',
    ],
  ]

  for (const [name, ask, status, code, field] of rows) {
    test(name, async () => {
      const ground = await createGround()
      const before = describeStore(ground.world)
      const events = ground.world.events.length
      expectProblem(await ask(ground), status, code, field)
      expect(describeStore(ground.world)).toBe(before)
      expect(ground.world.events.length).toBe(events)
    })
  }

  test('delete of what machines are on', async () => {
    const { world, projectId, networkId, shardId } = await createGround()
    await world.create('/v1/machines', { name: 'm', projectId, networkId })
    expectProblem(await world.call('DELETE', `/v1/shards/${shardId}`), 409, 'in-use')
    expectProblem(await world.call('DELETE', `/v1/networks/${networkId}/shards/${shardId}`), 409, 'in-use')
    expectProblem(await world.call('DELETE', `/v1/networks/${networkId}`), 409, 'in-use')
  })

  test('a quota that is passed', async () => {
    const { world, projectId } = await createGround({ networks: 1 })
    const reply = await world.call('POST', '/v1/networks', { name: 'x', projectId })
    expectProblem(reply, 409, 'quota-exceeded', 'projectId')
  })

  test('a method that a path does not have, with those that it has', async () => {
    const world = await createTestWorld()
    const reply = await world.call('DELETE', '/v1/networks')
    expectProblem(reply, 405, 'method-not-allowed')
    expect(reply.headers.get('allow')).toBe('GET, HEAD, POST')
  })
})

const postBalancer = ({ world, projectId, networkId }: Ground, fields: object) =>
  world.call('POST', '/v1/load-balancers', { ...balancer, projectId, networkId, ...fields })
