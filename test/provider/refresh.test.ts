/** A refresh of many objects: few requests, and each object as it is when it is asked for by itself. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { serveForTest } from '../../provider/plugin/testing/served.ts'
import type { RawObject } from '../../provider/plugin/values/raw.ts'
import { decodeObject, encodeObject } from '../../provider/plugin/values/wire.ts'
import { createProvider } from '../../provider/provider.ts'
import { type ServedWorld, serveTestWorld } from './served-world.ts'

setDefaultTimeout(30_000)
const many = 40

let world: ServedWorld
let provider: ReturnType<typeof createProvider>
let served: Awaited<ReturnType<typeof serveForTest>>
let projectId: string

beforeAll(async () => {
  world = await serveTestWorld()
  const environment = { SLUICE_ADDR: world.url, SLUICE_TOKEN: world.admin }
  provider = createProvider({ environment, fetch, creationsFolder: null, run: '', now: world.context.now })
  served = await serveForTest(provider)
  await configure()
  projectId = await create('/v1/projects', {
    name: 'many',
    user: 'john',
    quota: { networks: many + 1, shards: many + 1 },
  })
})

afterAll(async () => {
  await served?.close()
  await world?.close()
})

/** As each run of the CLI begins: what an earlier one was shown is worth nothing. */
const configure = () => served.client.call('ConfigureProvider', { config: encodeObject(provider.schema.fields, {}) })

const create = async (path: string, body: object) => String((await world.create(path, body)).id)

const fieldsOf = (type: string) => {
  const resource = provider.resources?.find(({ name }) => name === type)
  if (resource === undefined) throw new Error(`BUG: there is no ${type}`)
  return resource.schema.fields
}

async function importOne(type: string, id: string): Promise<RawObject> {
  const answer = await served.client.call('ImportResourceState', { typeName: `sluice_${type}`, id })
  expect(answer.diagnostics).toEqual([])
  return decodeObject(fieldsOf(type), answer.importedResources[0]?.state) ?? {}
}

async function refresh(type: string, state: RawObject): Promise<RawObject | null> {
  const fields = fieldsOf(type)
  const request = { typeName: `sluice_${type}`, currentState: encodeObject(fields, state) }
  const answer = await served.client.call('ReadResource', request)
  expect(answer.diagnostics).toEqual([])
  return decodeObject(fields, answer.newState)
}

test(`${many} objects of each kind are refreshed with few requests, and found as they are`, async () => {
  const poolId = await create('/v1/pools', { name: 'many', projectId, cidr: '198.18.16.0/20' })
  const states: (readonly [string, RawObject])[] = []
  for (let i = 0; i < many; i++) {
    const networkId = await create('/v1/networks', { name: `network ${i}`, projectId })
    const shardId = await create('/v1/shards', { poolId, networkId, sizeAddresses: 16 })
    for (const [type, id] of [
      ['network', networkId],
      ['shard', shardId],
      ['shard_attachment', shardId],
    ] as const) {
      states.push([type, await importOne(type, id)])
    }
  }
  await configure()
  world.requests.length = 0
  const refreshed: (RawObject | null)[] = []
  for (let i = 0; i < states.length; i += 10) {
    const tens = states.slice(i, i + 10).map(([type, state]) => refresh(type, state))
    refreshed.push(...(await Promise.all(tens)))
  }
  expect(refreshed).toEqual(states.map(([, state]) => state))
  expect(world.requests.length).toBeLessThan(states.length * 0.7)
  expect(world.requests).toContain('GET /v1/networks')
})

test('members of one balancer ask for it once', async () => {
  const networkId = await create('/v1/networks', { name: 'members', projectId })
  const poolId = await create('/v1/pools', { name: 'members', projectId, cidr: '10.20.0.0/20' })
  await create('/v1/shards', { poolId, networkId, sizeAddresses: 16 })
  const balancer = {
    name: 'open',
    projectId,
    networkId,
    trafficType: 'tcp',
    listeners: [{ port: 9 }],
    instanceCount: 1,
  }
  const balancerId = await create('/v1/load-balancers', balancer)
  const states: RawObject[] = []
  for (let i = 1; i <= 5; i++) {
    const id = await create(`/v1/load-balancers/${balancerId}/members`, { address: `198.18.16.${i}` })
    states.push(await importOne('load_balancer_member', `${balancerId}/${id}`))
  }
  await configure()
  world.requests.length = 0
  for (const state of states) expect(await refresh('load_balancer_member', state)).toEqual(state)
  expect(world.requests).toEqual([`GET /v1/load-balancers/${balancerId}`])
})
