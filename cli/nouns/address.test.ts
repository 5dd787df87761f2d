import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test'
import type { Address } from '../../controller/contract/address-space.ts'
import type { Api, ApiRequest } from '../api.ts'
import { addressCommand } from './address.ts'

const id = (prefix: string) => `${prefix}_${'0'.repeat(25)}`
const at = '2030-01-01T00:00:00.000Z'

const held: Address = {
  id: id('adr'),
  name: '10.0.0.9',
  projectId: id('prj'),
  shardKey: '0',
  version: 1,
  generation: 1,
  status: 'held',
  conditions: [],
  createdAt: at,
  updatedAt: at,
  address: '10.0.0.9',
  shardId: id('shd'),
  networkId: id('net'),
  ownerId: id('ext'),
  ownerKind: 'external',
  owner: 'printer',
  allocatedAt: at,
}

let printed: string[]
let print: ReturnType<typeof spyOn<Console, 'log'>>
beforeEach(() => {
  printed = []
  print = spyOn(console, 'log').mockImplementation((text: unknown) => {
    printed.push(String(text))
  })
})
afterEach(() => print.mockRestore())

/** Answers each request by its method and path, and notes what was asked. */
async function run(answers: Readonly<Record<string, unknown>>, ...words: readonly string[]): Promise<ApiRequest[]> {
  const asked: ApiRequest[] = []
  const call = async (request: ApiRequest) => {
    asked.push(request)
    const name = `${request.method} ${request.path}`
    if (!(name in answers)) throw new Error(`nobody answers ${name}`)
    return answers[name]
  }
  const api: Api = { address: '', token: '', call, open: () => Promise.reject(new Error('nothing streams here')) }
  await addressCommand(() => api).parseAsync([...words], { from: 'user' })
  return asked
}

const page = (...items: readonly unknown[]) => ({ items, next: null })

describe('sluice address', () => {
  test('lists who holds what in the order of the addresses', async () => {
    const before: Address = { ...held, address: '10.0.0.2', ownerKind: 'machine', owner: 'machine web-1' }
    await run({ 'GET /v1/addresses': page(held, before) }, 'list')
    expect(printed.join('\n').split('\n')).toEqual([
      'ADDRESS   KIND      HOLDER         SINCE',
      `10.0.0.2  machine   machine web-1  ${at}`,
      `10.0.0.9  external  printer        ${at}`,
    ])
  })

  test('allocates as many as are asked for, or chosen ones', async () => {
    const path = `/v1/networks/${id('net')}/addresses`
    const answers = { [`POST ${path}`]: { items: [held] } }
    const several = ['allocate', '--network', id('net'), '--holder', 'printer']
    const [counted] = await run(answers, ...several, '--count', '3')
    expect(counted).toMatchObject({ body: { holder: 'printer', count: 3 } })
    const [chosen] = await run(answers, ...several, '--address', '10.0.0.9', '--address', '10.0.0.8')
    expect(chosen).toMatchObject({ body: { holder: 'printer', addresses: ['10.0.0.9', '10.0.0.8'] } })
    expect(printed).toEqual(['10.0.0.9', '10.0.0.9'])
  })

  test('releases what is held, and is content with what is not', async () => {
    const answers = { 'GET /v1/addresses': page(held), [`DELETE /v1/addresses/${held.id}`]: undefined }
    const asked = await run(answers, 'release', '10.0.0.9')
    expect(asked.map(({ method }) => method)).toEqual(['GET', 'DELETE'])
    expect((await run({ 'GET /v1/addresses': page() }, 'release', '10.0.0.9')).length).toBe(1)
    expect(printed).toEqual(['released 10.0.0.9', 'released 10.0.0.9'])
  })

  test('tells who held an address that nobody holds now, by the shard that it is in', async () => {
    const shard = (name: string, cidr: string) => ({
      ...{ id: id('shd'), name, projectId: id('prj'), shardKey: '0', version: 1, generation: 1, conditions: [] },
      ...{ createdAt: at, updatedAt: at, status: 'in-use', poolId: id('pol'), networkId: id('net'), cidr },
      ...{ gateway: '10.0.0.1', sizeAddresses: 16, resourceCount: 0, lastAccessedAt: null, utilization: 0 },
    })
    const holder = { ownerId: id('ext'), ownerKind: 'external', owner: 'printer', heldFrom: at, heldUntil: at }
    const answers = {
      'GET /v1/shards': page(
        { ...shard('b', '10.0.1.0/28'), id: id('shd').replace('0', '1') },
        shard('a', '10.0.0.0/28'),
      ),
      [`GET /v1/shards/${id('shd')}/addresses/10.0.0.9/history`]: {
        address: '10.0.0.9',
        shardId: id('shd'),
        holders: [holder],
      },
    }
    await run(answers, 'history', '10.0.0.9')
    expect(printed.join('\n')).toContain(`${at}  ${at}  external  printer`)
    await expect(run(answers, 'history', '10.9.0.9')).rejects.toThrow('10.9.0.9 is in no shard')
  })

  test('shows who holds one, and says so when nobody does', async () => {
    const shown = { 'GET /v1/addresses': page(held), [`GET /v1/addresses/${held.id}`]: held }
    await run(shown, 'show', '10.0.0.9')
    expect(printed.join('\n')).toContain('printer')
    await expect(run({ 'GET /v1/addresses': page() }, 'show', '10.0.0.9')).rejects.toThrow('nobody holds 10.0.0.9')
  })
})
