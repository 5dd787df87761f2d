/**
 * Bad input, each with what is said and where: what can be known offline fails when it is validated, at the attribute's
 * path; the rest is the API's problem with its remedy and trace, at the attribute that the API names.
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { serveForTest } from '../../provider/plugin/testing/served.ts'
import type { Raw, RawObject } from '../../provider/plugin/values/raw.ts'
import { encodeObject } from '../../provider/plugin/values/wire.ts'
import { createProvider } from '../../provider/provider.ts'
import { type ServedWorld, serveTestWorld } from './served-world.ts'

setDefaultTimeout(30_000)

let world: ServedWorld
let provider: ReturnType<typeof createProvider>
let served: Awaited<ReturnType<typeof serveForTest>>
let projectId: string
let networkId: string

beforeAll(async () => {
  world = await serveTestWorld()
  const environment = { SLUICE_ADDR: world.url, SLUICE_TOKEN: world.admin }
  provider = createProvider({ environment, fetch, creationsFolder: null, run: '' })
  served = await serveForTest(provider)
  await served.client.call('ConfigureProvider', { config: encodeObject(provider.schema.fields, {}) })
  projectId = String((await world.create('/v1/projects', { name: 'bad', user: 'john' })).id)
  networkId = String((await world.create('/v1/networks', { name: 'taken', projectId })).id)
})

afterAll(async () => {
  await served?.close()
  await world?.close()
})

const fieldsOf = (type: string) => {
  const resource = provider.resources?.find(({ name }) => name === type)
  if (resource === undefined) throw new Error(`BUG: there is no ${type}`)
  return resource.schema.fields
}

interface Said {
  readonly summary: string
  readonly detail: string
  readonly attribute?:
    | { readonly steps: readonly { readonly attributeName?: unknown; readonly elementKeyInt?: unknown }[] }
    | undefined
}

/** As HCL writes it; of an attribute itself the diagnostic's place says enough. */
function writePath(where: string): string {
  const parts = where.replace(': ', '').split('.')
  if (parts.length === 1) return ''
  return parts.map((part, i) => (/^\d+$/.test(part) ? `[${part}]` : `${i === 0 ? '' : '.'}${part}`)).join('')
}

/** `listeners.0: …` */
const describeAll = (diagnostics: readonly unknown[]) =>
  (diagnostics as readonly Said[]).map(({ summary, detail, attribute }) => {
    const path = (attribute?.steps ?? []).map((step) =>
      Object.values(step).find((part) => part !== undefined && part !== ''),
    )
    return `${path.join('.')}: ${summary} ${detail}`
  })

const id = (prefix: string) => `${prefix}_${'0'.repeat(25)}`
const network = { name: 'web', projectId: id('prj') }
const balancer = {
  name: 'web',
  projectId: id('prj'),
  networkId: id('net'),
  trafficType: 'http',
  listeners: [{ port: 80 }],
}
const machine = { name: 'web', projectId: id('prj'), networkId: id('net') }
const token = { name: 'reader', secretWo: 'ab'.repeat(32) }

