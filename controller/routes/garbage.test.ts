import { beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createTestWorld, type TestWorld } from '../../test/api/api-world.ts'
import { createRoutes } from '../app.ts'
import { createTestMicroshards } from '../control-plane/lifecycle/test-microshards.ts'
import { createKeptLogs } from '../observed/logs/test-logs.ts'
import { createTestLifecycle } from '../prediction/policies/test-lifecycle.ts'
import { createTestControlPlane } from '../presence/test-control-plane.ts'

let world: TestWorld
let ids: Readonly<Record<string, string>>
let targets: readonly { readonly method: string; readonly path: string }[]

beforeAll(async () => {
  world = await createTestWorld()
  const project = await world.create('/v1/projects', { name: 'rack', user: 'john' })
  const projectId = String(project.id)
  const pool = await world.create('/v1/pools', { name: 'all', projectId, cidr: '10.0.0.0/16' })
  const network = await world.create('/v1/networks', { name: 'web', projectId })
  const shard = await world.create('/v1/shards', { poolId: pool.id, networkId: network.id })
  ids = { projectId, poolId: String(pool.id), networkId: String(network.id), shardId: String(shard.id) }
  const events = { read: async function* () {}, list: async () => ({ items: [], next: null }) }
  const { services, context } = world
  const microshards = createTestMicroshards()
  const metrics = world.metrics.service
  const { collectd } = world
  const routes = createRoutes({
    services,
    context,
    events,
    logs: createKeptLogs(),
    microshards,
    lifecycle: createTestLifecycle(context.store),
    controlPlane: createTestControlPlane(),
    metrics,
    collectd,
    states: world.states,
    prefetch: world.prefetch,
    settings: { url: '', version: '' },
  })
  // A stream of events does not end by itself.
  targets = routes.map(({ method, path }) => ({ method, path })).filter(({ path }) => path !== '/v1/events')
})

/** Words that mean something here, among those that don't. */
const word = fc.oneof(
  fc.constantFrom('name', 'projectId', 'cidr', 'members', 'listeners', 'port', 'address', 'info', 'action', 'type'),
  fc.constantFrom(
    'user',
    'quota',
    'healthCheck',
    'protocol',
    'workloads',
    'labels',
    'backend',
    'entities',
    '__proto__',
  ),
  fc.string({ unit: 'binary' }),
)
const leaf = fc.oneof(
  fc.constantFrom('create', 'instance', 'project', 'http', 'tcp', '10.0.0.0/24', '10.0.0.4', '0.0.0.0/0', '💥', ''),
  fc.constantFrom(0, -1, 80, 65536, 1e308, 1.5, null, true),
  fc.string({ unit: 'binary' }),
  fc.double(),
)
const garbage = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(word, tie('value'), { maxKeys: 6 }),
  ),
})).value

/** A body that is right but for one thing. */
const nearlyRight = fc
  .record({
    field: fc.constantFrom('name', 'projectId', 'networkId', 'poolId', 'cidr', 'trafficType', 'listeners', 'members'),
    value: garbage,
  })
  .map(({ field, value }) => ({
    name: 'x',
    projectId: ids.projectId,
    networkId: ids.networkId,
    trafficType: 'http',
    listeners: [{ port: 80 }],
    members: [{ address: '10.0.0.4' }],
    [field]: value,
  }))

async function expectNoFailure(method: string, path: string, text: string | undefined, headers = {}): Promise<void> {
  const reply = await world.call(method, path, undefined, { headers, ...(text === undefined ? {} : { text }) })
  const isRefusal = reply.status >= 400
  expect({ method, path, text, status: reply.status < 500 ? 'fine' : reply.status }).toMatchObject({ status: 'fine' })
  if (isRefusal && !path.startsWith('/v1/actions')) expect<unknown>(reply.body.code).toBeString()
}

describe('whatever is sent, the answer is never a failure of the controller', () => {
  const anyTarget = fc.nat().map((i) => targets[i % targets.length] ?? { method: 'GET', path: '/' })
  const anyId = fc.oneof(
    fc.constantFrom('projectId', 'poolId', 'networkId', 'shardId').map((name) => ids[name] ?? ''),
    fc.string({ unit: 'binary' }).map((text) => encodeURIComponent(text.toWellFormed())),
  )
  const fill = (path: string, id: string) => path.replace(/\{\w+\}/g, id || 'x')

  test('as a body', async () => {
    const bodies = fc.oneof(garbage, nearlyRight).map((value) => JSON.stringify(value) ?? 'undefined')
    await fc.assert(
      fc.asyncProperty(anyTarget, anyId, bodies, async ({ method, path }, id, text) => {
        await expectNoFailure(method, fill(path, id), method === 'GET' && path !== '/v1/actions' ? undefined : text)
      }),
      { numRuns: 700 },
    )
  }, 60_000)

  test('as text that is no JSON', async () => {
    await fc.assert(
      fc.asyncProperty(anyTarget, fc.string({ unit: 'binary' }), async ({ method, path }, text) => {
        if (method !== 'GET') await expectNoFailure(method, fill(path, 'x'), text)
      }),
      { numRuns: 200 },
    )
  }, 60_000)

  test('as a query or a header', async () => {
    const text = fc.string({ unit: 'grapheme-ascii' }).map((value) => value.trim())
    const name = fc.constantFrom('if-match', 'idempotency-key', 'traceparent', 'if-none-match', 'last-event-id')
    const headers = fc.tuple(name, text).map(([key, value]) => ({ [key]: value }))
    const parameters = fc.tuple(fc.constantFrom('limit', 'after', 'wait', 'timeout', 'request', 'name'), word)
    await fc.assert(
      fc.asyncProperty(anyTarget, anyId, parameters, headers, async ({ method, path }, id, [key, text], header) => {
        const query = new URLSearchParams({ [key]: text.toWellFormed() })
        await expectNoFailure(method, `${fill(path, id)}?${query}`, undefined, header)
      }),
      { numRuns: 200 },
    )
  }, 60_000)
})
