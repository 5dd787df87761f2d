import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createBalancer, createGround, expectProblem, type Ground } from '../../test/api/api-ground.ts'
import type { Json } from '../../test/api/api-world.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let ground: Ground
let poolId: string
beforeEach(async () => {
  ground = await createGround()
  const { world, projectId } = ground
  const pool = await world.create('/v1/pools', { name: 'six', projectId, cidr: 'FD00:0020:0:0::/56' })
  poolId = String(pool.id)
})

const cut = (fields: object = {}) => ground.world.create('/v1/shards', { poolId, ...fields })
const refuseCut = (fields: object) => ground.world.call('POST', '/v1/shards', { poolId, ...fields })
const createNamed = (name: string, cidr: string) =>
  ground.world.call('POST', '/v1/pools', { name, projectId: ground.projectId, cidr })
const allocate = (body: object) =>
  ground.world.call('POST', `/v1/networks/${ground.networkId}/addresses`, { holder: 'printer', ...body })
const addressesOf = (body: Json) => (body.items as unknown as Json[]).map(({ address }) => String(address))

describe('a pool of IPv6', () => {
  test('is shown in its canonical form, with its size and what is cut', async () => {
    await cut()
    const { body } = await ground.world.call('GET', `/v1/pools/${poolId}`)
    expect(body as unknown).toMatchObject({ cidr: 'fd00:20::/56', sizeAddresses: 2 ** 72, cutAddresses: 2 ** 64 })
  })

  const refused: readonly (readonly [string, string])[] = [
    ['fd00:31::/31', 'does not begin where a block of its size can'],
    ['fc00::/31', 'is not from /32 to /64'],
    ['fd00:30::/65', 'is not from /32 to /64'],
    ['fd00:30::1/64', 'does not begin where a block of its size can'],
    ['fe80::/64', 'is neither of 2000::/3'],
    ['ff00::/32', 'is neither of 2000::/3'],
    ['::/64', 'is neither of 2000::/3'],
    ['fd00:30:::/64', 'is no IPv6 block'],
    ['fd00:30::/129', 'is no IPv6 block'],
  ]
  for (const [cidr, words] of refused) {
    test(`of ${cidr} is refused: it ${words}`, async () => {
      const reply = await createNamed('other', cidr)
      expectProblem(reply, 422, 'invalid', 'cidr')
      expect(String(reply.body.detail)).toContain(words)
    })
  }

  test('may not overlap another of its project, however it is written, and may be beside IPv4', async () => {
    const reply = await createNamed('other', 'FD00:20::0:0/48')
    expectProblem(reply, 409, 'overlap', 'cidr')
    expect(String(reply.body.detail)).toContain("fd00:20::/48 overlaps fd00:20::/56, the pool 'six'")
    expect((await createNamed('other', '2001:db8::/32')).status).toBe(201)
    expect((await createNamed('four', '10.0.0.0/16')).status).toBe(201)
  })

  test('is deleted once its shards are', async () => {
    const shard = await cut({ name: 'first' })
    const reply = await ground.world.call('DELETE', `/v1/pools/${poolId}`)
    expectProblem(reply, 409, 'in-use')
    expect(String(reply.body.detail)).toContain("shard 'first' (fd00:20::/64)")
    expect((await ground.world.call('DELETE', `/v1/shards/${shard.id}`)).status).toBe(204)
    expect((await ground.world.call('DELETE', `/v1/pools/${poolId}`)).status).toBe(204)
  })

  test('is drawn by its /64s, and can not be defragmented', async () => {
    const { world, networkId } = ground
    const shardId = String((await cut({ networkId })).id)
    await cut({ name: 'kept', cidr: 'fd00:20:0:ff::/64' })
    await allocate({ shardId, count: 3 })
    const { body } = await world.call('GET', `/v1/pools/${poolId}/space`)
    expect(body as unknown).toMatchObject({
      cidr: 'fd00:20::/56',
      heldAddresses: 3,
      fragmentation: 0,
      shards: [
        { cidr: 'fd00:20::/64', status: 'in-use', heldAddresses: 3, networkName: 'web', heldByCell: [3] },
        { cidr: 'fd00:20:0:ff::/64', status: 'available', heldAddresses: 0, networkName: null },
      ],
    })
    const free = (body.freeBlocks as unknown as Json[]).map(({ cidr }) => String(cidr))
    expect([free.length, free[0], free.at(-1)]).toEqual([14, 'fd00:20:0:1::/64', 'fd00:20:0:fe::/64'])
    const reply = await world.call('POST', `/v1/pools/${poolId}/defragment`, { sizeAddresses: 1024 })
    expectProblem(reply, 422, 'invalid', 'sizeAddresses')
    expect((await world.call('POST', `/v1/networks/${networkId}/compact`, {})).body as unknown).toMatchObject({
      status: 'free',
      evacuate: [],
    })
  })
})