const offline: readonly (readonly [string, string, RawObject, string])[] = [
  ['a name that is empty', 'network', { ...network, name: '' }, 'name: '],
  ['a name with a space at its end', 'network', { ...network, name: 'web ' }, 'name: '],
  ['an id of another noun', 'network', { ...network, projectId: id('net') }, 'project_id: '],
  ['an MTU that no packet fits in', 'network', { ...network, mtu: 100 }, 'mtu: '],
  [
    'a policy of a word that there is not',
    'network',
    { ...network, addressPolicy: { allocationOrder: 'best' } },
    'address_policy.allocation_order: ',
  ],
  [
    'a range from what is no address',
    'network',
    { ...network, addressPolicy: { reservedRanges: [{ first: 'x', last: '198.18.0.1' }] } },
    'address_policy.reserved_ranges.0.first: ',
  ],
  ['a pool that is no block', 'pool', { ...network, cidr: '198.18.16.0' }, 'cidr: '],
  ['a pool that is not aligned', 'pool', { ...network, cidr: '198.18.16.1/20' }, 'cidr: '],
  ['a pool that is too large', 'pool', { ...network, cidr: '10.0.0.0/7' }, 'cidr: '],
  ['a shard that is no power of two', 'shard', { poolId: id('pol'), sizeAddresses: 1000 }, 'size_addresses: '],
  ['a machine whose name is no label', 'machine', { ...machine, name: 'Web 1' }, 'name: '],
  ['a port that is none', 'machine', { ...machine, workloads: [{ kind: 'web', port: 70_000 }] }, 'workloads.0.port: '],
  [
    'a workload that there is not',
    'machine',
    { ...machine, workloads: [{ kind: 'mail', port: 25 }] },
    'workloads.0.kind: ',
  ],
  ['no listener', 'load_balancer', { ...balancer, listeners: [] }, 'listeners: '],
  ['a listener on port 0', 'load_balancer', { ...balancer, listeners: [{ port: 0 }] }, 'listeners.0.port: '],
  [
    'two listeners on one port',
    'load_balancer',
    { ...balancer, listeners: [{ port: 80 }, { port: 80 }] },
    'listeners.1.port: ',
  ],
  ['a traffic type that there is not', 'load_balancer', { ...balancer, trafficType: 'udp' }, 'traffic_type: '],
  ['members that are none', 'load_balancer', { ...balancer, members: [] }, 'members: '],
  ['a member that is nowhere', 'load_balancer', { ...balancer, members: [{ port: 80 }] }, 'members.0: '],
  [
    'a member at two places',
    'load_balancer',
    { ...balancer, members: [{ address: '198.18.0.1', host: 'web.example' }] },
    'members.0: ',
  ],
  [
    'a member that is no address',
    'load_balancer',
    { ...balancer, members: [{ address: 'web' }] },
    'members.0.address: ',
  ],
  [
    'a weight that is too great',
    'load_balancer',
    { ...balancer, members: [{ address: '198.18.0.1', weight: 257 }] },
    'members.0.weight: ',
  ],
  [
    'a check that asks more often than it waits',
    'load_balancer',
    { ...balancer, healthCheck: { protocol: 'http', intervalSeconds: 1 } },
    'health_check.timeout_seconds: ',
  ],
  [
    'a path of a tcp check',
    'load_balancer',
    { ...balancer, healthCheck: { protocol: 'tcp', path: '/' } },
    'health_check.path: ',
  ],
  ['more instances than there may be', 'load_balancer', { ...balancer, instanceCount: 9 }, 'instance_count: '],
  ['headers of tcp', 'load_balancer', { ...balancer, trafficType: 'tcp', forwardedFor: true }, 'forwarded_for: '],
  [
    'a member on its own at two places',
    'load_balancer_member',
    { loadBalancerId: id('lb'), address: '198.18.0.1', machineId: id('mch') },
    ': ',
  ],
  ['a secret that is none', 'token', { ...token, secretWo: 'secret' }, 'secret_wo: '],
  ['a time that is none', 'token', { ...token, expiresAt: 'tomorrow' }, 'expires_at: '],
  ['a slug that is no label', 'project', { name: 'shop', user: 'john', slug: 'The shop' }, 'slug: '],
  ['a quota below nothing', 'project', { name: 'shop', user: 'john', quota: { pools: -1 } }, 'quota.pools: '],
]

describe('is told offline, at its path:', () => {
  for (const [what, type, config, where] of offline) {
    test(what, async () => {
      const answer = await served.client.call('ValidateResourceConfig', {
        typeName: `sluice_${type}`,
        config: encodeObject(fieldsOf(type), config),
      })
      const said = describeAll(answer.diagnostics)
      expect(said).toContainEqual(expect.stringMatching(new RegExp(`^${where.split('.')[0]}`)))
      expect(said.join()).toContain(writePath(where))
    })
  }
})

/** Planned and applied; what was said of either. */
async function create(type: string, config: RawObject): Promise<readonly string[]> {
  const fields = fieldsOf(type)
  const common = {
    typeName: `sluice_${type}`,
    config: encodeObject(fields, config),
    priorState: encodeObject(fields, null),
  }
  const plan = await served.client.call('PlanResourceChange', { ...common, proposedNewState: common.config })
  if (plan.diagnostics.length > 0) return describeAll(plan.diagnostics)
  const applied = await served.client.call('ApplyResourceChange', { ...common, plannedState: plan.plannedState })
  return describeAll(applied.diagnostics)
}

describe('is refused by the API, with its words, its remedy and its trace, where it says:', () => {
  const rows: readonly (readonly [string, string, () => Readonly<Record<string, Raw>>, RegExp])[] = [
    [
      'a name that is taken',
      'network',
      () => ({ name: 'taken', projectId }),
      /^name: .*taken[\s\S]*Trace: [0-9a-f]{32}/,
    ],
    ['a project that is not there', 'network', () => network, /^project_id: [\s\S]*Trace: /],
    [
      'a machine that is not there',
      'load_balancer',
      () => ({ ...balancer, projectId, networkId, members: [{ machineId: id('mch') }] }),
      /^members[\s\S]*members\[0\]\.machine_id[\s\S]*Trace: /,
    ],
    [
      'a network without a shard',
      'machine',
      () => ({ ...machine, projectId, networkId }),
      /^network_id: [\s\S]*no shard[\s\S]*Trace: /,
    ],
    [
      'a scaling that contradicts itself',
      'load_balancer',
      () => ({
        ...balancer,
        projectId,
        networkId,
        autoScaling: { minimum: 4, maximum: 2, targets: { connections: 5 } },
      }),
      /^auto_scaling[\s\S]*auto_scaling\.minimum[\s\S]*Trace: /,
    ],
  ]
  for (const [what, type, config, said] of rows) {
    test(what, async () => {
      expect(await create(type, config() as RawObject)).toContainEqual(expect.stringMatching(said))
    })
  }
})
