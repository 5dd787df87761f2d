import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { loadBalancerCreateSchema } from '../contract/load-balancer.ts'
import type { Outcome } from '../contract/problem.ts'
import { createTestRack, type TestRack } from '../test-rack.ts'
import { describeOperation } from './operation.ts'
import { renderAllHosts } from './render-host-instructions.ts'
import { readSnapshot } from './snapshot.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let rack: TestRack
let networkId: string

function get<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`)
  return outcome.value
}

const createBalancer = async (name: string, parts: object = {}) => {
  const input = {
    name,
    projectId: rack.projectId,
    networkId,
    trafficType: 'http',
    listeners: [{ port: 80 }],
    members: [{ address: '10.0.0.200' }],
    ...parts,
  }
  return get(await rack.services.loadBalancers.create(v.parse(loadBalancerCreateSchema, input), rack.context.request()))
}

beforeEach(async () => {
  rack = await createTestRack()
  const { services, context, projectId } = rack
  const pool = get(await services.pools.create({ name: 'pool', projectId, cidr: '10.0.0.0/16' }, context.request()))
  networkId = get(await services.networks.create({ name: 'net', projectId, mtu: 1400 }, context.request())).id
  get(await services.shards.create({ poolId: pool.id, networkId, sizeAddresses: 1024 }, context.request()))
})

const kindsOf = () => rack.planAnew().map(({ kind }) => kind)

describe('a plan', () => {
  test('of a new balancer tells its hosts, and nobody else', async () => {
    const { instances } = await createBalancer('shop')
    const told = rack.planAnew().flatMap((one) => (one.kind === 'publishInstructions' ? [one.statement] : []))
    expect(told.map(({ host }) => host).toSorted()).toEqual(instances.map(({ host }) => host ?? '').toSorted())
    for (const { instances: own, networks } of told) expect([own.length, networks.length]).toEqual([1, 1])
  })

  test('of a rack at rest is empty', async () => {
    await createBalancer('shop')
    expect(kindsOf()).not.toEqual([])
    await rack.settle()
    expect(rack.planAnew()).toEqual([])
  })

  test('gives a balancer the instances that it lacks, and takes away those that are too many', async () => {
    const { id } = await createBalancer('shop')
    await rack.settle()
    get(await rack.services.loadBalancers.update(id, { instanceCount: 4 }, rack.context.request()))
    const [adds] = rack.planAnew().filter(({ kind }) => kind === 'addInstances')
    expect(adds?.kind === 'addInstances' && adds.additions.map(({ slot, vip }) => [slot, vip])).toEqual([
      [3, null],
      [4, null],
    ])
    await rack.settle()
    get(await rack.services.loadBalancers.update(id, { instanceCount: 1 }, rack.context.request()))
    const [marks] = rack.planAnew().filter(({ kind }) => kind === 'markSlots')
    const leaving = marks?.kind === 'markSlots' ? marks.marked.slots.filter(({ leavingSince }) => leavingSince) : []
    expect(leaving.map(({ slot }) => slot)).toEqual([2, 3, 4])
    await rack.settle()
    const { instances, vips } = get(await rack.services.loadBalancers.show(id, rack.context.request()))
    expect([instances.map(({ slot }) => slot), vips.length]).toEqual([[1], 1])
  })

  test('says so where no instance can be placed, for want of addresses', async () => {
    const { id } = await createBalancer('shop')
    await rack.settle()
    const [shard] = get(await rack.services.shards.list({}, rack.context.request())).items
    get(await rack.services.shards.update(shard?.id ?? '', { reserved: true }, rack.context.request()))
    get(await rack.services.loadBalancers.update(id, { instanceCount: 3 }, rack.context.request()))
    await rack.settle()
    const shown = get(await rack.services.loadBalancers.show(id, rack.context.request()))
    expect(shown.status).toBe('degraded')
    expect(shown.conditions[0]?.message).toContain('1 of 3 instances are missing: the network has no free address')
  })

  test('does not release anything before the host answers a statement without it', async () => {
    const { id } = await createBalancer('shop')
    await rack.settle()
    get(await rack.services.loadBalancers.remove(id, rack.context.request()))
    expect(kindsOf()).not.toContain('finishLoadBalancer')
    await rack.reconciler.turn()
    expect(kindsOf()).not.toContain('finishLoadBalancer')
    rack.beat()
    expect(kindsOf()).toContain('finishLoadBalancer')
  })

  test('does not release what a host still lists', async () => {
    const { id, instances } = await createBalancer('shop')
    await rack.settle()
    const host = instances[0]?.host ?? ''
    const kept = rack.published.get(host)?.statement.instances[0]?.id ?? ''
    rack.distort(host, (report) => ({
      ...report,
      instances: [
        {
          id: kept,
          generation: 1,
          status: 'failed',
          haproxy: 'running',
          keepalived: 'running',
          serving: false,
          heldVips: [],
          members: {},
        },
      ],
    }))
    get(await rack.services.loadBalancers.remove(id, rack.context.request()))
    await rack.settle()
    expect(rack.planAnew().map(describeOperation)).toEqual([])
    rack.distort(host, (report) => report)
    await rack.settle()
    expect((await rack.services.loadBalancers.show(id, rack.context.request())).ok).toBe(false)
  })

  test('replaces an instance whose host has been deleted, on the same VIP', async () => {
    const before = await createBalancer('shop')
    await rack.settle()
    const lost = before.instances[0]
    const hostId = rack.hostIds.get(lost?.host ?? '') ?? ''
    const host = rack.store.snapshot({ name: 'host', prefix: 'hst', dataType: 'host' }).find(({ id }) => id === hostId)
    const kind = { name: 'host', prefix: 'hst', dataType: 'host' }
    await rack.store.transact({ writes: [{ kind, id: hostId, expect: host?.version ?? 0, value: null }] })
    rack.cut(lost?.host ?? '')
    await rack.settle()
    const after = get(await rack.services.loadBalancers.show(before.id, rack.context.request()))
    expect([after.status, after.vips]).toEqual(['active', before.vips])
    expect(after.instances.some(({ id }) => id === lost?.id)).toBe(false)
    expect(rack.published.get(lost?.host ?? '')?.statement.instances).toEqual([])
  })
})

describe('what hosts are told', () => {
  test('is the same text for the same state, whatever the order in which it came about', async () => {
    for (const name of ['c', 'a', 'b']) await createBalancer(name)
    const render = () => JSON.stringify([...renderAllHosts(readSnapshot(rack.store), rack.context.settings).values()])
    expect(render()).toBe(render())
    await rack.settle()
    const before = [...rack.published.values()].map(({ revision }) => revision)
    await rack.settle()
    expect([...rack.published.values()].map(({ revision }) => revision)).toEqual(before)
  })

  test('never has two instances of one balancer claim a VIP equally', async () => {
    await createBalancer('shop', { instanceCount: 3 })
    await rack.settle()
    const vips = [...rack.published.values()].flatMap(({ statement }) => statement.instances.flatMap((one) => one.vips))
    for (const group of Map.groupBy(vips, ({ address }) => address).values()) {
      expect(group.map(({ priority }) => priority).toSorted()).toEqual([190, 200, 250])
      for (const { peerAddresses } of group) expect(peerAddresses.length).toBe(2)
    }
  })

  test('counts on, when another controller takes over', async () => {
    await createBalancer('shop')
    await rack.settle()
    const before = Math.max(...[...rack.published.values()].map(({ statement }) => statement.generation))
    await createBalancer('second')
    await rack.settle()
    expect(Math.max(...[...rack.published.values()].map(({ statement }) => statement.generation))).toBeGreaterThan(
      before,
    )
  })
})
