import { describe, expect, test } from 'bun:test'
import { createGround, expectProblem, expectRefusal, type Ground, postBalancer } from '../../test/api/api-ground.ts'
import { createTestWorld, type Reply } from '../../test/api/api-world.ts'

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
      await expectRefusal(ground.world, () => ask(ground), status, code, field)
    })
  }

  test('delete of what machines are on', async () => {
    const { world, projectId, networkId, shardId } = await createGround()
    await world.create('/v1/machines', { name: 'm', projectId, networkId })
    expectProblem(await world.call('DELETE', `/v1/shards/${shardId}`), 409, 'in-use')
    expectProblem(await world.call('DELETE', `/v1/networks/${networkId}/shards/${shardId}`), 409, 'no-space')
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
