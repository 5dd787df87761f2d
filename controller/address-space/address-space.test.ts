import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { projectCaller, withStore } from '../access/test-context.ts'
import type { Outcome, Problem } from '../contract/problem.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import { networkKind, projectKind } from '../objects.ts'
import { createTestRack, type TestRack } from '../test-rack.ts'
import { createShardsService } from './shards.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let rack: TestRack
beforeEach(async () => {
  rack = await createTestRack()
})

function get<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`)
  return outcome.value
}
const problemOf = (outcome: Outcome<unknown>): Problem => {
  if (outcome.ok) throw new Error('it was not refused')
  return outcome.problem
}

const createPool = (cidr = '10.0.0.0/16', name = cidr) =>
  rack.services.pools.create({ name, projectId: rack.projectId, cidr }, rack.context.request())
const createNetwork = (name = 'net') =>
  rack.services.networks.create({ name, projectId: rack.projectId, mtu: 1400 }, rack.context.request())
const createMachine = (networkId: string, name: string, address?: string) =>
  rack.services.machines.create(
    { name, projectId: rack.projectId, networkId, driver: 'netns', workloads: [], ...(address && { address }) },
    rack.context.request(),
  )

describe('a pool', () => {
  test('is shown with what has been cut from it', async () => {
    const pool = get(await createPool())
    expect(pool).toMatchObject({ cidr: '10.0.0.0/16', sizeAddresses: 65_536, cutAddresses: 0, status: 'available' })
    get(await rack.services.shards.create({ poolId: pool.id, sizeAddresses: 1024 }, rack.context.request()))
    expect(get(await rack.services.pools.show(pool.id, rack.context.request())).cutAddresses).toBe(1024)
  })

  const refused: readonly (readonly [string, string, string])[] = [
    ['198.18.32.0/24', 'invalid', 'overlaps the uplink 198.18.32.0/20'],
    ['198.18.0.0/16', 'invalid', 'overlaps the uplink 198.18.32.0/20'],
    ['10.0.0.1/16', 'invalid', 'does not begin where a block of its size can'],
    ['10.0.0.0/29', 'invalid', 'is not from /8 to /28'],
    ['0.0.0.0/0', 'invalid', 'is not from /8 to /28'],
    ['127.0.0.0/16', 'invalid', 'which is for loopback'],
    ['300.0.0.0/16', 'invalid', 'is no IPv4 block'],
  ]
  for (const [cidr, code, words] of refused) {
    test(`of ${cidr} is refused: it ${words}`, async () => {
      const problem = problemOf(await createPool(cidr))
      expect(problem.code).toBe(code as Problem['code'])
      expect(problem.errors?.[0]).toMatchObject({ field: 'cidr' })
      expect(problem.detail).toContain(words)
      expect(problem.remedy).toBeTruthy()
    })
  }

  test('may not overlap another of its project, and may that of another project', async () => {
    get(await createPool('10.0.0.0/16', 'first'))
    const problem = problemOf(await createPool('10.0.128.0/20'))
    expect(problem.code).toBe('overlap')
    expect(problem.detail).toContain("overlaps 10.0.0.0/16, the pool 'first'")
    const other = createNamedId('prj', 'another', 'project')
    const project = {
      name: 'other',
      user: 'ann',
      slug: 'other',
      quota: { pools: 1, shards: 1, networks: 1, machines: 1, loadBalancers: 1 },
    }
    await rack.store.transact({ writes: [{ kind: projectKind, id: other, expect: 'absent', value: project }] })
    get(await rack.services.pools.create({ name: 'x', projectId: other, cidr: '10.0.0.0/16' }, rack.context.request()))
  })

  test('of those created at once that overlap, one is made', async () => {
    const all = await Promise.all(['10.0.0.0/16', '10.0.0.0/17', '10.0.0.0/18'].map((cidr) => createPool(cidr)))
    expect(all.filter(({ ok }) => ok).length).toBe(1)
    expect(get(await rack.services.pools.list({}, rack.context.request())).items.length).toBe(1)
  })

  test('is not deleted while shards are cut from it, which are named', async () => {
    const pool = get(await createPool())
    const shard = get(await rack.services.shards.create({ name: 'web', poolId: pool.id }, rack.context.request()))
    const problem = problemOf(await rack.services.pools.remove(pool.id, rack.context.request()))
    expect(problem.code).toBe('in-use')
    expect(problem.detail).toContain("shard 'web' (10.0.0.0/22)")
    get(await rack.services.shards.remove(shard.id, rack.context.request()))
    expect(get(await rack.services.pools.remove(pool.id, rack.context.request()))).toBe(true)
    get(await createPool())
  })

  test('of another project is not to be seen', async () => {
    const pool = get(await createPool())
    const stranger = { caller: projectCaller(createNamedId('prj', 'another', 'project')) }
    expect(problemOf(await rack.services.pools.show(pool.id, rack.context.request('s', stranger))).code).toBe(
      'not-found',
    )
  })

  test('is made once, however often the request comes', async () => {
    const make = () =>
      rack.services.pools.create(
        { name: 'p', projectId: rack.projectId, cidr: '10.0.0.0/16' },
        rack.context.request('the same'),
      )
    const all = (await Promise.all([make(), make()])).concat([await make()])
    expect(new Set(all.map((outcome) => get(outcome).id)).size).toBe(1)
  })
})

describe('a shard', () => {
  test('has 1024 addresses unless it is said otherwise, and its first is the gateway', async () => {
    const pool = get(await createPool())
    const shard = get(await rack.services.shards.create({ poolId: pool.id }, rack.context.request()))
    expect(shard).toMatchObject({
      cidr: '10.0.0.0/22',
      gateway: '10.0.0.1',
      sizeAddresses: 1024,
      status: 'available',
      networkId: null,
      resourceCount: 0,
      lastAccessedAt: null,
      utilization: 0,
    })
  })

  test('is in use once it is allocated, even empty, and counts who holds an address', async () => {
    const pool = get(await createPool())
    const network = get(await createNetwork())
    const shard = get(await rack.services.shards.create({ poolId: pool.id, sizeAddresses: 16 }, rack.context.request()))
    const allocated = get(await rack.services.shards.allocate(network.id, shard.id, rack.context.request()))
    expect(allocated).toMatchObject({ status: 'in-use', networkId: network.id, resourceCount: 0 })
    get(await createMachine(network.id, 'web-1'))
    const shown = get(await rack.services.shards.show(shard.id, rack.context.request()))
    expect(shown).toMatchObject({ resourceCount: 1, utilization: 0.0769 })
    expect(shown.lastAccessedAt).toBe(new Date(rack.context.now()).toISOString())
    expect(get(await rack.services.networks.show(network.id, rack.context.request())).shardIds).toEqual([shard.id])
  })

  test('is neither given back nor deleted while anyone holds an address of it, and they are named', async () => {
    const pool = get(await createPool())
    const network = get(await createNetwork())
    const input = { poolId: pool.id, networkId: network.id }
    const shard = get(await rack.services.shards.create(input, rack.context.request()))
    get(await createMachine(network.id, 'web-1'))
    for (const attempt of [
      rack.services.shards.deallocate(network.id, shard.id, rack.context.request()),
      rack.services.shards.remove(shard.id, rack.context.request()),
    ]) {
      const problem = problemOf(await attempt)
      expect(problem.code).toBe('in-use')
      expect(problem.detail).toContain('machine web-1 (10.0.0.2)')
    }
  })

  test('given back twice is given back', async () => {
    const pool = get(await createPool())
    const network = get(await createNetwork())
    const shard = get(
      await rack.services.shards.create({ poolId: pool.id, networkId: network.id }, rack.context.request()),
    )
    for (let i = 0; i < 2; i++) {
      const given = await rack.services.shards.deallocate(network.id, shard.id, rack.context.request())
      expect(get(given)).toMatchObject({ status: 'available', networkId: null })
    }
  })

  test('that is reserved gives no address', async () => {
    const pool = get(await createPool())
    const network = get(await createNetwork())
    const shard = get(
      await rack.services.shards.create({ poolId: pool.id, networkId: network.id }, rack.context.request()),
    )
    const reserved = await rack.services.shards.update(shard.id, { reserved: true }, rack.context.request())
    expect(get(reserved).status).toBe('reserved')
    expect(problemOf(await createMachine(network.id, 'web-1')).detail).toContain('10.0.0.0/22 (reserved)')
    get(await rack.services.shards.update(shard.id, { reserved: false }, rack.context.request()))
    get(await createMachine(network.id, 'web-1'))
  })

  const refused: readonly (readonly [
    string,
    { readonly cidr?: string; readonly sizeAddresses?: 16 | 4096 },
    Problem['code'],
    string,
  ])[] = [
    ['outside its pool', { cidr: '10.1.0.0/22' }, 'invalid', "is not within the pool's 10.0.0.0/20"],
    ['over another', { cidr: '10.0.1.0/24' }, 'overlap', "overlaps 10.0.0.0/22, the shard 'first'"],
    ['too small', { cidr: '10.0.8.0/29' }, 'invalid', 'has 8 addresses'],
    ['too large', { cidr: '10.0.0.0/19' }, 'invalid', 'has 8192 addresses'],
    ['misaligned', { cidr: '10.0.8.5/28' }, 'invalid', 'does not begin where a block of its size can'],
    ['of two sizes', { cidr: '10.0.8.0/28', sizeAddresses: 4096 }, 'invalid', 'is 4096, and 10.0.8.0/28 has 16'],
    ['for which there is no room', { sizeAddresses: 4096 }, 'no-space', 'has no aligned block of 4096 addresses left'],
  ]
  for (const [sentence, input, code, words] of refused) {
    test(`${sentence} is refused`, async () => {
      const pool = get(await createPool('10.0.0.0/20'))
      get(await rack.services.shards.create({ name: 'first', poolId: pool.id }, rack.context.request()))
      const problem = problemOf(
        await rack.services.shards.create({ poolId: pool.id, ...input }, rack.context.request()),
      )
      expect(problem.code).toBe(code)
      expect(problem.detail).toContain(words)
      expect(get(await rack.services.shards.list({}, rack.context.request())).items.length).toBe(1)
    })
  }

  test('of those cut at once none overlaps another', async () => {
    const pool = get(await createPool('10.0.0.0/24'))
    const all = await Promise.all(
      Array.from({ length: 20 }, () =>
        rack.services.shards.create({ poolId: pool.id, sizeAddresses: 16 }, rack.context.request()),
      ),
    )
    const made = all.filter(({ ok }) => ok).map((outcome) => get(outcome).cidr)
    expect(new Set(made).size).toBe(16)
    expect(all.filter(({ ok }) => !ok).map((outcome) => problemOf(outcome).code)).toEqual(Array(4).fill('no-space'))
  })
})

describe('a network', () => {
  test('has a VNI of its own and the domain of its project', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => createNetwork(`net-${i}`)))
    const vnis = all.map((outcome) => get(outcome).vni)
    expect(new Set(vnis).size).toBe(20)
    for (const vni of vnis) expect(vni >= 1 && vni <= 0xffffff).toBe(true)
    expect(get(all[0] ?? (await createNetwork('x')))).toMatchObject({
      domain: 'shop.internal',
      mtu: 1400,
      status: 'active',
    })
  })

  test('is not deleted while a shard is allocated to it, and what is left over is nothing', async () => {
    const pool = get(await createPool())
    const network = get(await createNetwork())
    const shard = get(
      await rack.services.shards.create(
        { name: 'web', poolId: pool.id, networkId: network.id },
        rack.context.request(),
      ),
    )
    const problem = problemOf(await rack.services.networks.remove(network.id, rack.context.request()))
    expect(problem.detail).toContain("shard 'web' (10.0.0.0/22), which is allocated to it")
    expect(get(await rack.services.networks.show(network.id, rack.context.request())).status).toBe('active')
    get(await rack.services.shards.remove(shard.id, rack.context.request()))
    expect(get(await rack.services.networks.remove(network.id, rack.context.request()))).toBe(true)
    const again = get(await createNetwork())
    expect(again.vni).toBeGreaterThan(0)
  })

  test('a shard allocated while it is being deleted is not left on nothing', async () => {
    const pool = get(await createPool())
    const network = get(await createNetwork())
    const shard = get(await rack.services.shards.create({ poolId: pool.id }, rack.context.request()))
    const [removed, allocated] = await Promise.all([
      rack.services.networks.remove(network.id, rack.context.request()),
      rack.services.shards.allocate(network.id, shard.id, rack.context.request()),
    ])
    const shown = get(await rack.services.shards.show(shard.id, rack.context.request()))
    const isThere = (await rack.services.networks.show(network.id, rack.context.request())).ok
    expect(isThere).toBe(!removed.ok)
    expect(shown.networkId === network.id).toBe(isThere && allocated.ok)
  })

  test('a shard cut while it is being deleted is taken back', async () => {
    const pool = get(await createPool())
    const network = get(await createNetwork())
    const { store } = rack.context
    // Whoever looks for the mark after the shard is written finds it, as if it were set just then.
    const marked: typeof store = {
      ...store,
      get: async (kind, id, options) => {
        const found = await store.get(kind, id, options)
        if (kind.name !== networkKind.name || found === null || options?.latest !== true) return found
        return { ...found, value: { ...found.value, deletingSince: '2030-01-01T00:00:00.000Z' } }
      },
    }
    const shards = createShardsService(withStore(rack.context, marked))
    const asked = { poolId: pool.id, networkId: network.id, sizeAddresses: 16 } as const
    const problem = problemOf(await shards.create(asked, rack.context.request()))
    expect([problem.code, problem.errors?.[0]?.field]).toEqual(['invalid', 'networkId'])
    expect(get(await rack.services.shards.list({}, rack.context.request())).items).toEqual([])
    expect(get(await rack.services.pools.show(pool.id, rack.context.request())).cutAddresses).toBe(0)
  })

  test('whose deletion was cut off after the mark is deleted by the sweep', async () => {
    const network = get(await createNetwork())
    const stored = rack.store.snapshot({ name: 'network', prefix: 'net', dataType: 'network' })[0]
    if (stored === undefined) throw new Error('there is no network')
    const value = { ...(stored.value as object), deletingSince: new Date(rack.context.now()).toISOString() }
    const kind = { name: 'network', prefix: 'net', dataType: 'network' }
    await rack.store.transact({ writes: [{ kind, id: network.id, expect: stored.version, value }] })
    rack.context.advance(60_000)
    await rack.sweep()
    expect(problemOf(await rack.services.networks.show(network.id, rack.context.request())).code).toBe('not-found')
  })
})
