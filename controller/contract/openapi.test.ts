import { beforeAll, describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { createTestWorld, type Json, type TestWorld } from '../../test/api/api-world.ts'
import { createRoutes } from '../app.ts'
import { createTestMicroshards } from '../control-plane/lifecycle/test-microshards.ts'
import { createKeptLogs } from '../observed/logs/test-logs.ts'
import { createTestLifecycle } from '../prediction/policies/test-lifecycle.ts'
import { createTestControlPlane } from '../presence/test-control-plane.ts'

/** As much of OpenAPI 3.1 as is used here; anything else in an operation is a mistake. */
const contentSchema = v.record(v.string(), v.strictObject({ schema: v.record(v.string(), v.unknown()) }))
const refSchema = v.strictObject({ $ref: v.string() })
const responseSchema = v.union([
  refSchema,
  v.strictObject({ description: v.pipe(v.string(), v.minLength(1)), content: v.optional(contentSchema) }),
])
const operationSchema = v.strictObject({
  operationId: v.pipe(v.string(), v.regex(/^[a-z][A-Za-z]+$/)),
  tags: v.pipe(v.array(v.string()), v.length(1)),
  summary: v.pipe(v.string(), v.minLength(1)),
  description: v.optional(v.string()),
  security: v.array(v.record(v.string(), v.array(v.string()))),
  parameters: v.array(
    v.strictObject({
      name: v.string(),
      in: v.picklist(['path', 'query', 'header']),
      required: v.boolean(),
      description: v.optional(v.string()),
      schema: v.record(v.string(), v.unknown()),
    }),
  ),
  requestBody: v.optional(v.strictObject({ required: v.literal(true), content: contentSchema })),
  responses: v.record(v.pipe(v.string(), v.regex(/^[1-5]\d\d$/)), responseSchema),
})
const documentSchema = v.strictObject({
  openapi: v.literal('3.1.0'),
  info: v.strictObject({ title: v.string(), version: v.string(), description: v.string() }),
  servers: v.array(v.strictObject({ url: v.string() })),
  tags: v.array(v.strictObject({ name: v.string() })),
  paths: v.record(
    v.pipe(v.string(), v.startsWith('/')),
    v.record(v.picklist(['get', 'post', 'put', 'patch', 'delete', 'x-lock', 'x-unlock']), operationSchema),
  ),
  components: v.strictObject({
    securitySchemes: v.record(v.string(), v.unknown()),
    schemas: v.record(v.string(), v.unknown()),
    responses: v.record(v.string(), responseSchema),
  }),
})
type Document = v.InferOutput<typeof documentSchema>

let world: TestWorld
let document: Document

beforeAll(async () => {
  world = await createTestWorld()
  const reply = await world.call('GET', '/v1/openapi.json', undefined, { token: null })
  document = v.parse(documentSchema, reply.body)
})

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path,
      method,
      operation: operation as v.InferOutput<typeof operationSchema>,
    })),
  )

describe('the OpenAPI document', () => {
  test('has every route that is mounted, and no other', () => {
    const reader = { read: async function* () {}, list: async () => ({ items: [], next: null }) }
    const { services, context } = world
    const { collectd } = world
    const microshards = createTestMicroshards()
    const metrics = world.metrics.service
    const routes = createRoutes({
      services,
      context,
      events: reader,
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
    const mounted = routes.map(({ method, path }) => `${method.toLowerCase()} ${path}`)
    const described = operations().map(({ method, path }) => `${method.replace('x-', '')} ${path}`)
    expect(described.toSorted()).toEqual(mounted.toSorted())
    const inApp = world.app.routes.map(
      ({ method, path }) => `${method.toLowerCase()} ${path.replace(/:(\w+)/g, '{$1}')}`,
    )
    expect(inApp.toSorted()).toEqual(mounted.toSorted())
  })

  test('names each operation once, and declares each parameter of its path once', () => {
    const ids = operations().map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { path, operation } of operations()) {
      const inPath = operation.parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)
      expect(inPath).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? ''))
      const names = operation.parameters.map((parameter) => `${parameter.in} ${parameter.name}`)
      expect(new Set(names).size).toBe(names.length)
      expect(operation.parameters.filter((parameter) => parameter.in === 'path' && !parameter.required)).toEqual([])
    }
  })

  test('has references that lead somewhere', () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref]) => ref ?? '')
    expect(refs.length).toBeGreaterThan(0)
    for (const ref of new Set(refs)) {
      const found = ref
        .replace(/^#\//, '')
        .split('/')
        .reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], document)
      expect({ ref, isFound: found !== undefined }).toEqual({ ref, isFound: true })
    }
  })

  test('asks for a token wherever the API does', async () => {
    for (const { path, method, operation } of operations()) {
      if (operation.security.length === 0) continue
      const asked = path.replace(/\{\w+\}/g, 'x')
      const reply = await world.call(method.toUpperCase(), asked, undefined, { token: null })
      expect({ method, path, status: reply.status }).toEqual({ method, path, status: 401 })
    }
  })

  test('says of an answer what it is', async () => {
    const project = await world.create('/v1/projects', { name: 'rack', user: 'john' })
    const pool = await world.create('/v1/pools', { name: 'all', projectId: project.id, cidr: '10.0.0.0/16' })
    const network = await world.create('/v1/networks', { name: 'web', projectId: project.id })
    const shard = await world.create('/v1/shards', { poolId: pool.id, networkId: network.id })
    const shown: readonly [string, Json][] = [
      ['/v1/projects', project],
      ['/v1/pools', pool],
      ['/v1/networks', network],
      ['/v1/shards', shard],
    ]
    for (const [path, body] of shown) {
      const answer = document.paths[path]?.post?.responses['201']
      const schema =
        answer !== undefined && 'content' in answer ? answer.content?.['application/json']?.schema : undefined
      const properties = Object.keys((schema?.properties ?? {}) as object)
      expect(schema?.required).toEqual(properties)
      expect(Object.keys(body).toSorted()).toEqual(properties.toSorted())
    }
  })
})
