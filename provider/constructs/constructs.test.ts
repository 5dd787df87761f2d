import { describe, expect, test } from 'bun:test'
import { TerraformStack, Testing, Token } from 'cdktf'
import fc from 'fast-check'
import { splitWeights } from './blue-green-service.ts'
import { labelOf } from './checks.ts'
import {
  BalancedService,
  BlueGreenService,
  DataSluiceNetwork,
  LoadBalancer,
  Network,
  PrivateNetwork,
  Project,
  Shard,
  SluiceProvider,
  Topology,
} from './index.ts'

type Resources = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>
interface Synthesized {
  readonly resource: Resources
  readonly data: Resources
  readonly provider: unknown
  readonly terraform: unknown
}

/** What Terraform would be given. Throws what the checks found. */
function synthesize(build: (stack: TerraformStack, project: Project) => unknown): Synthesized {
  const stack = new TerraformStack(Testing.app(), 'stack')
  new SluiceProvider(stack, 'sluice')
  build(stack, new Project(stack, 'project', { name: 'shop', user: 'jane' }))
  return JSON.parse(Testing.synth(stack, true)) as Synthesized
}

/** What Terraform reads as an expression. */
const the = (expression: string) => `\${${expression}}`

const only = (resources: Resources[string] | undefined) => {
  const all = Object.values(resources ?? {})
  expect(all).toHaveLength(1)
  return all[0] ?? {}
}

describe('a binding', () => {
  test('gives Terraform its own names, deep within, and leaves keys of maps alone', () => {
    const { resource } = synthesize((stack) => {
      new LoadBalancer(stack, 'web', {
        name: 'web',
        projectId: 'prj',
        networkId: 'net',
        trafficType: 'http',
        listeners: [{ port: 80, memberPort: 8080 }],
        healthCheck: { protocol: 'http', expectedStatus: '200', intervalSeconds: 1 },
        operationTimeouts: { create: '1m' },
      })
    })
    expect(only(resource.sluice_load_balancer)).toMatchObject({
      network_id: 'net',
      listeners: [{ port: 80, member_port: 8080 }],
      health_check: { protocol: 'http', expected_status: '200', interval_seconds: 1 },
      operation_timeouts: { create: '1m' },
    })
  })

  test('leaves out what is not given', () => {
    const { resource } = synthesize((stack) => new Network(stack, 'front', { name: 'front', projectId: 'prj' }))
    expect(Object.keys(only(resource.sluice_network)).filter((key) => key !== '//')).toEqual(['name', 'project_id'])
  })

  test('refers to what others give out, in lists and objects as well', () => {
    const { resource } = synthesize((stack, project) => {
      const web = new LoadBalancer(stack, 'web', {
        name: 'web',
        projectId: project.id,
        networkId: 'net',
        trafficType: 'http',
        listeners: [{ port: 80 }],
      })
      new Network(stack, 'front', { name: `of ${web.instances.get(1).host}`, projectId: project.id })
      new Network(stack, 'back', {
        name: web.healthCheck.path,
        projectId: project.id,
        addressPolicy: { poolIds: web.vips },
      })
    })
    expect(resource.sluice_network).toMatchObject({
      front: {
        name: `of ${the('sluice_load_balancer.web.instances[1].host')}`,
        project_id: the('sluice_project.project.id'),
      },
      back: {
        name: the('sluice_load_balancer.web.health_check.path'),
        address_policy: { pool_ids: the('sluice_load_balancer.web.vips') },
      },
    })
  })

  test('may be changed until it is synthesized', () => {
    const { resource } = synthesize((stack) => {
      const network = new Network(stack, 'front', { name: 'front', projectId: 'prj' })
      network.input.name = 'renamed'
    })
    expect(only(resource.sluice_network).name).toBe('renamed')
  })

  test('takes the arguments that every resource takes', () => {
    const { resource } = synthesize((stack, project) => {
      const lifecycle = { preventDestroy: true }
      new Network(stack, 'front', { name: 'front', projectId: 'prj', dependsOn: [project], lifecycle })
    })
    expect(only(resource.sluice_network)).toMatchObject({
      depends_on: ['sluice_project.project'],
      lifecycle: { prevent_destroy: true },
    })
  })

  test('of a data source reads, and gives out', () => {
    const { data, resource } = synthesize((stack) => {
      const found = new DataSluiceNetwork(stack, 'found', { name: 'front' })
      new Shard(stack, 'shard', { poolId: found.id, name: found.domain })
    })
    expect(only(data.sluice_network)).toMatchObject({ name: 'front' })
    expect(only(resource.sluice_shard)).toMatchObject({ pool_id: the('data.sluice_network.found.id') })
  })

  test('of the provider says where it is, and may be there twice', () => {
    const { provider, terraform } = synthesize((stack) => {
      new SluiceProvider(stack, 'other', { alias: 'other', endpoint: 'http://127.0.0.1:7481' })
    })
    expect(provider).toEqual({ sluice: [{}, { alias: 'other', endpoint: 'http://127.0.0.1:7481' }] })
    expect(terraform).toMatchObject({
      required_providers: { sluice: { source: 'sluice/sluice', version: '~> 0.1.0' } },
    })
  })

  test('is written as HCL as well', () => {
    const stack = new TerraformStack(Testing.app(), 'stack')
    new LoadBalancer(stack, 'web', {
      name: 'web "1"',
      projectId: 'prj',
      networkId: 'net',
      trafficType: 'http',
      listeners: [{ port: 80, memberPort: 8080 }],
      operationTimeouts: { create: '1m' },
    })
    const hcl = Testing.synthHcl(stack)
    for (const line of ['name = "web \\"1\\""', 'member_port = 8080', 'operation_timeouts {', 'create = "1m"']) {
      expect(hcl).toContain(line)
    }
  })
})

