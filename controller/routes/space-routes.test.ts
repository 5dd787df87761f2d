import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createGround, expectProblem } from '../../test/api/api-ground.ts'
import type { TestWorld } from '../../test/api/api-world.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

/** A pool of two shards of a network: two machines in the first, one in the second. */
async function createFragmented() {
  const { world, projectId } = await createGround()
  const poolId = String((await world.create('/v1/pools', { name: 'small', projectId, cidr: '10.0.0.0/23' })).id)
  const networkId = String((await world.create('/v1/networks', { name: 'app', projectId })).id)
  const cut = async (name: string, cidr: string) =>
    String((await world.create('/v1/shards', { name, poolId, networkId, cidr })).id)
  const shards = { a: await cut('a', '10.0.0.0/24'), b: await cut('b', '10.0.1.0/24') }
  for (const [name, address] of Object.entries({ 'web-1': '10.0.0.2', 'web-2': '10.0.0.3', 'web-3': '10.0.1.9' })) {
    await world.create('/v1/machines', { name, projectId, networkId, address })
  }
  const defragment = (body: object) => world.call('POST', `/v1/pools/${poolId}/defragment`, body)
  const compact = (body: object) => world.call('POST', `/v1/networks/${networkId}/compact`, body)
  return { world, projectId, poolId, networkId, shards, defragment, compact }
}

const statusOf = async (world: TestWorld, shardId: string) =>
  String((await world.call('GET', `/v1/shards/${shardId}`)).body.status)

describe('the space of a pool', () => {
  test('is shown with its shards, and who holds what of them', async () => {
    const { world, poolId, networkId, shards } = await createFragmented()
    const reply = await world.call('GET', `/v1/pools/${poolId}/space`)
    expect(reply.status).toBe(200)
    expect(reply.body).toMatchObject({
      poolId,
      name: 'small',
      cidr: '10.0.0.0/23',
      sizeAddresses: 512,
      cutAddresses: 512,
      freeAddresses: 0,
      heldAddresses: 3,
      utilization: 0.0059,
      largestFreeAddresses: 0,
      fragmentation: 0,
      freeBlocks: [],
      shards: [
        { id: shards.a, cidr: '10.0.0.0/24', heldAddresses: 2, freeAddresses: 251, cellAddresses: 4 },
        { id: shards.b, networkId, networkName: 'app', status: 'in-use', heldAddresses: 1, utilization: 0.004 },
      ],
    } as object)
    const [a, b] = (reply.body.shards as unknown as { heldByCell: number[] }[]).map(({ heldByCell }) => heldByCell)
    expect(a).toEqual([2, ...Array.from({ length: 63 }, () => 0)])
    expect(b?.[2]).toBe(1)
  })

  test('is as fragmented as its free blocks are small', async () => {
    const { world, poolId } = await createGround()
    const { body } = await world.call('GET', `/v1/pools/${poolId}/space`)
    expect(body).toMatchObject({
      freeAddresses: 3840,
      largestFreeAddresses: 2048,
      fragmentation: 0.4667,
      freeBlocks: [
        { cidr: '198.18.17.0/24', sizeAddresses: 256 },
        { cidr: '198.18.18.0/23', sizeAddresses: 512 },
        { cidr: '198.18.20.0/22', sizeAddresses: 1024 },
        { cidr: '198.18.24.0/21', sizeAddresses: 2048 },
      ],
    } as object)
  })

  test('tells what is in quarantine from what is held and what is free', async () => {
    const { world, poolId, networkId } = await createFragmented()
    await world.call('PATCH', `/v1/networks/${networkId}`, { addressPolicy: { quarantineSeconds: 600 } })
    const machines = await world.call('GET', `/v1/machines?networkId=${networkId}&name=web-1`)
    const [machine] = machines.body.items as unknown as { id: string }[]
    await world.call('DELETE', `/v1/machines/${machine?.id}`)
    await world.settle()
    const { body } = await world.call('GET', `/v1/pools/${poolId}/space`)
    const [shard] = body.shards as unknown as object[]
    expect(shard).toMatchObject({ heldAddresses: 1, quarantinedAddresses: 1, freeAddresses: 251 })
  })
})

