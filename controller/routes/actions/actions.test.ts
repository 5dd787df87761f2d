import { describe, expect, test } from 'bun:test'
import { createTestWorld, type Json, type Reply, type TestWorld } from '../../../test/api/api-world.ts'

const instanceInfo = {
  name: 'web',
  project: "john's project",
  traffic_type: 'http',
  subnet: '198.18.16.0/24',
  backend: { entities: ['198.18.16.11', '198.18.16.12:8080', 'http://198.18.16.13:8081'] },
}
const projectInfo = { user: 'john', name: "john's project", instances: [] }

const act = (world: TestWorld, action: string, type: string, info: unknown, query = '') =>
  world.call('POST', `/v1/actions${query}`, { action, type, info })

async function createWorld(): Promise<TestWorld> {
  const world = await createTestWorld()
  expectSuccess(await act(world, 'create', 'project', projectInfo))
  return world
}

function expectSuccess(reply: Reply): Json {
  expect<unknown>(reply.body).toMatchObject({ status: 'successful' })
  expect(reply.status).toBe(200)
  return reply.body.info as Json
}

function expectFail(reply: Reply, field: string, words: RegExp): void {
  expect<unknown>(reply.body).toMatchObject({ status: 'fail', info: { field } })
  expect(`${reply.body.info?.error}. ${reply.body.info?.remedy}`).toMatch(words)
  expect(reply.status).toBeGreaterThanOrEqual(400)
  expect(reply.status).toBeLessThan(500)
}

const withBackend = (backend: object) => ({ ...instanceInfo, backend: { ...instanceInfo.backend, ...backend } })

describe('projects by the JSON interface', () => {
  test('are created, told, renamed and deleted', async () => {
    const world = await createTestWorld()
    const created = await act(world, 'create', 'project', projectInfo)
    expect<unknown>(created.body).toMatchObject({ action: 'create', type: 'project', info: projectInfo })
    const renamed = await act(world, 'update', 'project', { ...projectInfo, 'new-name': 'shop' })
    expect<unknown>(expectSuccess(renamed)).toMatchObject({ user: 'john', name: 'shop', instances: [] })
    expectSuccess(await act(world, 'delete', 'project', { user: 'john', name: 'shop' }))
    expectFail(await act(world, 'info', 'project', { user: 'john', name: 'shop' }), 'name', /no project 'shop'/)
  })

  test('created once more are refused, saying that they are there', async () => {
    const world = await createTestWorld()
    const { id } = expectSuccess(await act(world, 'create', 'project', projectInfo))
    const again = await act(world, 'create', 'project', projectInfo)
    expectFail(again, 'name', new RegExp(`exists already \\(${id}\\), just as it is asked for`))
  })

  test('are created once however often a request with one Idempotency-Key comes', async () => {
    const world = await createTestWorld()
    const request = { action: 'create', type: 'project', info: projectInfo }
    const headers = { 'idempotency-key': 'k1' }
    const first = expectSuccess(await world.call('POST', '/v1/actions', request, { headers }))
    expect(expectSuccess(await world.call('POST', '/v1/actions', request, { headers }))).toEqual(first)
  })

  test('of two users with one name are told apart by the user', async () => {
    const world = await createWorld()
    expectSuccess(await act(world, 'create', 'project', { ...projectInfo, user: 'mary' }))
    expectFail(await act(world, 'info', 'project', { name: projectInfo.name }), 'user', /john, mary/)
    const mary = expectSuccess(await act(world, 'info', 'project', { name: projectInfo.name, user: 'mary' }))
    expect<unknown>(mary).toMatchObject({ user: 'mary' })
  })

  test('go with the subnets that were made for their instances, when these are gone', async () => {
    const world = await createWorld()
    expectSuccess(await act(world, 'create', 'instance', instanceInfo))
    expectFail(await act(world, 'delete', 'project', projectInfo), 'id', /is used by/)
    const told = expectSuccess(await act(world, 'info', 'project', projectInfo))
    expect<unknown>(told.instances).toEqual(['web'])
    expectSuccess(await act(world, 'delete', 'instance', { name: 'web', project: projectInfo.name }))
    const deleting = act(world, 'delete', 'project', projectInfo)
    await world.settle()
    expectSuccess(await deleting)
    expect<unknown>((await world.call('GET', '/v1/networks')).body.items).toEqual([])
    expect<unknown>((await world.call('GET', '/v1/pools')).body.items).toEqual([])
  })
})

