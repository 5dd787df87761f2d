import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createGround, expectRefusal, type Ground } from '../../test/api/api-ground.ts'
import type { Json, Reply } from '../../test/api/api-world.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

/** Beside the ground: a machine in its shard, another network, a shard on none, and a foreign project. */
interface SpaceGround extends Ground {
  readonly otherNetworkId: string
  readonly looseId: string
  readonly foreignNetworkId: string
  readonly foreignToken: string
}

let ground: SpaceGround
beforeEach(async () => {
  const base = await createGround()
  const { world, projectId, networkId, poolId } = base
  await world.create('/v1/machines', { name: 'web-1', projectId, networkId })
  const other = await world.create('/v1/networks', { name: 'db', projectId })
  const loose = await world.create('/v1/shards', { name: 'loose', poolId, cidr: '198.18.17.0/28' })
  const foreign = await world.create('/v1/projects', { name: 'foreign', user: 'ann' })
  const foreignNetwork = await world.create('/v1/networks', { name: 'web', projectId: foreign.id })
  const token = await world.create('/v1/tokens', { name: 'ann', projectId: foreign.id })
  ground = {
    ...base,
    otherNetworkId: String(other.id),
    looseId: String(loose.id),
    foreignNetworkId: String(foreignNetwork.id),
    foreignToken: String(token.token),
  }
})

const none = (prefix: string) => `${prefix}_${'0'.repeat(25)}`
const post = (path: string, body: unknown = {}) => ground.world.call('POST', path, body)
const patch = (path: string, body: unknown) => ground.world.call('PATCH', path, body)
const remove = (path: string) => ground.world.call('DELETE', path)
const cut = (body: object) => post('/v1/shards', { poolId: ground.poolId, ...body })
const migrate = (body: object = {}) => post(`/v1/shards/${ground.shardId}/migrate`, body)
const attachment = (networkId = ground.networkId, shardId = ground.shardId) =>
  `/v1/networks/${networkId}/shards/${shardId}`
const police = (addressPolicy: object) => patch(`/v1/networks/${ground.networkId}`, { addressPolicy })
const addRoom = () => cut({ name: 'room', networkId: ground.networkId, cidr: '198.18.18.0/28' })

