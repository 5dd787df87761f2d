import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createGround, expectProblem, type Ground } from '../../test/api/api-ground.ts'
import type { Json } from '../../test/api/api-world.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let ground: Ground
beforeEach(async () => {
  ground = await createGround()
})

const createMachine = (name: string, address: string) => {
  const { world, projectId, networkId } = ground
  return world.create('/v1/machines', { name, projectId, networkId, address })
}
const list = async (query = '') => {
  const { body } = await ground.world.call('GET', `/v1/addresses${query}`)
  return (body.items as unknown as Json[]).toSorted((a, b) => String(a.address).localeCompare(String(b.address)))
}

describe('addresses', () => {
  test('are listed with who holds them', async () => {
    const machine = await createMachine('web-1', '198.18.16.2')
    await createMachine('web-2', '198.18.16.3')
    const all = await list()
    expect(all.map(({ address, owner }) => [address, owner]) as unknown).toEqual([
      ['198.18.16.2', 'machine web-1'],
      ['198.18.16.3', 'machine web-2'],
    ])
    expect(all[0] as unknown).toMatchObject({
      status: 'held',
      name: '198.18.16.2',
      projectId: ground.projectId,
      shardId: ground.shardId,
      networkId: ground.networkId,
      ownerId: machine.id,
      ownerKind: 'machine',
    })
    const ownerIds = (await list(`?ownerId=${machine.id}`)).map(({ address }) => address)
    expect(ownerIds as unknown).toEqual(['198.18.16.2'])
    expect((await list('?address=198.18.16.3')).length).toBe(1)
    expect((await list(`?shardId=${ground.shardId}&networkId=${ground.networkId}`)).length).toBe(2)
    expect((await list('?shardId=shd_none')).length).toBe(0)
  })

  test('tell who held them', async () => {
    const { world, shardId } = ground
    const first = await createMachine('web-1', '198.18.16.2')
    const id = String((await list())[0]?.id)
    await world.settle()
    await world.call('DELETE', `/v1/machines/${first.id}`)
    await world.settle()
    world.context.advance(1000)
    const second = await createMachine('web-2', '198.18.16.2')
    const byId = await world.call('GET', `/v1/addresses/${id}/history`)
    expect(byId.body as unknown).toMatchObject({
      address: '198.18.16.2',
      shardId,
      holders: [
        { ownerId: first.id, ownerKind: 'machine' },
        { ownerId: second.id, owner: 'machine web-2', heldUntil: null },
      ],
    })
    const [former] = byId.body.holders as unknown as Json[]
    expect(Date.parse(String(former?.heldUntil))).toBeGreaterThanOrEqual(Date.parse(String(former?.heldFrom)))
    const inShard = await world.call('GET', `/v1/shards/${shardId}/addresses/198.18.16.2/history`)
    expect(inShard.body).toEqual(byId.body)
  })

  test('that nobody ever held have no holders, and those of another shard are refused', async () => {
    const { world, shardId } = ground
    const never = await world.call('GET', `/v1/shards/${shardId}/addresses/198.18.16.9/history`)
    expect(never.body.holders as unknown).toEqual([])
    expectProblem(await world.call('GET', `/v1/shards/${shardId}/addresses/198.18.20.9/history`), 422, 'invalid', 'address')
    const unknown = `adr_${'0'.repeat(25)}`
    expectProblem(await world.call('GET', `/v1/addresses/${unknown}/history`), 404, 'not-found')
  })
})

describe('a policy', () => {
  const preview = (policy: object) =>
    ground.world.call('POST', `/v1/networks/${ground.networkId}/preview-policy`, policy)

  test('is tried without a trace', async () => {
    const { world, networkId, poolId } = ground
    const keepsAll = { growAtUtilization: 0.5, reservedRanges: [{ first: '198.18.16.0', last: '198.18.16.255' }] }
    const grows = await preview(keepsAll)
    expect(grows).toMatchObject({
      status: 200,
      body: {
        networkId,
        effectiveAddressPolicy: keepsAll,
        operations: [{ kind: 'grow', poolId, sizeAddresses: 256, utilization: 1 }],
      },
    } as object)
    expect((await preview({ growAtUtilization: 0.5 })).body.operations as unknown).toEqual([])
    expect((await world.call('GET', `/v1/networks/${networkId}`)).body.addressPolicy as unknown).toEqual({})
  })

  test('that can not be kept is refused', async () => {
    const pinnedAddresses = [{ address: '10.0.0.9', machineName: 'db' }]
    expectProblem(await preview({ pinnedAddresses }), 422, 'invalid', 'addressPolicy.pinnedAddresses[0].address')
  })
})
