import { describe, expect, test } from 'bun:test'
import packageJson from '../package.json' with { type: 'json' }
import { balancer, createBalancer, createGround, expectProblem } from '../test/api/api-ground.ts'
import { createTestWorld, type Json } from '../test/api/api-world.ts'

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
      controller: { url: 'http://127.0.0.1:7480', version: packageJson.version },
      store: { mode: 'memory', status: 'available' },
      loadBalancers: [{ name: 'web', members: [{ address: '198.18.16.11' }, {}] }],
    } as object)
    expect((await world.call('GET', '/healthz', undefined, { token: null })).status).toBe(200)
    expect((await world.call('GET', '/readyz', undefined, { token: null })).status).toBe(200)
    await world.context.store.close()
    expectProblem(await world.call('GET', '/readyz', undefined, { token: null }), 503, 'unavailable')
  })
})