describe('a pool is defragmented', () => {
  test('by a plan that changes nothing', async () => {
    const { world, defragment, shards } = await createFragmented()
    const reply = await defragment({ sizeAddresses: 256 })
    expect(reply.status).toBe(200)
    expect(reply.body).toMatchObject({
      status: 'planned',
      block: '10.0.1.0/24',
      moves: 1,
      addressesFreed: 256,
      evacuate: [{ shardId: shards.b, name: 'b', networkName: 'app', holders: 1, instances: 0, migrationId: null }],
      inTheWay: [],
    } as object)
    expect(await statusOf(world, shards.b)).toBe('in-use')
  })

  test('by migrations, and nothing else is begun while they go on', async () => {
    const { world, defragment, shards } = await createFragmented()
    const begun = await defragment({ sizeAddresses: 256, dryRun: false, drainSeconds: 0 })
    expect(begun).toMatchObject({ status: 202, body: { status: 'migrating', block: '10.0.1.0/24' } } as object)
    const [evacuated] = begun.body.evacuate as unknown as { migrationId: string }[]
    const migration = await world.call('GET', `/v1/migrations/${evacuated?.migrationId}`)
    expect(migration.body).toMatchObject({ shardId: shards.b, drainSeconds: 0, movesTotal: 1 } as object)
    expect(await statusOf(world, shards.b)).toBe('migrating')
    const again = await defragment({ sizeAddresses: 256, cidr: '10.0.1.0/24', dryRun: false })
    expectProblem(again, 409, 'no-space', 'sizeAddresses')
    expect(String(again.body.detail)).toContain("the shard 'b' (10.0.1.0/24) is migrating")
  })

  test('once its holders have moved, by the same request for that block', async () => {
    const { world, poolId, defragment, shards } = await createFragmented()
    await world.settle()
    const begun = await defragment({ sizeAddresses: 256, dryRun: false, drainSeconds: 0 })
    const [evacuated] = begun.body.evacuate as unknown as { migrationId: string }[]
    const { migrationId } = evacuated ?? { migrationId: '' }
    for (let seconds = 0; seconds < 60; seconds++) {
      await world.settle()
      const { body } = await world.call('GET', `/v1/migrations/${migrationId}`)
      if (String(body.status) === 'done') break
      world.context.advance(1000)
    }
    expect(await statusOf(world, shards.b)).toBe('available')
    const freed = await defragment({ sizeAddresses: 256, cidr: '10.0.1.0/24', dryRun: false })
    expect(freed).toMatchObject({ status: 200, body: { status: 'freed', block: '10.0.1.0/24', moves: 0 } } as object)
    const { body } = await world.call('GET', `/v1/pools/${poolId}/space`)
    expect(body).toMatchObject({ heldAddresses: 3, freeBlocks: [{ cidr: '10.0.1.0/24' }] } as object)
  })

  test('at once where the shards in it are empty', async () => {
    const { world, projectId, poolId, networkId, shards, defragment } = await createFragmented()
    const listed = await world.call('GET', `/v1/machines?projectId=${projectId}&name=web-3`)
    const [machine] = listed.body.items as unknown as { id: string }[]
    await world.call('DELETE', `/v1/machines/${machine?.id}`)
    await world.settle()
    await world.call('DELETE', `/v1/networks/${networkId}/shards/${shards.b}`)
    expect((await world.call('DELETE', `/v1/shards/${shards.b}`)).status).toBe(204)
    const cut = (cidr: string, more: object) => world.create('/v1/shards', { poolId, cidr, ...more })
    await cut('10.0.1.0/25', { networkId })
    await cut('10.0.1.128/25', {})
    const freed = await defragment({ sizeAddresses: 256, dryRun: false })
    expect(freed).toMatchObject({ status: 200, body: { status: 'freed', block: '10.0.1.0/24', moves: 0 } } as object)
    const { body } = await world.call('GET', `/v1/pools/${poolId}/space`)
    expect(body.freeBlocks as unknown).toEqual([{ cidr: '10.0.1.0/24', sizeAddresses: 256 }])
    const after = await defragment({ sizeAddresses: 256, dryRun: false })
    expect(after.body).toMatchObject({ status: 'free', evacuate: [] } as object)
  })

  test('not where something is in the way of every block, which is said of each', async () => {
    const { world, defragment, shards, networkId } = await createFragmented()
    await world.call('PATCH', `/v1/shards/${shards.b}`, { reserved: true })
    const shown = await defragment({ sizeAddresses: 256 })
    expect(shown.body).toMatchObject({
      status: 'impossible',
      block: null,
      inTheWay: [
        { block: '10.0.0.0/24', obstacles: [{ kind: 'noRoom', networkId, shardId: null }] },
        { block: '10.0.1.0/24', obstacles: [{ kind: 'reserved', networkId: null, shardId: shards.b }] },
      ],
    } as object)
    const refused = await defragment({ sizeAddresses: 256, dryRun: false })
    expectProblem(refused, 409, 'no-space', 'sizeAddresses')
    expect(String(refused.body.detail)).toContain(
      "the network 'app' has room for 0 elsewhere, and 2 would have to move",
    )
  })

  const refusals: readonly (readonly [string, object, string])[] = [
    ['a size that no shard has', { sizeAddresses: 100 }, 'sizeAddresses'],
    ['no size', {}, 'sizeAddresses'],
    ['more than the pool has', { sizeAddresses: 1024 }, 'sizeAddresses'],
    ['a block of another size', { sizeAddresses: 256, cidr: '10.0.0.0/25' }, 'cidr'],
    ['a block that begins where none can', { sizeAddresses: 256, cidr: '10.0.0.128/24' }, 'cidr'],
    ['a block of another pool', { sizeAddresses: 256, cidr: '198.18.16.0/24' }, 'cidr'],
    ['an unknown mode', { sizeAddresses: 256, mode: 'fast' }, 'mode'],
  ]
  test('not by what makes no sense', async () => {
    const { defragment } = await createFragmented()
    for (const [sentence, body, field] of refusals) {
      const reply = await defragment(body)
      expect({ sentence, status: reply.status }).toEqual({ sentence, status: 422 })
      expectProblem(reply, 422, 'invalid', field)
    }
  })

  test("not by another project's token, nor shown to it", async () => {
    const { world, poolId } = await createFragmented()
    const other = await world.create('/v1/projects', { name: 'other', user: 'ann' })
    const { token } = await world.create('/v1/tokens', { name: 't', projectId: other.id })
    const options = { token: String(token) }
    expectProblem(await world.call('GET', `/v1/pools/${poolId}/space`, undefined, options), 404, 'not-found')
    const asked = await world.call('POST', `/v1/pools/${poolId}/defragment`, { sizeAddresses: 256 }, options)
    expectProblem(asked, 404, 'not-found')
  })
})