type Row = readonly [string, () => Promise<Reply>, number, string, string, RegExp]
const rows: readonly Row[] = [
  ['a shard that overlaps', () => cut({ cidr: '198.18.17.0/24' }), 409, 'overlap', 'cidr', /'loose'/],
  ['a shard of 100 addresses', () => cut({ sizeAddresses: 100 }), 422, 'invalid', 'sizeAddresses', /power of two/],
  ['a shard of 8 addresses', () => cut({ sizeAddresses: 8 }), 422, 'invalid', 'sizeAddresses', /16 .* 4096/],
  ['a shard of /19', () => cut({ cidr: '198.18.0.0/19' }), 422, 'invalid', 'cidr', /8192 addresses/],
  ['a shard that is misaligned', () => cut({ cidr: '198.18.20.8/24' }), 422, 'invalid', 'cidr', /198\.18\.20\.8\/24/],
  [
    'a shard of two sizes',
    () => cut({ cidr: '198.18.20.0/24', sizeAddresses: 16 }),
    422,
    'invalid',
    'sizeAddresses',
    /256/,
  ],
  ['a shard outside its pool', () => cut({ cidr: '10.0.0.0/24' }), 422, 'invalid', 'cidr', /198\.18\.16\.0\/20/],
  ['a shard for no network', () => cut({ networkId: none('net') }), 422, 'invalid', 'networkId', /there is no network/],
  [
    'a shard for a network of a foreign project',
    () => cut({ networkId: ground.foreignNetworkId }),
    422,
    'invalid',
    'networkId',
    /there is no network/,
  ],
  [
    'a shard that is reserved by a word',
    () => patch(`/v1/shards/${ground.shardId}`, { reserved: 'yes' }),
    422,
    'invalid',
    'reserved',
    /boolean/,
  ],
  ['deletion of a shard in use', () => remove(`/v1/shards/${ground.shardId}`), 409, 'in-use', 'id', /machine web-1/],
  ['deletion of no shard', () => remove(`/v1/shards/${none('shd')}`), 404, 'not-found', 'id', /no shard/],
  ['migration of no shard', () => post(`/v1/shards/${none('shd')}/migrate`), 404, 'not-found', 'id', /no shard/],
  [
    'a plan for no shard',
    () => post(`/v1/shards/${none('shd')}/migrate`, { dryRun: true }),
    404,
    'not-found',
    'id',
    /no shard/,
  ],
  ['no migration', () => post(`/v1/migrations/${none('mig')}/cancel`), 404, 'not-found', 'id', /no migration/],
  ['shards of no status', () => ground.world.call('GET', '/v1/shards?status=lost'), 422, 'invalid', 'status', /in-use/],
  [
    'migrations of no status',
    () => ground.world.call('GET', '/v1/migrations?status=lost'),
    422,
    'invalid',
    'status',
    /rolled-back/,
  ],
  ['allocation of no shard', () => post(attachment(ground.networkId, none('shd'))), 404, 'not-found', 'id', /no shard/],
  ['allocation to no network', () => post(attachment(none('net'))), 404, 'not-found', 'id', /no network/],
  [
    'allocation to a network of a foreign project',
    () => post(attachment(ground.foreignNetworkId, ground.looseId)),
    422,
    'invalid',
    'shardId',
    /another project/,
  ],
  ['double allocation', () => post(attachment(ground.otherNetworkId)), 409, 'in-use', 'shardId', /is allocated to/],
  ['deallocation from no network', () => remove(attachment(none('net'))), 404, 'not-found', 'id', /no network/],
  [
    'deallocation from another network',
    () => remove(attachment(ground.otherNetworkId)),
    409,
    'conflict',
    'networkId',
    /not to/,
  ],
  ['deallocation without room', () => remove(attachment()), 409, 'no-space', 'id', /1 is missing/],
  ['migration without room', () => migrate(), 409, 'no-space', 'id', /1 is missing/],
  ['a plan without room', () => migrate({ dryRun: true }), 409, 'no-space', 'id', /1 is missing/],
  [
    'migration to itself',
    () => migrate({ toNetworkId: ground.networkId }),
    422,
    'invalid',
    'toNetworkId',
    /is the network that the shard/,
  ],
  [
    'migration to a foreign network',
    () => migrate({ toNetworkId: ground.foreignNetworkId }),
    422,
    'invalid',
    'toNetworkId',
    /another project/,
  ],
  [
    'migration of a shard on no network',
    () => post(`/v1/shards/${ground.looseId}/migrate`),
    409,
    'conflict',
    'id',
    /no network/,
  ],
  [
    'a policy with a pool that is not there',
    () => police({ poolIds: [none('pol')] }),
    422,
    'invalid',
    'addressPolicy.poolIds[0]',
    /no pool/,
  ],
  [
    'a policy with a range that ends before it begins',
    () => police({ reservedRanges: [{ first: '198.18.16.9', last: '198.18.16.8' }] }),
    422,
    'invalid',
    'addressPolicy.reservedRanges[0]',
    /before/,
  ],
  [
    'a policy that pins an address for two',
    () =>
      police({
        pinnedAddresses: ['a', 'b'].map((machineName) => ({ address: '198.18.16.9', machineName })),
      }),
    422,
    'invalid',
    'addressPolicy.pinnedAddresses[1].address',
    /pinned for 'a' already/,
  ],
  ['a policy of no shards', () => police({ maximumShards: 0 }), 422, 'invalid', 'addressPolicy.maximumShards', />=1/],
  [
    'a policy with a mode that is none',
    () => police({ migrationMode: 'teleport' }),
    422,
    'invalid',
    'addressPolicy.migrationMode',
    /overlap/,
  ],
]

