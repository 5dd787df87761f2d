import { describe, expect, test } from 'bun:test'
import type { InstanceReport } from '../../agent/contract/host-report.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import type { StoredObject } from '../control-plane/store.ts'
import type { InstanceStatusValue, LoadBalancerStatusValue, LoadBalancerValue } from '../objects.ts'
import type { JudgedInstance } from './judge-instance.ts'
import { judgeLoadBalancer } from './judge-load-balancer.ts'

const id = createNamedId('lb', 'project', 'shop')
const value: LoadBalancerValue = {
  name: 'shop',
  projectId: 'prj',
  networkId: 'net',
  trafficType: 'http',
  algorithm: 'round-robin',
  listeners: [{ port: 80 }],
  members: [{ id: 'mbr_1', address: '10.0.0.9', port: null, url: null, machineId: null, weight: 1 }],
  healthCheck: { protocol: 'tcp', intervalSeconds: 5, timeoutSeconds: 5, healthyThreshold: 2, unhealthyThreshold: 2 },
  timeouts: { connectSeconds: 2, clientSeconds: 30, serverSeconds: 30, drainSeconds: 30 },
  forwardedFor: true,
  instanceCount: 2,
  autoScaling: false,
}
const stored = (parts: Partial<LoadBalancerValue> = {}, version = 1): StoredObject<LoadBalancerValue> => ({
  kind: 'load-balancer',
  id,
  shardKey: '0',
  version,
  revision: { epoch: 1, sequence: 1 },
  value: { ...value, ...parts },
  createdAt: '',
  updatedAt: '',
  actionIds: [],
})

type Kind = 'serves' | 'servesOld' | 'begins' | 'broken' | 'away' | 'unknown'

function instance(kind: Kind, vip: string): JudgedInstance {
  const status: InstanceStatusValue = { status: 'active', conditions: [], observedGeneration: 1 }
  const serving = ['serves', 'servesOld', 'away'].includes(kind)
  const report: InstanceReport = {
    id,
    generation: 1,
    status: 'converged',
    haproxy: 'running',
    keepalived: 'running',
    serving,
    heldVips: kind === 'away' ? [] : [vip],
    members: { 'mbr_1:80': 'healthy' },
  }
  return {
    status,
    report: kind === 'unknown' ? undefined : report,
    serving,
    current: serving && kind !== 'servesOld',
    trouble: kind === 'broken' ? 'Its host a has been silent.' : undefined,
    unknown: kind === 'unknown',
    suspicion: undefined,
    reached: false,
    missed: false,
  }
}

function judge(
  kinds: readonly Kind[],
  before: LoadBalancerStatusValue | null,
  version = 1,
  parts: Partial<LoadBalancerValue> = {},
) {
  const slots = kinds.map((_, i) => ({ slot: i + 1, vip: `198.18.32.${i + 10}`, instanceId: `instance ${i}` }))
  return judgeLoadBalancer({
    loadBalancer: stored(parts, version),
    before,
    slots,
    wantedCount: parts.instanceCount ?? value.instanceCount,
    instances: new Map(kinds.map((kind, i) => [`instance ${i}`, instance(kind, `198.18.32.${i + 10}`)])),
    obstacle: 'no host is active',
    leaving: [],
    now: 0,
  })
}

const settled: LoadBalancerStatusValue = { status: 'active', conditions: [], observedGeneration: 1 }