describe('a private network', () => {
  test('has a pool, and as many shards as it is to have, each attached', () => {
    const { resource } = synthesize((stack, project) => {
      new PrivateNetwork(stack, 'front', { project, addressSpace: '10.20.0.0/20', shards: 2 })
    })
    expect(only(resource.sluice_pool)).toMatchObject({ name: 'front', cidr: '10.20.0.0/20' })
    expect(Object.values(resource.sluice_shard ?? {})).toMatchObject([
      { name: 'front-1', size_addresses: 1024 },
      { name: 'front-2', size_addresses: 1024 },
    ])
    expect(Object.keys(resource.sluice_shard_attachment ?? {})).toHaveLength(2)
  })

  test('has shards no larger than its block', () => {
    const { resource } = synthesize((stack, project) => {
      new PrivateNetwork(stack, 'front', { project, addressSpace: '10.20.0.0/24' })
    })
    expect(only(resource.sluice_shard)).toMatchObject({ size_addresses: 256 })
  })

  test('is there before what is on it, with every shard, also one that comes later', () => {
    const { resource } = synthesize((stack, project) => {
      const network = new PrivateNetwork(stack, 'front', { project, addressSpace: '10.20.0.0/20' })
      new BalancedService(stack, 'web', { network, machines: 1 })
      network.addShard('more')
    })
    const wanted = Object.keys(resource.sluice_shard_attachment ?? {}).map((name) => `sluice_shard_attachment.${name}`)
    expect(wanted).toHaveLength(2)
    expect(only(resource.sluice_machine).depends_on).toEqual(wanted)
    expect(only(resource.sluice_load_balancer).depends_on).toEqual(wanted)
  })
})

describe('a balanced service', () => {
  test('has machines, and a balancer that asks each whether it is well', () => {
    const { resource } = synthesize((stack, project) => {
      const network = new PrivateNetwork(stack, 'front', { project, addressSpace: '10.20.0.0/20' })
      new BalancedService(stack, 'Web Shop', { network, machines: 2, machinePort: 8080 })
    })
    expect(Object.values(resource.sluice_machine ?? {})).toMatchObject([
      { name: 'web-shop-1', workloads: [{ kind: 'web', port: 8080 }] },
      { name: 'web-shop-2', workloads: [{ kind: 'web', port: 8080 }] },
    ])
    expect(only(resource.sluice_load_balancer)).toMatchObject({
      name: 'Web Shop',
      traffic_type: 'http',
      listeners: [{ port: 80, member_port: 8080 }],
      members: Object.keys(resource.sluice_machine ?? {}).map((name) => ({
        machine_id: the(`sluice_machine.${name}.id`),
      })),
      health_check: { protocol: 'http', interval_seconds: 2, timeout_seconds: 2 },
      instance_count: 2,
    })
  })

  test('takes machines that are there', () => {
    const { resource } = synthesize((stack, project) => {
      const network = new PrivateNetwork(stack, 'front', { project, addressSpace: '10.20.0.0/20' })
      new BalancedService(stack, 'db', {
        network,
        machines: [{ address: '10.20.0.7' }],
        port: 5432,
        trafficType: 'tcp',
      })
    })
    expect(resource.sluice_machine).toBeUndefined()
    expect(only(resource.sluice_load_balancer)).toMatchObject({
      members: [{ address: '10.20.0.7' }],
      health_check: { protocol: 'tcp' },
    })
  })
})

describe('blue and green', () => {
  test('share the traffic by weights', () => {
    const { resource } = synthesize((stack, project) => {
      const network = new PrivateNetwork(stack, 'front', { project, addressSpace: '10.20.0.0/20' })
      new BlueGreenService(stack, 'shop', { network, blue: { machines: 2 }, green: { machines: 1 }, greenPercent: 0 })
    })
    expect(only(resource.sluice_load_balancer)).toMatchObject({
      members: [{ weight: 256 }, { weight: 256 }, { weight: 0 }],
    })
  })

  test('get what they are to get, to one in fifty, whatever the number of their machines', () => {
    const counts = fc.integer({ min: 1, max: 5 })
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100 }), counts, counts, (greenPercent, blue, green) => {
        const weights = splitWeights(greenPercent, { blue, green })
        const [ofBlue, ofGreen] = [weights.blue * blue, weights.green * green]
        expect(Math.abs((100 * ofGreen) / (ofBlue + ofGreen) - greenPercent)).toBeLessThan(2)
        expect(Math.max(weights.blue, weights.green)).toBe(256)
      }),
    )
  })
})