describe('instances by the JSON interface', () => {
  test('answer what was asked for, and id, url, vips and status', async () => {
    const world = await createWorld()
    const created = expectSuccess(await act(world, 'create', 'instance', instanceInfo))
    expect<unknown>(created).toMatchObject({
      name: 'web',
      project: "john's project",
      traffic_type: 'http',
      subnet: '198.18.16.0/24',
      backend: {
        entities: ['198.18.16.11', '198.18.16.12:8080', 'http://198.18.16.13:8081'],
        'health-check': {
          protocol: 'HTTP',
          'request-path': '/',
          criteria: { interval: 5, timeout: 5, 'health-threshold': 2, 'unhealth-threshold': 2 },
        },
        'auto-scaling': false,
      },
    })
    expect(String(created.id)).toStartWith('lb_')
    expect<unknown>(created).toContainKeys(['url', 'vips', 'status'])
    const info = await act(world, 'info', 'instance', { name: 'web', project: "john's project" })
    expect(expectSuccess(info)).toEqual(created)
    const shown = await world.call('GET', `/v1/load-balancers/${created.id}`)
    expect<unknown>(shown.body).toMatchObject({ listeners: [{ port: 80 }], instanceCount: 2, trafficType: 'http' })
  })

  test('are asked for by GET as well, in the body and in the query', async () => {
    const world = await createWorld()
    const request = { action: 'create', type: 'instance', info: instanceInfo }
    const created = expectSuccess(await world.call('GET', '/v1/actions', request))
    const query = encodeURIComponent(JSON.stringify({ ...request, action: 'info' }))
    expect(expectSuccess(await world.call('GET', `/v1/actions?request=${query}`))).toEqual(created)
    const both = await world.call('GET', `/v1/actions?request=${query}`, request)
    expectFail(both, 'request', /so is a body/)
  })

  test('created once more are refused, saying whether they are the same', async () => {
    const world = await createWorld()
    expectSuccess(await act(world, 'create', 'instance', instanceInfo))
    expectFail(
      await act(world, 'create', 'instance', instanceInfo),
      'name',
      /exists already .* just as it is asked for/,
    )
    const other = await act(world, 'create', 'instance', withBackend({ entities: ['198.18.16.99'] }))
    expectFail(other, 'name', /exists already .* differs in backend\.entities/)
    const elsewhere = await act(world, 'create', 'instance', { ...instanceInfo, subnet: '198.18.20.0/24' })
    expectFail(elsewhere, 'name', /exists already .* differs in subnet/)
  })

  test('of one subnet share its network, created at once or one after the other', async () => {
    const world = await createWorld()
    const names = ['a', 'b', 'c', 'd']
    const replies = await Promise.all(names.map((name) => act(world, 'create', 'instance', { ...instanceInfo, name })))
    for (const reply of replies) expectSuccess(reply)
    expect<unknown>((await world.call('GET', '/v1/networks')).body.items).toHaveLength(1)
    expect<unknown>((await world.call('GET', '/v1/shards')).body.items).toHaveLength(1)
  })

  test('wait for their hosts when they are asked to', async () => {
    const world = await createWorld()
    const creating = act(world, 'create', 'instance', instanceInfo, '?wait=true&timeout=30s')
    await world.nextSubject('load-balancer.created')
    await world.settle()
    expect<unknown>(expectSuccess(await creating).status).toBe('active')
  })

  test('change by name and project', async () => {
    const world = await createWorld()
    const { id } = expectSuccess(await act(world, 'create', 'instance', instanceInfo))
    const names = { name: 'web', project: "john's project" }
    const updated = await act(world, 'update', 'instance', {
      ...names,
      'new-name': 'www',
      backend: { entities: ['198.18.16.21'], 'health-check': { criteria: { interval: 9 } }, 'auto-scaling': true },
    })
    expect<unknown>(expectSuccess(updated)).toMatchObject({
      id,
      name: 'www',
      backend: {
        entities: ['198.18.16.21'],
        'health-check': { criteria: { interval: 9, timeout: 5 } },
        'auto-scaling': true,
      },
    })
    const fixed = { name: 'www', project: names.project }
    const logging = { access: 'on', sample: '1/10', 'client-address': 'none' }
    const logged = await act(world, 'update', 'instance', { ...fixed, backend: { logging } })
    expect<unknown>(expectSuccess(logged)).toMatchObject({ backend: { entities: ['198.18.16.21'], logging } })
    const refused = await act(world, 'update', 'instance', { ...fixed, backend: { logging: { sample: '1/0' } } })
    expectFail(refused, 'backend.logging.sample', /1\/1 to 1\/10000/)
    expectFail(
      await act(world, 'update', 'instance', { ...fixed, traffic_type: 'tcp' }),
      'traffic_type',
      /can not change/,
    )
    expectFail(await act(world, 'update', 'instance', { ...fixed, subnet: '10.0.0.0/24' }), 'subnet', /can not change/)
    expectFail(await act(world, 'update', 'instance', fixed), 'backend', /is missing/)
  })

  test("are seen by their project's token alone", async () => {
    const world = await createWorld()
    const other = await world.create('/v1/projects', { name: 'other', user: 'mary' })
    const { token } = await world.create('/v1/tokens', { name: 'ci', projectId: other.id })
    expectSuccess(await act(world, 'create', 'instance', instanceInfo))
    const request = { action: 'info', type: 'instance', info: { name: 'web', project: "john's project" } }
    const reply = await world.call('POST', '/v1/actions', request, { token: String(token) })
    expectFail(reply, 'project', /there is no project/)
  })
})

