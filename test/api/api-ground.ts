/** A project with a pool, a network and a shard in it, and what tests of the API ask of refusals. */

import { expect } from 'bun:test'
import type { Kind } from '../../controller/control-plane/store.ts'
import * as objects from '../../controller/objects.ts'
import { createTestWorld, type Reply, type TestWorld } from './api-world.ts'

export const balancer = {
  name: 'web',
  trafficType: 'http',
  listeners: [{ port: 80 }],
  members: [{ address: '198.18.16.11' }, { address: '198.18.16.12', port: 8080 }],
}

export interface Ground {
  readonly world: TestWorld
  readonly projectId: string
  readonly poolId: string
  readonly networkId: string
  readonly shardId: string
}

export async function createGround(
  quota: Readonly<Record<string, number>> = {},
  options: Parameters<typeof createTestWorld>[0] = {},
): Promise<Ground> {
  const world = await createTestWorld(options)
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

export const createBalancer = ({ world, projectId, networkId }: Ground, fields: object = {}) =>
  world.create('/v1/load-balancers', { ...balancer, projectId, networkId, ...fields })

/** A problem with a remedy and its trace; `field` is one of those at fault. */
export function expectProblem(reply: Reply, status: number, code: string, field?: string): void {
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

export const postBalancer = ({ world, projectId, networkId }: Ground, fields: object) =>
  world.call('POST', '/v1/load-balancers', { ...balancer, projectId, networkId, ...fields })

/** Everything that is stored. */
export function describeStore({ context }: TestWorld): string {
  const kinds: readonly Kind<unknown>[] = Object.values(objects).filter((kind) => typeof kind === 'object')
  return JSON.stringify(kinds.map((kind) => context.store.snapshot(kind)))
}

/** Asks for what is refused, and expects that nothing was changed and nothing told. */
export async function expectRefusal(
  world: TestWorld,
  ask: () => Promise<Reply>,
  ...[status, code, field]: readonly [number, string, string?]
): Promise<Reply> {
  const before = describeStore(world)
  const events = world.events.length
  const reply = await ask()
  expectProblem(reply, status, code, field)
  expect(describeStore(world)).toBe(before)
  expect(world.events.length).toBe(events)
  return reply
}
