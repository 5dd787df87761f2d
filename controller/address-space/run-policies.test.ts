import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createProjectsService } from '../access/projects.ts'
import type { AddressPolicy } from '../contract/address-space.ts'
import { type Outcome, type Problem, succeed } from '../contract/problem.ts'
import { createTestRack, type TestRack } from '../test-rack.ts'
import { runPolicies } from './run-policies.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let rack: TestRack
let poolId: string
beforeEach(async () => {
  rack = await createTestRack()
  const { services, context, projectId } = rack
  poolId = get(await services.pools.create({ name: 'pool', projectId, cidr: '10.0.0.0/24' }, context.request())).id
})

function get<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`)
  return outcome.value
}
const problemOf = (outcome: Outcome<unknown>): Problem => {
  if (outcome.ok) throw new Error('it was not refused')
  return outcome.problem
}

const createNetwork = (addressPolicy?: AddressPolicy) =>
  rack.services.networks.create(
    { name: 'net', projectId: rack.projectId, mtu: 1400, ...(addressPolicy && { addressPolicy }) },
    rack.context.request(),
  )
const updateNetwork = (id: string, addressPolicy: AddressPolicy) =>
  rack.services.networks.update(id, { addressPolicy }, rack.context.request())
const createShard = (networkId?: string) =>
  rack.services.shards.create({ poolId, sizeAddresses: 16, ...(networkId && { networkId }) }, rack.context.request())
const createMachine = (networkId: string, name: string) =>
  rack.services.machines.create(
    { name, projectId: rack.projectId, networkId, driver: 'netns', workloads: [] },
    rack.context.request(),
  )
const listCidrs = async () =>
  get(await rack.services.shards.list({}, rack.context.request())).items.map(({ cidr }) => cidr)

/** A network with one shard, of which so many addresses are held. */
async function fill(count: number, addressPolicy: AddressPolicy): Promise<string> {
  const network = get(await createNetwork(addressPolicy))
  get(await createShard(network.id))
  for (let i = 0; i < count; i++) get(await createMachine(network.id, `web-${i}`))
  rack.context.advance(1000)
  return network.id
}

describe('a policy', () => {
  test("is shown as it is, and over its project's", async () => {
    const project = { quarantineSeconds: 60, maximumShards: 9 }
    const projects = createProjectsService(rack.context, async () => succeed(true))
    get(await projects.update(rack.projectId, { addressPolicy: project }, rack.context.request()))
    const network = get(await createNetwork({ maximumShards: 2 }))
    expect(network.addressPolicy).toEqual({ maximumShards: 2 })
    expect(network.effectiveAddressPolicy).toEqual({ maximumShards: 2, quarantineSeconds: 60 })
    const cleared = get(await updateNetwork(network.id, {}))
    expect(cleared.addressPolicy).toEqual({})
    expect(cleared.effectiveAddressPolicy).toEqual(project)
  })

  test('that contradicts itself is refused, and nothing is changed', async () => {
    const wrong: AddressPolicy = { pinnedAddresses: [{ address: '10.9.0.2', machineName: 'web-1' }] }
    expect(problemOf(await createNetwork(wrong)).errors?.[0]?.field).toBe('addressPolicy.pinnedAddresses[0].address')
    const network = get(await createNetwork({ maximumShards: 2 }))
    const problem = problemOf(
      await updateNetwork(network.id, { reservedRanges: [{ first: '10.0.0.9', last: '10.0.0.2' }] }),
    )
    expect(problem.code).toBe('invalid')
    expect(problem.errors?.[0]?.field).toBe('addressPolicy.reservedRanges[0]')
    expect(get(await rack.services.networks.show(network.id, rack.context.request())).version).toBe(network.version)
  })

  test("of a project is refused where one of its networks' own contradicts it, which is named", async () => {
    const { projectId, context, services } = rack
    get(await services.pools.create({ name: 'other', projectId, cidr: '10.1.0.0/24' }, context.request()))
    get(await createNetwork({ pinnedAddresses: [{ address: '10.1.0.9', machineName: 'db' }] }))
    const projects = createProjectsService(context, async () => succeed(true))
    const change = { addressPolicy: { poolIds: [poolId] } }
    const problem = problemOf(await projects.update(projectId, change, context.request()))
    expect(problem.code).toBe('conflict')
    expect(problem.detail).toContain("contradicts that of the network 'net'")
    expect(problem.detail).toContain('10.1.0.9 is in no pool that its shards may come from: 10.0.0.0/24')
  })

  test('lets a network have so many shards, and of these pools alone', async () => {
    const { projectId, context, services } = rack
    const other = get(await services.pools.create({ name: 'other', projectId, cidr: '10.1.0.0/24' }, context.request()))
    const network = get(await createNetwork({ maximumShards: 1, poolIds: [poolId] }))
    const foreign = get(await services.shards.create({ poolId: other.id, sizeAddresses: 16 }, context.request()))
    const refused = problemOf(await services.shards.allocate(network.id, foreign.id, context.request()))
    expect(refused.detail).toContain("come from the pools 'pool' alone")
    get(await createShard(network.id))
    expect(problemOf(await createShard(network.id)).detail).toContain('may have 1 shards, and has 1')
    const spare = get(await createShard())
    const problem = problemOf(await services.shards.allocate(network.id, spare.id, context.request()))
    expect(problem).toMatchObject({ code: 'conflict', errors: [{ field: 'networkId' }] })
  })

  test('keeps an address for the machine that it is pinned for', async () => {
    const network = get(await createNetwork({ pinnedAddresses: [{ address: '10.0.0.2', machineName: 'db' }] }))
    get(await createShard(network.id))
    expect(get(await createMachine(network.id, 'web')).addresses).toEqual(['10.0.0.3'])
    expect(get(await createMachine(network.id, 'db')).addresses).toEqual(['10.0.0.2'])
  })
})

describe('a network that is nearly full', () => {
  test('is given another shard, once, and it is told', async () => {
    const networkId = await fill(11, { growAtUtilization: 0.8 })
    await rack.sweep()
    await rack.sweep()
    expect(await listCidrs()).toEqual(['10.0.0.0/28', '10.0.0.16/28'])
    const grown = rack.events.filter(({ type }) => type === 'policy.grown')
    expect(grown).toMatchObject([
      { subject: networkId, data: { networkId, poolId, cidr: '10.0.0.16/28', utilization: 0.8462 } },
    ])
    expect(rack.events.filter(({ type }) => type === 'shard.allocated').length).toBe(2)
  })

  test('is given one by however many controllers', async () => {
    await fill(11, { growAtUtilization: 0.8 })
    await Promise.all([1, 2, 3].map(() => runPolicies(rack.context)))
    expect((await listCidrs()).length).toBe(2)
    expect(rack.events.filter(({ type }) => type === 'policy.grown').length).toBe(1)
  })

  test('is given none beyond its maximum', async () => {
    const networkId = await fill(13, { growAtUtilization: 0.8, maximumShards: 2 })
    expect(await runPolicies(rack.context)).toBe(1)
    for (let i = 13; i < 26; i++) get(await createMachine(networkId, `web-${i}`))
    expect(await runPolicies(rack.context)).toBe(0)
    expect((await listCidrs()).length).toBe(2)
  })

  test('is told of once where no pool has room, and shown with it until it has', async () => {
    const { services, context, projectId, events } = rack
    const tiny = get(await services.pools.create({ name: 'tiny', projectId, cidr: '10.1.0.0/28' }, context.request()))
    const network = get(await createNetwork({ growAtUtilization: 0.8, poolIds: [tiny.id] }))
    get(await services.shards.create({ poolId: tiny.id, sizeAddresses: 16, networkId: network.id }, context.request()))
    for (let i = 0; i < 12; i++) get(await createMachine(network.id, `web-${i}`))
    const show = async () => get(await services.networks.show(network.id, context.request()))
    const version = (await show()).version
    await Promise.all([1, 2].map(() => runPolicies(context)))
    await runPolicies(context)
    const told = () => events.filter(({ type }) => type === 'policy.blocked')
    expect(told()).toMatchObject([{ subject: network.id, data: { networkId: network.id, reason: 'noRoom' } }])
    expect(await show()).toMatchObject({ version, conditions: [{ type: 'grows', status: 'false', reason: 'noRoom' }] })
    get(await updateNetwork(network.id, { growAtUtilization: 0.8 }))
    expect(await runPolicies(context)).toBe(1)
    expect((await show()).conditions).toEqual([])
    expect(told().length).toBe(1)
  })

  test('grows again after what it was given was taken away by hand', async () => {
    const networkId = await fill(11, { growAtUtilization: 0.8 })
    for (let round = 0; round < 3; round++) {
      await rack.sweep()
      const { items } = get(await rack.services.shards.list({ networkId }, rack.context.request()))
      expect(items.length).toBe(2)
      const empty = items.find(({ resourceCount }) => resourceCount === 0)
      get(await rack.services.shards.remove(empty?.id ?? '', rack.context.request()))
    }
  })
})

describe('an empty shard', () => {
  test('is given back after a while, and it is told', async () => {
    const networkId = await fill(1, { giveBackAfterSeconds: 60 })
    const empty = get(await createShard(networkId))
    await rack.sweep()
    expect((await listCidrs()).length).toBe(2)
    rack.context.advance(60_000)
    await Promise.all([1, 2].map(() => runPolicies(rack.context)))
    expect(await listCidrs()).toEqual(['10.0.0.0/28'])
    const told = rack.events.filter(({ subject, type }) => subject === empty.id || type === 'policy.gave-back')
    expect(told.map(({ type }) => type)).toEqual([
      'shard.created',
      'shard.allocated',
      'shard.deallocated',
      'policy.gave-back',
      'shard.deleted',
    ])
    const pool = get(await rack.services.pools.show(poolId, rack.context.request()))
    expect(pool.cutAddresses).toBe(16)
  })

  test('that is allocated from at that moment stays', async () => {
    const networkId = await fill(13, { giveBackAfterSeconds: 60 })
    get(await createShard(networkId))
    rack.context.advance(60_000)
    const [machine] = await Promise.all([createMachine(networkId, 'late'), runPolicies(rack.context)])
    const cidrs = await listCidrs()
    expect(machine.ok).toBe(cidrs.length === 2)
  })
})