describe('a network is compacted', () => {
  test('by a plan, and by migrations once it is asked for', async () => {
    const { world, compact, shards, networkId } = await createFragmented()
    const shown = await compact({})
    const plan = { networkId, moves: 1, addressesFreed: 256, evacuate: [{ shardId: shards.b, cidr: '10.0.1.0/24' }] }
    expect(shown).toMatchObject({ status: 200, body: { status: 'planned', ...plan } } as object)
    expect(await statusOf(world, shards.b)).toBe('in-use')
    const begun = await compact({ dryRun: false })
    expect(begun).toMatchObject({ status: 202, body: { status: 'migrating', ...plan } } as object)
    expect(await statusOf(world, shards.b)).toBe('migrating')
    expect((await compact({})).body).toMatchObject({ status: 'free', evacuate: [] } as object)
  })

  test('at once where shards are empty, which are available then', async () => {
    const { world, projectId, poolId } = await createGround()
    const network = await world.create('/v1/networks', { name: 'app', projectId })
    const cut = () => world.create('/v1/shards', { poolId, networkId: network.id, sizeAddresses: 256 })
    const [, second] = [await cut(), await cut()]
    const done = await world.call('POST', `/v1/networks/${network.id}/compact`, { dryRun: false })
    expect(done).toMatchObject({ status: 200, body: { status: 'freed', moves: 0, addressesFreed: 256 } } as object)
    expect(await statusOf(world, String(second.id))).toBe('available')
  })
})