describe('the listener', () => {
  const rows: readonly [string, object, number | null][] = [
    [
      'is 80 for http, whatever the check',
      { traffic_type: 'http', backend: { entities: ['198.18.16.11'], 'health-check': { port: 8080 } } },
      80,
    ],
    [
      "is the check's port for tcp",
      { traffic_type: 'tcp', backend: { entities: ['198.18.16.11'], 'health-check': { port: 5432 } } },
      5432,
    ],
    [
      "is the entities' common port for tcp",
      { traffic_type: 'tcp', backend: { entities: ['198.18.16.11:6379', '198.18.16.12:6379'] } },
      6379,
    ],
    [
      'is not known when entities differ',
      { traffic_type: 'tcp', backend: { entities: ['198.18.16.11:1', '198.18.16.12:2'] } },
      null,
    ],
    ['is not known when no port is named', { traffic_type: 'tcp', backend: { entities: ['198.18.16.11'] } }, null],
  ]
  for (const [sentence, fields, port] of rows) {
    test(sentence, async () => {
      const world = await createWorld()
      const reply = await act(world, 'create', 'instance', { ...instanceInfo, ...fields })
      if (port === null) return expectFail(reply, 'backend.health-check.port', /listen/)
      const shown = await world.call('GET', `/v1/load-balancers/${expectSuccess(reply).id}`)
      expect<unknown>(shown.body.listeners).toEqual([{ port }])
    })
  }
})

describe('a health check', () => {
  const rows: readonly [string, string, object, object][] = [
    ['{} for http', 'http', {}, { protocol: 'HTTP', 'request-path': '/', criteria: { interval: 5, timeout: 5 } }],
    ['{} for tcp', 'tcp', {}, { protocol: 'TCP', criteria: { interval: 5, timeout: 5 } }],
    [
      'a timeout equal to the interval',
      'http',
      { criteria: { interval: 3, timeout: 3 } },
      { criteria: { interval: 3, timeout: 3 } },
    ],
    ['TCP for http traffic', 'http', { protocol: 'TCP', port: 81 }, { protocol: 'TCP', port: 81 }],
  ]
  for (const [name, traffic_type, check, wanted] of rows) {
    test(`is valid: ${name}`, async () => {
      const world = await createWorld()
      const backend = { entities: ['198.18.16.11:80'], 'health-check': check }
      const info = expectSuccess(await act(world, 'create', 'instance', { ...instanceInfo, traffic_type, backend }))
      expect<unknown>(info.backend?.['health-check']).toMatchObject(wanted)
    })
  }
})