describe('a shard of IPv6', () => {
  test('is the next /64, or the one that is asked for, and tells what it does not do', async () => {
    expect((await cut()) as unknown).toMatchObject({
      cidr: 'fd00:20::/64',
      gateway: 'fd00:20::1',
      sizeAddresses: 2 ** 64,
      status: 'available',
      resourceCount: 0,
      utilization: 0,
      conditions: [{ type: 'on-hosts', status: 'false', reason: 'ipv6NotCarried' }],
    })
    expect((await cut({ cidr: 'FD00:20:0:0002::/64' })).cidr as unknown).toBe('fd00:20:0:2::/64')
    expect((await cut()).cidr as unknown).toBe('fd00:20:0:1::/64')
    const { body } = await ground.world.call('GET', `/v1/shards?poolId=${poolId}`)
    expect((body.items as unknown as Json[]).length).toBe(3)
  })

  const refused: readonly (readonly [string, object, string, string, string])[] = [
    ['of a size', { sizeAddresses: 1024 }, 'invalid', 'sizeAddresses', 'shards of the pool fd00:20::/56 are /64s'],
    ['of a size and a cidr', { sizeAddresses: 16, cidr: 'fd00:20::/64' }, 'invalid', 'sizeAddresses', 'are /64s'],
    ['of /60', { cidr: 'fd00:20::/60' }, 'invalid', 'cidr', 'fd00:20::/60 is no /64'],
    ['of /80', { cidr: 'fd00:20::/80' }, 'invalid', 'cidr', 'fd00:20::/80 is no /64'],
    ['of no block', { cidr: 'fd00:20::1/64' }, 'invalid', 'cidr', 'does not begin where a block of its size can'],
    ['outside its pool', { cidr: 'fd00:20:0:100::/64' }, 'invalid', 'cidr', "not within the pool's fd00:20::/56"],
    ['of IPv4', { cidr: '198.18.20.0/24' }, 'invalid', 'cidr', "not within the pool's fd00:20::/56"],
    ['over another', { cidr: 'fd00:20:0:7:0::/64' }, 'overlap', 'cidr', "overlaps fd00:20:0:7::/64, the shard 'seven'"],
  ]
  for (const [sentence, fields, code, field, words] of refused) {
    test(`${sentence} is refused`, async () => {
      await cut({ name: 'seven', cidr: 'fd00:20:0:7::/64' })
      const reply = await refuseCut(fields)
      expectProblem(reply, code === 'overlap' ? 409 : 422, code, field)
      expect(String(reply.body.detail)).toContain(words)
    })
  }

  test('is not cut from a pool of IPv4, nor when the pool has none left', async () => {
    const reply = await ground.world.call('POST', '/v1/shards', { poolId: ground.poolId, cidr: 'fd00:20::/64' })
    expectProblem(reply, 422, 'invalid', 'cidr')
    const { body } = await createNamed('one', '2001:db8:0:7::/64')
    await cut({ poolId: body.id })
    expectProblem(await refuseCut({ poolId: body.id }), 409, 'no-space', 'poolId')
  })

  test('of those cut at once none overlaps another', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => cut()))
    expect(new Set(made.map(({ cidr }) => String(cidr))).size).toBe(20)
  })

  test('is in use beside IPv4: machines and hosts know IPv4 alone', async () => {
    const { world, networkId, projectId } = ground
    const shardId = String((await cut({ networkId })).id)
    expect((await world.call('GET', `/v1/networks/${networkId}`)).body.shardIds as unknown).toContain(shardId)
    const machine = await world.create('/v1/machines', { name: 'web-1', projectId, networkId })
    await world.settle()
    const { body } = await world.call('GET', `/v1/machines/${machine.id}`)
    expect(body as unknown).toMatchObject({ status: 'active', addresses: ['198.18.16.2'] })
    expect((await world.call('GET', `/v1/shards/${shardId}`)).body as unknown).toMatchObject({
      status: 'in-use',
      resourceCount: 0,
    })
  })

  test('is in use beside IPv4: balancers count and use IPv4 alone', async () => {
    await cut({ networkId: ground.networkId })
    const { id } = await createBalancer(ground)
    await ground.world.settle()
    const { body } = await ground.world.call('GET', `/v1/load-balancers/${id}`)
    expect(body as unknown).toMatchObject({ status: 'active' })
    const { body: held } = await ground.world.call('GET', '/v1/addresses')
    expect(addressesOf(held).toSorted()).toEqual(['198.18.16.2', '198.18.16.3'])
  })

  test('alone gives a machine nothing, and that is said', async () => {
    const { world, projectId } = ground
    const networkId = String((await world.create('/v1/networks', { name: 'six', projectId })).id)
    await cut({ networkId })
    const reply = await world.call('POST', '/v1/machines', { name: 'web-1', projectId, networkId })
    expectProblem(reply, 409, 'no-space')
    expect(String(reply.body.detail)).toContain('The network has no IPv4 shard: fd00:20::/64.')
  })
})