describe('address space that can not be so is refused by its name, and nothing is changed:', () => {
  for (const [sentence, ask, status, code, field, words] of rows) {
    test(sentence, async () => {
      const { body } = await expectRefusal(ground.world, ask, status, code, field)
      expect(String(body.detail)).toMatch(words)
    })
  }

  test('shards and migrations of a foreign project are not there', async () => {
    await addRoom()
    const { id } = (await migrate()).body
    const options = { token: ground.foreignToken }
    const asked: readonly (readonly [string, string])[] = [
      ['GET', `/v1/shards/${ground.shardId}`],
      ['DELETE', `/v1/shards/${ground.shardId}`],
      ['POST', `/v1/shards/${ground.shardId}/migrate`],
      ['POST', attachment(ground.foreignNetworkId)],
      ['DELETE', attachment(ground.foreignNetworkId)],
      ['GET', `/v1/migrations/${id}`],
      ['POST', `/v1/migrations/${id}/rollback`],
      ['POST', `/shards/${ground.shardId}/migrate`],
    ]
    for (const [method, path] of asked) {
      const body = path.endsWith('/migrate') ? {} : undefined
      await expectRefusal(ground.world, () => ground.world.call(method, path, body, options), 404, 'not-found', 'id')
    }
    expect((await ground.world.call('GET', '/v1/migrations', undefined, options)).body.items as unknown).toEqual([])
  })

  test('a shard that is reserved is not allocated, until it is released', async () => {
    await patch(`/v1/shards/${ground.looseId}`, { reserved: true })
    const path = attachment(ground.networkId, ground.looseId)
    await expectRefusal(ground.world, () => post(path), 409, 'conflict', 'shardId')
    await patch(`/v1/shards/${ground.looseId}`, { reserved: false })
    expect((await post(path)).body).toMatchObject({ status: 'in-use', networkId: ground.networkId } as object)
  })

  test('a shard that the policy does not allow is not allocated', async () => {
    await police({ maximumShards: 1 })
    const path = attachment(ground.networkId, ground.looseId)
    await expectRefusal(ground.world, () => post(path), 409, 'conflict', 'networkId')
    await expectRefusal(ground.world, () => cut({ networkId: ground.networkId }), 409, 'conflict', 'networkId')
  })

  test('a shard that migrates is neither deleted, allocated, planned nor migrated otherwise', async () => {
    await addRoom()
    const { id } = (await migrate()).body
    const shard = `/v1/shards/${ground.shardId}`
    const deleted = await expectRefusal(ground.world, () => remove(shard), 409, 'in-use', 'id')
    for (const words of [String(id), 'machine web-1 (198.18.16.2)'])
      expect(String(deleted.body.detail)).toContain(words)
    await expectRefusal(ground.world, () => post(attachment()), 409, 'conflict', 'shardId')
    await expectRefusal(ground.world, () => post(attachment(ground.otherNetworkId)), 409, 'conflict', 'shardId')
    await expectRefusal(ground.world, () => migrate({ dryRun: true }), 409, 'conflict', 'id')
    await expectRefusal(ground.world, () => migrate({ mode: 'restart' }), 409, 'conflict', 'id')
    await expectRefusal(ground.world, () => migrate({ toNetworkId: ground.otherNetworkId }), 409, 'conflict', 'id')
  })

  test('a migration that goes back is neither cancelled nor resumed', async () => {
    await addRoom()
    const path = `/v1/migrations/${(await migrate()).body.id}`
    await post(`${path}/rollback`)
    for (const action of ['cancel', 'resume']) {
      await expectRefusal(ground.world, () => post(`${path}/${action}`), 409, 'conflict', 'id')
    }
  })
})

describe('what is asked for again is as it was asked for, and nothing is changed by it:', () => {
  const versionOf = async (path: string): Promise<Json | undefined> =>
    (await ground.world.call('GET', path)).body.version

  test('a shard is allocated, deallocated, reserved, released', async () => {
    const shard = `/v1/shards/${ground.looseId}`
    const path = attachment(ground.networkId, ground.looseId)
    const changes = [
      () => post(path),
      () => remove(path),
      () => patch(shard, { reserved: true }),
      () => patch(shard, { reserved: false }),
    ]
    for (const change of changes) {
      const first = await change()
      expect(first.status).toBe(200)
      const events = ground.world.events.length
      expect((await change()).body).toEqual(first.body)
      expect(await versionOf(shard)).toEqual(first.body.version)
      expect(ground.world.events.length).toBe(events)
    }
  })

  test('a shard in use is deallocated, and each migration is steered', async () => {
    await addRoom()
    const { body } = await remove(attachment())
    const path = `/v1/migrations/${body.id}`
    for (const change of [() => remove(attachment()), () => post(`${path}/cancel`), () => post(`${path}/rollback`)]) {
      const first = await change()
      expect(first.status).toBe(202)
      const events = ground.world.events.length
      expect((await change()).body).toEqual(first.body)
      expect(ground.world.events.length).toBe(events)
    }
  })
})