describe('a balancer is', () => {
  const rows: readonly (readonly [string, readonly Kind[], LoadBalancerStatusValue | null, number, string])[] = [
    ['active when every instance serves what is wanted and has its VIP', ['serves', 'serves'], null, 1, 'active 1'],
    ['being made while its instances begin', ['serves', 'begins'], null, 1, 'provisioning 0'],
    ['being made while a VIP is not at home for the first time', ['serves', 'away'], null, 1, 'provisioning 0'],
    ['degraded when one of them is not to be made', ['serves', 'broken'], null, 1, 'degraded 0'],
    ['failed when none can be made', ['broken', 'broken'], null, 1, 'failed 0'],
    ['degraded when one is lost', ['serves', 'broken'], settled, 1, 'degraded 1'],
    ['degraded when one stops serving', ['serves', 'begins'], settled, 1, 'degraded 1'],
    ['failed when all are lost', ['broken', 'broken'], settled, 1, 'failed 1'],
    ['degraded when a VIP is not at home', ['serves', 'away'], settled, 1, 'degraded 1'],
    ['still active when only what is around it changes', ['servesOld', 'serves'], settled, 1, 'active 1'],
    ['being changed until every instance serves the change', ['servesOld', 'serves'], settled, 2, 'provisioning 1'],
    ['active again when all serve the change', ['serves', 'serves'], settled, 2, 'active 2'],
    ['degraded when an instance is missing and has no place', ['serves'], settled, 1, 'degraded 1'],
    ['as it was, while a host has not been heard of yet', ['serves', 'unknown'], settled, 1, 'active 1'],
  ]
  for (const [sentence, kinds, before, version, expected] of rows) {
    test(sentence, () => {
      const { status, observedGeneration } = judge(kinds, before, version)
      expect(`${status} ${observedGeneration}`).toBe(expected)
    })
  }

  test('being deleted once it is marked, whatever its instances do', () => {
    expect(judge(['serves', 'serves'], settled, 2, { deletingSince: '2030-01-01T00:00:00Z' }).status).toBe('deleting')
  })
})

test('a condition keeps its time for as long as it says the same', () => {
  const first = judge(['serves', 'serves'], null)
  const again = judgeLoadBalancer({
    loadBalancer: stored({ instanceCount: 1 }),
    before: first,
    slots: [{ slot: 1, vip: '198.18.32.10', instanceId: 'instance 0' }],
    wantedCount: 1,
    instances: new Map([['instance 0', instance('serves', '198.18.32.10')]]),
    obstacle: undefined,
    leaving: [],
    now: 1000,
  })
  const [ready, members] = again.conditions
  expect(ready?.changedAt).toBe(first.conditions[0]?.changedAt)
  expect(members?.changedAt).toBe(first.conditions[1]?.changedAt)
  expect(first.members).toEqual({ mbr_1: 'healthy' })
})

describe('members that were told to drain', () => {
  const [mine] = value.members
  const other = { ...mine, id: 'mbr_2', address: '10.0.0.8', port: null, url: null, machineId: null, weight: 1 }
  const draining = {
    members: value.members.map((member) => ({ ...member, draining: true })).concat([{ ...other, draining: false }]),
  }

  test('drain for as long as an instance has anything of them', () => {
    expect(judge(['serves', 'serves'], null, 1, draining).members).toMatchObject({ mbr_1: 'draining' })
  })

  test('have drained once every instance answers for it and has nothing any more', () => {
    const gone = { members: [{ ...other, draining: true }] }
    expect(judge(['serves', 'serves'], null, 1, gone).members).toEqual({ mbr_2: 'drained' })
    expect(judge(['serves', 'servesOld'], null, 1, gone).members).toEqual({ mbr_2: 'draining' })
  })

  test('are not missed among the healthy', () => {
    const [, members] = judge(['serves', 'serves'], null, 1, {
      members: [...value.members, { ...other, draining: true }],
    }).conditions
    expect(members).toMatchObject({ status: 'true', reason: 'all' })
  })
})

test('a name without an address is told of by its condition', () => {
  const named = {
    id: 'mbr_1',
    address: null,
    host: 'web.shop.internal',
    port: null,
    url: null,
    machineId: null,
    weight: 1,
  }
  const before = judge(['serves', 'serves'], null, 1, { members: [named] })
  expect(before.conditions[2]).toMatchObject({ type: 'members-resolved', status: 'true' })
  const lost = instance('serves', '198.18.32.10')
  const { conditions } = judgeLoadBalancer({
    loadBalancer: stored({ members: [named], instanceCount: 1 }),
    before,
    slots: [{ slot: 1, vip: '198.18.32.10', instanceId: 'instance 0' }],
    wantedCount: 1,
    instances: new Map([
      ['instance 0', { ...lost, report: lost.report && { ...lost.report, members: { 'mbr_1:80': 'unresolved' } } }],
    ]),
    obstacle: undefined,
    leaving: [],
    now: 0,
  })
  expect(conditions[2]).toMatchObject({
    status: 'false',
    reason: 'nameNotFound',
    message: "web.shop.internal has no address, as the project's DNS answers.",
  })
})