describe('a policy', () => {
  const preview = (policy: object) =>
    ground.world.call('POST', `/v1/networks/${ground.networkId}/preview-policy`, policy)

  test('grows and gives back IPv4 alone, and counts all shards', async () => {
    const { world, networkId, projectId } = ground
    await cut({ networkId })
    const growth = { growAtUtilization: 0.5, reservedRanges: [{ first: '198.18.16.0', last: '198.18.16.255' }] }
    expect((await preview(growth)).body.operations as unknown).toMatchObject([{ kind: 'grow', poolId: ground.poolId }])
    const fromIpv6 = await preview({ ...growth, poolIds: [poolId] })
    expect(fromIpv6.body.operations as unknown).toMatchObject([{ kind: 'reportNoRoom' }])
    expect((await preview({ ...growth, maximumShards: 2 })).body.operations as unknown).toEqual([])
    world.context.advance(3_600_000)
    expect((await preview({ giveBackAfterSeconds: 60 })).body.operations as unknown).toEqual([])
    const six = String((await world.create('/v1/networks', { name: 'six', projectId })).id)
    await cut({ networkId: six })
    const { body } = await world.call('POST', `/v1/networks/${six}/preview-policy`, { growAtUtilization: 0.5 })
    expect(body.operations as unknown).toEqual([])
  })

  test('pins and reserves addresses of IPv4 alone', async () => {
    const pinnedAddresses = [{ address: 'fd00:20::9', machineName: 'db' }]
    expectProblem(await preview({ pinnedAddresses }), 422, 'invalid', 'addressPolicy.pinnedAddresses[0].address')
    const reservedRanges = [{ first: 'fd00:20::9', last: 'fd00:20::a' }]
    expectProblem(await preview({ reservedRanges }), 422, 'invalid', 'addressPolicy.reservedRanges[0].first')
  })

  test('says which pools shards of IPv6 come from as well, and how many there may be', async () => {
    const { world, networkId } = ground
    await world.call('PATCH', `/v1/networks/${networkId}`, { addressPolicy: { poolIds: [ground.poolId] } })
    expectProblem(await refuseCut({ networkId }), 409, 'conflict', 'poolId')
    await world.call('PATCH', `/v1/networks/${networkId}`, { addressPolicy: { maximumShards: 1 } })
    expectProblem(await refuseCut({ networkId }), 409, 'conflict', 'networkId')
  })
})