test('a topology is found again by its names', () => {
  const { resource } = synthesize((stack) => {
    const rack = new Topology(stack, 'rack', {
      user: 'jane',
      projects: {
        shop: { networks: { front: { addressSpace: '10.20.0.0/20', services: { web: { machines: 3 } } } } },
        blog: { networks: { front: { addressSpace: '10.20.0.0/20', services: { web: { machines: 1 } } } } },
      },
    })
    const { web } = rack.projects.shop.networks.front.services
    expect(web.machines).toHaveLength(3)
    expect(Token.isUnresolved(web.url)).toBeTrue()
  })
  expect(Object.keys(resource.sluice_load_balancer ?? {})).toHaveLength(2)
})

describe('what is wrong is told before Terraform runs', () => {
  const network = (stack: TerraformStack, project: Project, props = {}) =>
    new PrivateNetwork(stack, 'front', { project, addressSpace: '10.20.0.0/24', ...props })
  const rows: readonly (readonly [string, (stack: TerraformStack, project: Project) => unknown, string])[] = [
    [
      'a block that is none',
      (stack, project) => network(stack, project, { addressSpace: '10.20.0.1/24' }),
      '[stack/front] addressSpace 10.20.0.1/24 has address bits beyond its prefix',
    ],
    [
      'a name with a space at its end',
      (stack, project) => network(stack, project, { name: 'front ' }),
      'name must not begin or end with a space, and is "front "',
    ],
    [
      'more shards than there is room for',
      (stack, project) => network(stack, project, { shards: 3, shardSizeAddresses: 128 }),
      '3 shards take 384 addresses, and 10.20.0.0/24 has 256',
    ],
    [
      'a size that is no power of two',
      (stack, project) => network(stack, project, { shardSizeAddresses: 100 }),
      'shardSizeAddresses must be a power of two from 16 (/28) to 4096 (/20), and is 100',
    ],
    [
      'a network without a shard',
      (stack, project) => network(stack, project, { shards: 0 }),
      'shards must be a whole number, 1 to 256, and is 0',
    ],
    [
      'more machines than addresses',
      (stack, project) =>
        new BalancedService(stack, 'web', {
          network: network(stack, project, { shardSizeAddresses: 16 }),
          machines: 20,
        }),
      '22 addresses are needed, and its shards can give 13: give it more or larger shards',
    ],
    [
      'two networks of a project with the same addresses',
      (stack, project) => {
        network(stack, project)
        new PrivateNetwork(stack, 'back', { project, addressSpace: '10.20.0.0/20' })
      },
      '10.20.0.0/24 overlaps 10.20.0.0/20 of stack/back, which is of the same project',
    ],
    [
      'a port that is none',
      (stack, project) => new BalancedService(stack, 'web', { network: network(stack, project), port: 70_000 }),
      '[stack/web] port must be 1 to 65535, and is 70000',
    ],
    [
      'a timeout that is longer than its interval',
      (stack, project) =>
        new BalancedService(stack, 'web', {
          network: network(stack, project),
          healthCheck: { protocol: 'http', intervalSeconds: 1, timeoutSeconds: 3 },
        }),
      'healthCheck.timeoutSeconds must not be longer than intervalSeconds',
    ],
    [
      'a member that says twice where it is',
      (stack, project) =>
        new BalancedService(stack, 'web', {
          network: network(stack, project),
          machines: [{ address: '10.20.0.7', url: 'http://10.20.0.7:80' }],
        }),
      'machines.0 must give exactly one of address, host, url and machineId, and gives 2',
    ],
    [
      'a share beyond all',
      (stack, project) => new BlueGreenService(stack, 'shop', { network: network(stack, project), greenPercent: 101 }),
      'greenPercent must be a whole number, 0 to 100, and is 101',
    ],
  ]
  for (const [name, build, message] of rows) {
    test(name, () => {
      expect(() => synthesize(build)).toThrow(message)
    })
  }

  test('all at once', () => {
    const wrong = () =>
      synthesize((stack, project) => {
        new BalancedService(stack, 'web', {
          network: network(stack, project, { mtu: 100 }),
          port: 0,
          instanceCount: 99,
        })
      })
    for (const word of ['mtu', 'port', 'instanceCount']) expect(wrong).toThrow(word)
  })

  test('what only Terraform knows passes', () => {
    synthesize((stack, project) => {
      const other = new PrivateNetwork(stack, 'back', { project, addressSpace: '10.30.0.0/24' })
      const own = network(stack, project, { name: other.network.domain })
      const port = other.shards[1]?.sizeAddresses
      new BalancedService(stack, 'web', { network: own, healthCheck: { protocol: 'tcp', port }, machines: 1 })
    })
  })
})

test('any name makes the name of a machine', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ maxLength: 100 }), fc.constantFrom('ü', 'Web Shop!', '-', '日本', 'a'.repeat(128))),
      (name) => {
        expect(labelOf(name)).toMatch(/^[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?$/)
      },
    ),
  )
})
