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
    expectProblem(
      await world.call('GET', `/v1/shards/${shardId}/addresses/198.18.20.9/history`),
      422,
      'invalid',
      'address',
    )
    const unknown = `adr_${'0'.repeat(25)}`
    expectProblem(await world.call('GET', `/v1/addresses/${unknown}/history`), 404, 'not-found')
  })
})

describe('addresses are allocated by hand', () => {
  const allocate = (body: object, headers: Record<string, string> = {}) =>
    ground.world.call('POST', `/v1/networks/${ground.networkId}/addresses`, body, { headers })
  const itemsOf = (reply: { readonly body: Json }) => reply.body.items as unknown as Json[]
  const release = (id: unknown) => ground.world.call('DELETE', `/v1/addresses/${id}`)
  const countHeld = async () => {
    const { body } = await ground.world.call('GET', `/v1/shards/${ground.shardId}`)
    return Number(body.resourceCount)
  }

  test('for what is not run by us, which is named', async () => {
    const reply = await allocate({ holder: 'printer' })
    expect(reply.status).toBe(201)
    const [one] = itemsOf(reply)
    expect(one as unknown).toMatchObject({
      status: 'held',
      address: '198.18.16.2',
      networkId: ground.networkId,
      shardId: ground.shardId,
      ownerKind: 'external',
      owner: 'printer',
    })
    expect((await ground.world.call('GET', `/v1/addresses/${one?.id}`)).body).toEqual(one as Json)
    expect((await list()).map(({ owner }) => owner) as unknown).toEqual(['printer'])
    expect(await countHeld()).toBe(1)
    await ground.world.sweep()
    ground.world.context.advance(24 * 3600 * 1000)
    await ground.world.sweep()
    expect((await list()).length).toBe(1)
  })

  test('many at once, and chosen ones: all of them or none', async () => {
    const many = await allocate({ holder: 'rack', count: 3 })
    expect(itemsOf(many).map(({ address }) => address) as unknown).toEqual([
      '198.18.16.2',
      '198.18.16.3',
      '198.18.16.4',
    ])
    const chosen = await allocate({ holder: 'rack', addresses: ['198.18.16.9', '198.18.16.8'] })
    expect(itemsOf(chosen).map(({ address }) => address) as unknown).toEqual(['198.18.16.9', '198.18.16.8'])
    const taken = await allocate({ holder: 'late', addresses: ['198.18.16.20', '198.18.16.9'] })
    expectProblem(taken, 409, 'in-use', 'address')
    expect(String(taken.body.detail)).toBe('198.18.16.9 is held by rack.')
    const room = 253 - 5
    for (let left = room - 100; left > 0; left -= 100) await allocate({ holder: 'rack', count: Math.min(left, 100) })
    expect(await countHeld()).toBe(153)
    expectProblem(await allocate({ holder: 'late', count: 101 }), 409, 'no-space')
    expect(await countHeld()).toBe(153)
    expect((await allocate({ holder: 'late', count: 100 })).status).toBe(201)
  })

  test('the same again for a repetition of the request', async () => {
    const key = { 'idempotency-key': 'k1' }
    const [first, second] = [
      await allocate({ holder: 'a', count: 2 }, key),
      await allocate({ holder: 'a', count: 2 }, key),
    ]
    expect(second.body).toEqual(first.body)
    expect((await list()).length).toBe(2)
  })

  test('and released, also twice, and told of afterwards', async () => {
    const [one] = itemsOf(await allocate({ holder: 'printer' }))
    expect((await release(one?.id)).status).toBe(204)
    expect((await release(one?.id)).status).toBe(204)
    expect(await list()).toEqual([])
    expect(await countHeld()).toBe(0)
    const { body } = await ground.world.call('GET', `/v1/addresses/${one?.id}/history`)
    expect(body.holders as unknown).toMatchObject([{ ownerKind: 'external', owner: 'printer' }])
    expectProblem(await release(`adr_${'0'.repeat(25)}`), 404, 'not-found')
  })

  test('and not released where a machine holds them, which is named', async () => {
    await createMachine('web-1', '198.18.16.2')
    const [held] = await list()
    const refused = await release(held?.id)
    expectProblem(refused, 409, 'in-use', 'id')
    expect(String(refused.body.detail)).toContain('198.18.16.2 is held by machine web-1')
  })

  test('and keep their shard where it is, since nobody can move them from here', async () => {
    const { world, networkId, poolId, shardId, projectId } = ground
    await world.create('/v1/shards', { poolId, networkId, sizeAddresses: 256 })
    const [one] = itemsOf(await allocate({ holder: 'printer', addresses: ['198.18.16.2'] }))
    const refused = await world.call('POST', `/v1/shards/${shardId}/migrate`, {})
    expectProblem(refused, 409, 'in-use', 'id')
    expect(String(refused.body.detail)).toContain('printer (198.18.16.2)')
    expectProblem(await world.call('DELETE', `/v1/networks/${networkId}/shards/${shardId}`), 409, 'in-use', 'id')
    expectProblem(await world.call('DELETE', `/v1/shards/${shardId}`), 409, 'in-use', 'id')
    const cidr = '198.18.16.0/24'
    const asked = { sizeAddresses: 256, cidr }
    const { body } = await world.call('POST', `/v1/pools/${poolId}/defragment`, asked)
    expect(body.inTheWay as unknown).toMatchObject([{ block: cidr, obstacles: [{ kind: 'heldByOthers', shardId }] }])
    await release(one?.id)
    expect((await world.call('POST', `/v1/shards/${shardId}/migrate`, {})).status).toBe(202)
    expect(projectId).toBe(String(one?.projectId))
  })

  const refusals: readonly (readonly [string, object, string])[] = [
    ['nobody to hold them', {}, 'holder'],
    ['both how many and which', { holder: 'a', count: 2, addresses: ['198.18.16.9'] }, 'count'],
    ['none', { holder: 'a', count: 0 }, 'count'],
    ['more than one request may have', { holder: 'a', count: 129 }, 'count'],
    ['one twice', { holder: 'a', addresses: ['198.18.16.9', '198.18.16.9'] }, 'addresses'],
    ['what is no address', { holder: 'a', addresses: ['198.18.16'] }, 'addresses[0]'],
    ['one of no shard', { holder: 'a', addresses: ['10.9.9.9'] }, 'address'],
    ['the gateway', { holder: 'a', addresses: ['198.18.16.1'] }, 'address'],
  ]
  test('not by what makes no sense', async () => {
    for (const [sentence, body, field] of refusals) {
      const reply = await allocate(body)
      expect({ sentence, status: reply.status }).toEqual({ sentence, status: 422 })
      expectProblem(reply, 422, 'invalid', field)
    }
  })

  test("not by another project's token", async () => {
    const { world, networkId } = ground
    const [one] = itemsOf(await allocate({ holder: 'printer' }))
    const other = await world.create('/v1/projects', { name: 'other', user: 'ann' })
    const { token } = await world.create('/v1/tokens', { name: 't', projectId: other.id })
    const options = { token: String(token) }
    const asked = await world.call('POST', `/v1/networks/${networkId}/addresses`, { holder: 'x' }, options)
    expectProblem(asked, 404, 'not-found')
    expectProblem(await world.call('GET', `/v1/addresses/${one?.id}`, undefined, options), 404, 'not-found')
    expectProblem(await world.call('DELETE', `/v1/addresses/${one?.id}`, undefined, options), 404, 'not-found')
    expect((await list()).length).toBe(1)
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

  test('of a project is tried in all of its networks', async () => {
    const { world, projectId, networkId } = ground
    const path = `/v1/projects/${projectId}/preview-policy`
    const own = { growAtUtilization: 0.9 }
    await world.call('PATCH', `/v1/networks/${networkId}`, { addressPolicy: own })
    const policy = { growAtUtilization: 0.5, reservedRanges: [{ first: '198.18.16.0', last: '198.18.16.255' }] }
    const { body } = await world.call('POST', path, policy)
    expect(body as unknown).toMatchObject({
      projectId,
      networks: [
        { networkId, effectiveAddressPolicy: { ...policy, ...own }, operations: [{ kind: 'grow', utilization: 1 }] },
      ],
    })
    expectProblem(await world.call('POST', path, { poolIds: [`pol_${'0'.repeat(25)}`] }), 422, 'invalid')
  })

  test('that can not be kept is refused', async () => {
    const pinnedAddresses = [{ address: '10.0.0.9', machineName: 'db' }]
    expectProblem(await preview({ pinnedAddresses }), 422, 'invalid', 'addressPolicy.pinnedAddresses[0].address')
  })
})