describe('addresses of IPv6', () => {
  test('are allocated by shard, many at once, or by address in any spelling; listed, shown and released', async () => {
    const { world, networkId } = ground
    const shardId = String((await cut({ networkId })).id)
    const many = await allocate({ shardId, count: 2 })
    expect(addressesOf(many.body)).toEqual(['fd00:20::2', 'fd00:20::3'])
    const chosen = await allocate({ addresses: ['FD00:20:0:0:00ab::0001'] })
    expect(addressesOf(chosen.body)).toEqual(['fd00:20::ab:0:0:1'])
    expectProblem(await allocate({ addresses: ['fd00:20:0:0:ab:0:0:1'] }), 409, 'in-use', 'address')
    const listed = await world.call('GET', '/v1/addresses?address=fd00:20::AB:0:0:1')
    expect(listed.body.items as unknown).toMatchObject([{ owner: 'printer', shardId, networkId }])
    const history = `/v1/shards/${shardId}/addresses/fd00:20:0:0:ab::1/history`
    expect((await world.call('GET', history)).body.holders as unknown).toMatchObject([{ heldUntil: null }])
    const shown = await world.call('GET', `/v1/shards/${shardId}`)
    expect(shown.body as unknown).toMatchObject({ resourceCount: 3, utilization: 0 })
    for (const { id } of [...(many.body.items as unknown as Json[]), ...(chosen.body.items as unknown as Json[])]) {
      expect((await world.call('DELETE', `/v1/addresses/${id}`)).status).toBe(204)
    }
    await world.sweep()
    expect((await world.call('GET', `/v1/shards/${shardId}`)).body.resourceCount as unknown).toBe(0)
    expect((await world.call('GET', history)).body.holders as unknown).toMatchObject([{ owner: 'printer' }])
  })

  test('are allocated once by a request that is repeated', async () => {
    const shardId = String((await cut({ networkId: ground.networkId })).id)
    const options = { headers: { 'idempotency-key': 'the-same' } }
    const path = `/v1/networks/${ground.networkId}/addresses`
    const ask = () => ground.world.call('POST', path, { holder: 'printer', shardId, count: 3 }, options)
    expect(addressesOf((await ask()).body)).toEqual(addressesOf((await ask()).body))
  })

  test('stay for as long as nobody releases them, and keep their shard where it is', async () => {
    const { world, networkId } = ground
    const shardId = String((await cut({ name: 'six', networkId })).id)
    await allocate({ shardId })
    world.context.advance(3_600_000)
    await world.sweep()
    const holders = 'printer (fd00:20::2)'
    for (const path of [`/v1/shards/${shardId}`, `/v1/networks/${networkId}/shards/${shardId}`]) {
      const reply = await world.call('DELETE', path)
      expect(reply.status).toBe(409)
      expect(String(reply.body.detail)).toContain(holders)
    }
    const reply = await world.call('POST', `/v1/shards/${shardId}/migrate`, {})
    expectProblem(reply, 409, 'conflict', 'id')
    expect(String(reply.body.detail)).toContain(`held by ${holders}`)
    expect((await world.call('GET', `/v1/shards/${shardId}`)).body.status as unknown).toBe('in-use')
  })

  test('of a shard that nobody uses go to another network without a migration', async () => {
    const { world, networkId, projectId } = ground
    const shardId = String((await cut({ networkId })).id)
    const other = String((await world.create('/v1/networks', { name: 'db', projectId })).id)
    const refused = await world.call('POST', `/v1/shards/${shardId}/migrate`, { toNetworkId: other })
    expectProblem(refused, 409, 'conflict', 'id')
    expect(String(refused.body.remedy)).toContain(`sluice shard deallocate ${shardId}`)
    expect((await world.call('DELETE', `/v1/networks/${networkId}/shards/${shardId}`)).status).toBe(200)
    expect((await world.call('POST', `/v1/networks/${other}/shards/${shardId}`)).status).toBe(200)
    expectProblem(await allocate({ shardId }), 422, 'invalid', 'shardId')
  })

  test('are not given while the shard is reserved, nor of one that IPv4 holders could move to', async () => {
    const { world, networkId, projectId, shardId: ofIpv4 } = ground
    const shardId = String((await cut({ networkId })).id)
    await world.call('PATCH', `/v1/shards/${shardId}`, { reserved: true })
    const reply = await allocate({ shardId })
    expectProblem(reply, 409, 'no-space')
    expect(String(reply.body.detail)).toContain('fd00:20::/64 (reserved)')
    await world.call('PATCH', `/v1/shards/${shardId}`, { reserved: false })
    await world.create('/v1/machines', { name: 'web-1', projectId, networkId })
    expectProblem(await world.call('POST', `/v1/shards/${ofIpv4}/migrate`, {}), 409, 'no-space')
  })
})