describe('a fail says why, and changes nothing', () => {
  const rows: readonly [string, string, string, object, string, RegExp][] = [
    [
      'a project that is not there',
      'create',
      'instance',
      { ...instanceInfo, project: 'none' },
      'project',
      /no project 'none'/,
    ],
    ['an unknown field', 'create', 'instance', { ...instanceInfo, colour: 'red' }, 'colour', /not a field/],
    ['no entities', 'create', 'instance', withBackend({ entities: [] }), 'backend.entities', /at least one/],
    [
      'an entity that is none',
      'create',
      'instance',
      withBackend({ entities: ['198.18.16.11', 'db'] }),
      'backend.entities[1]',
      /must be an IPv4/,
    ],
    [
      'an entity at port 0',
      'create',
      'instance',
      withBackend({ entities: ['198.18.16.11:0'] }),
      'backend.entities[0]',
      /must be/,
    ],
    [
      'a timeout longer than its interval',
      'create',
      'instance',
      withBackend({ 'health-check': { criteria: { interval: 2, timeout: 3 } } }),
      'backend.health-check.criteria.timeout',
      /not be longer/,
    ],
    ['a subnet that is none', 'create', 'instance', { ...instanceInfo, subnet: 'here' }, 'subnet', /CIDR/],
    [
      'a subnet that is misaligned',
      'create',
      'instance',
      { ...instanceInfo, subnet: '198.18.16.5/24' },
      'subnet',
      /198\.18\.16/,
    ],
    [
      'a subnet that is too large',
      'create',
      'instance',
      { ...instanceInfo, subnet: '10.0.0.0/16' },
      'subnet',
      /\/20|4096/,
    ],
    [
      'a subnet that is too small',
      'create',
      'instance',
      { ...instanceInfo, subnet: '198.18.16.0/29' },
      'subnet',
      /\/28|16/,
    ],
    [
      'a traffic type that is none',
      'create',
      'instance',
      { ...instanceInfo, traffic_type: 'udp' },
      'traffic_type',
      /tcp/,
    ],
    [
      'an instance that is not there',
      'delete',
      'instance',
      { name: 'none', project: projectInfo.name },
      'name',
      /no instance/,
    ],
    [
      'a project with instances in it',
      'create',
      'project',
      { ...projectInfo, name: 'x', instances: [{}] },
      'instances',
      /must be empty/,
    ],
    ['an action that is none', 'paint', 'instance', instanceInfo, 'action', /must be/],
    ['a type that is none', 'create', 'cake', instanceInfo, 'type', /must be/],
  ]
  for (const [name, action, type, info, field, words] of rows) {
    test(name, async () => {
      const world = await createWorld()
      expectFail(await act(world, action, type, info), field, words)
      for (const path of ['networks', 'pools', 'shards', 'load-balancers']) {
        expect<unknown>((await world.call('GET', `/v1/${path}`)).body.items).toEqual([])
      }
    })
  }

  test('what is no JSON, and who is not known', async () => {
    const world = await createWorld()
    const malformed = await world.call('POST', '/v1/actions', undefined, { text: '{"action":' })
    expect<unknown>(malformed.body).toMatchObject({ status: 'fail', action: null, type: null })
    const request = { action: 'info', type: 'project', info: projectInfo }
    const stranger = await world.call('POST', '/v1/actions', request, { token: null })
    expect(stranger.status).toBe(401)
    expect<unknown>(stranger.body).toMatchObject({ status: 'fail', action: 'info', type: 'project' })
  })

  test('a quota that is passed leaves no subnet behind', async () => {
    const world = await createTestWorld()
    await world.create('/v1/projects', { name: projectInfo.name, user: 'john', quota: { loadBalancers: 0 } })
    expectFail(await act(world, 'create', 'instance', instanceInfo), 'project', /quota/)
    for (const path of ['networks', 'pools', 'shards']) {
      expect<unknown>((await world.call('GET', `/v1/${path}`)).body.items).toEqual([])
    }
  })
})
