/** Each data source by id, by name and by filter, and each function, through the provider's wire. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cidrShards, parseId, shardOf } from '../../provider/functions/functions.ts'
import { serveForTest } from '../../provider/plugin/testing/served.ts'
import type { RawObject } from '../../provider/plugin/values/raw.ts'
import { decodeObject, encodeObject } from '../../provider/plugin/values/wire.ts'
import { createProvider } from '../../provider/provider.ts'
import { type ServedWorld, serveTestWorld } from './served-world.ts'

setDefaultTimeout(30_000)

let world: ServedWorld
let provider: ReturnType<typeof createProvider>
let served: Awaited<ReturnType<typeof serveForTest>>
const ids: Record<string, string> = {}

beforeAll(async () => {
  world = await serveTestWorld()
  const environment = { SLUICE_ADDR: world.url, SLUICE_TOKEN: world.admin }
  provider = createProvider({ environment, fetch, creationsFolder: null, run: '' })
  served = await serveForTest(provider)
  await served.client.call('ConfigureProvider', { config: encodeObject(provider.schema.fields, {}) })
  await createObjects()
})

afterAll(async () => {
  await served?.close()
  await world?.close()
})

async function createObjects(): Promise<void> {
  const create = async (noun: string, path: string, body: object) => {
    const made = await world.create(path, { name: `the ${noun}`.replaceAll('the machine', 'the-machine'), ...body })
    ids[noun] = String(made.id)
    return String(made.id)
  }
  const projectId = await create('project', '/v1/projects', { user: 'john' })
  const poolId = await create('pool', '/v1/pools', { projectId, cidr: '198.18.16.0/20' })
  const networkId = await create('network', '/v1/networks', { projectId, addressPolicy: { quarantineSeconds: 1 } })
  await create('shard', '/v1/shards', { poolId, networkId, cidr: '198.18.16.0/24' })
  const machineId = await create('machine', '/v1/machines', { projectId, networkId })
  const traffic = {
    trafficType: 'http',
    listeners: [{ port: 80 }],
    autoScaling: true,
    stickySessions: { by: 'cookie' },
  }
  const members = [{ machineId }, { host: 'web.shop.example', port: 81 }]
  const balancerId = await create('load_balancer', '/v1/load-balancers', { projectId, networkId, members, ...traffic })
  await create('token', '/v1/tokens', { projectId })
  const found = await world.call('GET', `/v1/load-balancers/${balancerId}/members`)
  ids.member = String((found.body.items as unknown as { id: string }[])[0]?.id)
  const hosts = await world.call('GET', '/v1/hosts?name=host-1')
  ids.host = String((hosts.body.items as unknown as { id: string }[])[0]?.id)
}

async function read(name: string, config: RawObject): Promise<RawObject> {
  const source = provider.dataSources?.find((one) => one.name === name)
  if (source === undefined) throw new Error(`BUG: there is no ${name}`)
  const { fields } = source.schema
  const answer = await served.client.call('ReadDataSource', {
    typeName: `sluice_${name}`,
    config: encodeObject(fields, config),
  })
  expect(answer.diagnostics).toEqual([])
  return decodeObject(fields, answer.state) ?? {}
}

const nouns = ['project', 'pool', 'shard', 'network', 'machine', 'load_balancer', 'token', 'host'] as const
const nameOf = (noun: string) => (noun === 'host' ? 'host-1' : noun === 'machine' ? 'the-machine' : `the ${noun}`)

describe('one by its id or its name, and all that fit a filter:', () => {
  for (const noun of nouns) {
    test(noun, async () => {
      const id = ids[noun] ?? ''
      const byId = await read(noun, { id })
      expect(byId).toMatchObject({ id, name: nameOf(noun) })
      expect(await read(noun, { name: nameOf(noun) })).toEqual(byId)
      expect(await read(`${noun}s`, { name: nameOf(noun) })).toMatchObject({ ids: [id], items: [byId] })
      expect(await read(`${noun}s`, { name: 'nobody' })).toMatchObject({ ids: [], items: [] })
    })
  }

  test('members, by their balancer', async () => {
    const loadBalancerId = ids.load_balancer ?? ''
    const id = ids.member ?? ''
    expect(await read('load_balancer_member', { loadBalancerId, id })).toMatchObject({ id, weight: 1 })
    expect((await read('load_balancer_members', { loadBalancerId })).ids).toHaveLength(2)
  })

  test('what is not there is told by what it was looked for', async () => {
    for (const [name, config, said] of [
      ['network', { name: 'nobody' }, 'There is no such network'],
      ['network', { id: `net_${'0'.repeat(25)}` }, 'There is no such network'],
      ['pool', { name: 'nobody', projectId: ids.project ?? '' }, 'There is no such pool'],
    ] as const) {
      await expect(read(name, config)).rejects.toThrow(said)
    }
  })
})

describe('functions', () => {
  const call = (one: { call: unknown }, args: object) => (one.call as (args: object) => unknown)(args)

  test('cut a pool, find the shard of an address, and read an id', () => {
    expect(call(cidrShards, { pool: '198.18.16.0/23', size: 256 })).toEqual(['198.18.16.0/24', '198.18.17.0/24'])
    const shards = { a: '198.18.16.0/24', b: '198.18.17.0/24' }
    expect(call(shardOf, { address: '198.18.17.9', shards })).toBe('b')
    expect(call(parseId, { id: ids.network })).toMatchObject({ kind: 'network', prefix: 'net' })
    const [network, machine] = [ids.network, ids.machine].map((id) => call(parseId, { id }) as { client: string })
    expect(network?.client).toBe(machine?.client ?? '')
  })

  test('say what is wrong with which argument', () => {
    expect(() => call(cidrShards, { pool: '198.18.16.1/23', size: 256 })).toThrow('pool must be an aligned block')
    expect(() => call(cidrShards, { pool: '198.18.16.0/23', size: 100 })).toThrow('size must be a power of two')
    expect(() => call(shardOf, { address: '198.18.18.9', shards: {} })).toThrow('no shards at all')
    expect(() => call(shardOf, { address: 'here', shards: {} })).toThrow('must be an IPv4 or IPv6 address')
    expect(() => call(parseId, { id: 'net' })).toThrow('id must be an id that begins with one of prj_')
  })
})
