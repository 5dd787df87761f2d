import { describe, expect, test } from 'bun:test'
import type { Store } from '../control-plane/store.ts'
import type { LoadBalancerValue, MemberValue } from '../objects.ts'
import { findCycleFaults } from './find-cycles.ts'

const projects = ['shop', 'bank'].map((slug) => ({ id: `prj_${slug}`, value: { slug } }))

interface Given {
  readonly id: string
  readonly vips: readonly string[]
  readonly members: readonly string[]
  readonly project?: 'shop' | 'bank'
}

const memberOf = (target: string): MemberValue => ({
  id: `mbr_${target}`,
  port: null,
  machineId: null,
  weight: 1,
  ...(/^[\d.]+$/.test(target) ? { address: target, url: null } : { address: null, url: null, host: target }),
})

const balancer = (id: string, members: readonly string[], project = 'shop'): LoadBalancerValue => ({
  name: id,
  projectId: `prj_${project}`,
  networkId: 'net_1',
  trafficType: 'http',
  algorithm: 'round-robin',
  listeners: [{ port: 80 }],
  members: members.map(memberOf),
  healthCheck: { protocol: 'tcp', intervalSeconds: 5, timeoutSeconds: 5, healthyThreshold: 2, unhealthyThreshold: 2 },
  timeouts: {},
  forwardedFor: true,
  instanceCount: 2,
  autoScaling: false,
})

/** A store of these balancers, as far as it is read. */
function storeOf(given: readonly Given[]): Pick<Store, 'snapshot'> {
  const objects: Readonly<Record<string, readonly { id: string; value: unknown }[]>> = {
    project: projects,
    'load-balancer': given.map(({ id, members, project }) => ({ id, value: balancer(id, members, project) })),
    'load-balancer-slots': given.map(({ id, vips }) => ({
      id,
      value: { slots: vips.map((vip, i) => ({ slot: i + 1, vip, instanceId: null })) },
    })),
  }
  return { snapshot: ((kind: { name: string }) => objects[kind.name] ?? []) as unknown as Store['snapshot'] }
}

const web: Given = { id: 'web', vips: ['198.18.1.1', '198.18.1.2'], members: ['10.0.0.2'] }
const api: Given = { id: 'api', vips: ['198.18.1.3'], members: ['10.0.0.3'] }
const faultsOf = (id: string, members: readonly string[], ...given: Given[]) =>
  findCycleFaults(storeOf(given), id, balancer(id, members)).map(({ field, message }) => `${field} ${message}`)

describe('traffic that would come back is refused', () => {
  test.each<[string, string[], Given[], string]>([
    ['by one of its own VIPs', ['10.0.0.2', '198.18.1.2'], [web], "members[1] 198.18.1.2 is the balancer's own"],
    ['by its own name', ['web.shop.example.net'], [web], "members[0] web.shop.example.net is the balancer's own"],
    [
      'by another balancer',
      ['198.18.1.3'],
      [web, { ...api, members: ['198.18.1.1'] }],
      "members[0] 198.18.1.3 leads back to the balancer ('api' → 'web')",
    ],
    [
      'by two others',
      ['198.18.1.3'],
      [web, { ...api, members: ['198.18.1.4'] }, { id: 'db', vips: ['198.18.1.4'], members: ['web.shop.example.net'] }],
      "members[0] 198.18.1.3 leads back to the balancer ('api' → 'db' → 'web')",
    ],
    [
      'by one of another project, whose name is nobody else’s business',
      ['Api.bank.example.net'],
      [web, { ...api, project: 'bank', members: ['198.18.1.1'] }],
      'members[0] Api.bank.example.net leads back to the balancer (one of another project → ',
    ],
  ])('%s', (_, members, given, expected) => {
    const [fault, ...more] = faultsOf('web', members, ...given)
    expect(fault).toStartWith(expected)
    expect(more).toEqual([])
  })
})

describe('traffic that ends somewhere is not', () => {
  test.each<[string, string[], Given[]]>([
    ['at another balancer', ['198.18.1.3'], [web, api]],
    ['at one of another project that is called as it is', ['web.bank.example.net'], [web]],
    ['at a machine that is called as the balancer is', ['web.shop.internal'], [web]],
    ['behind others that go round among themselves', ['198.18.1.3'], [web, { ...api, members: ['198.18.1.3'] }]],
    ['before the balancer has a VIP', ['198.18.1.1'], []],
  ])('%s', (_, members, given) => {
    expect(faultsOf('web', members, ...given)).toEqual([])
  })
})
