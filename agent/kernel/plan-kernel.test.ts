import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { makeTestInstance, makeTestInstructions, type TestNetwork, testId } from '../../test/lab/agent-instructions.ts'
import type { HostInstructions } from '../contract/host-instructions.ts'
import { isKernelOperation, type KernelOperation, type OperationGroup } from '../operations/operation.ts'
import { mergeGroups } from '../room.ts'
import { makeDesiredKernel } from './desired-kernel.ts'
import { planHost } from './kernel-room.ts'
import { gatewayDevice, linkName } from './names.ts'
import { SimulatedKernel } from './simulated-kernel.ts'

/** Histories by the hundred take their time on a busy machine. */
setDefaultTimeout(60_000)

const devices = { uplinkDevice: 'up0', underlayDevice: 'und0', underlayAddress: '198.18.0.1' }
const hosts = ['here', 'there', 'yonder'].map((name, index) => ({ name, underlayAddress: `198.18.0.${index + 1}` }))
const createKernel = () => new SimulatedKernel(devices.uplinkDevice, devices.underlayDevice)

function plan(desired: HostInstructions, kernel: SimulatedKernel): OperationGroup[] {
  const observed = { kernel: kernel.observe(), folders: new Map() }
  const groups = planHost({ desired, strayDaemons: [] }, makeDesiredKernel(desired, devices), observed)
  return mergeGroups(groups).map(({ objectId, operations }) => ({
    objectId,
    // nftables and folders are not part of the simulated world.
    operations: operations.filter(isKernelOperation),
  }))
}

function apply(groups: readonly OperationGroup[], kernel: SimulatedKernel): void {
  for (const { operations } of groups) for (const each of operations) if (isKernelOperation(each)) kernel.execute(each)
}

const kernelOperations = (groups: readonly OperationGroup[]) =>
  groups.flatMap(({ operations }) => operations).filter(isKernelOperation)

function converge(desired: HostInstructions, kernel = createKernel()): SimulatedKernel {
  apply(plan(desired, kernel), kernel)
  return kernel
}

const network: TestNetwork = {
  number: 1,
  project: 1,
  vni: 101,
  shards: ['10.1.0', '10.1.1'],
  machines: [
    { number: 11, name: 'web-1', host: 'here', address: '10.1.0.11' },
    { number: 12, name: 'web-2', host: 'there', address: '10.1.0.12' },
  ],
}
const instance = makeTestInstance(1, 1, 1, ['10.1.0', '10.1.1'])
const instruct = (networks: readonly TestNetwork[], instances = [instance]) =>
  makeTestInstructions('here', 1, hosts, networks, instances)
const desired = instruct([network])

const vxlan = linkName('vxlan', testId('net', 1))
const gateway = gatewayDevice(testId('net', 1))
const machine = testId('mch', 11)
const project = testId('prj', 1)

describe('a change in the world is answered by what undoes it, and by nothing else', () => {
  const everyone = '00:00:00:00:00:00'
  const rows: [string, KernelOperation[], KernelOperation[]][] = [
    ['nothing has changed', [], []],
    [
      'an address of a machine was removed, and its default route with it',
      [{ kind: 'deleteAddress', namespace: machine, device: 'eth0', address: '10.1.0.11/24' }],
      [
        { kind: 'addAddress', namespace: machine, device: 'eth0', address: '10.1.0.11/24' },
        { kind: 'addRoute', namespace: machine, device: 'eth0', destination: 'default', via: '10.1.0.1' },
        { kind: 'announceAddress', namespace: machine, device: 'eth0', address: '10.1.0.11' },
      ],
    ],
    [
      'a machine has an address that is not its own',
      [{ kind: 'addAddress', namespace: machine, device: 'eth0', address: '10.9.9.9/24' }],
      [
        { kind: 'endConnections', namespace: machine, address: '10.9.9.9' },
        { kind: 'deleteAddress', namespace: machine, device: 'eth0', address: '10.9.9.9/24' },
      ],
    ],
    [
      'keepalived put a VIP on the uplink',
      [{ kind: 'addAddress', namespace: instance.id, device: 'uplink', address: '198.18.30.1/20' }],
      [],
    ],
    [
      'the default route leads elsewhere',
      [{ kind: 'addRoute', namespace: machine, device: 'eth0', destination: 'default', via: '10.1.0.99' }],
      [{ kind: 'addRoute', namespace: machine, device: 'eth0', destination: 'default', via: '10.1.0.1' }],
    ],
    [
      'a route was added by hand',
      [{ kind: 'addRoute', namespace: machine, device: 'eth0', destination: '10.7.0.0/16', via: '10.1.0.99' }],
      [{ kind: 'deleteRoute', namespace: machine, device: 'eth0', destination: '10.7.0.0/16', via: '10.1.0.99' }],
    ],
    [
      'a host no longer gets the broadcasts',
      [{ kind: 'deleteForwarding', device: vxlan, mac: everyone, toward: { underlayAddress: '198.18.0.2' } }],
      [{ kind: 'addForwarding', device: vxlan, mac: everyone, toward: { underlayAddress: '198.18.0.2' } }],
    ],
    [
      'a neighbour of the gateway is wrong',
      [{ kind: 'setNeighbour', namespace: project, device: gateway, address: '10.1.0.12', mac: '02:de:ad:00:00:01' }],
      [{ kind: 'setNeighbour', namespace: project, device: gateway, address: '10.1.0.12', mac: '02:00:00:00:00:0c' }],
    ],
    [
      'forwarding was switched off',
      [{ kind: 'setSysctls', namespace: project, values: { 'net.ipv4.ip_forward': '0' } }],
      [{ kind: 'setSysctls', namespace: project, values: { 'net.ipv4.ip_forward': '1' } }],
    ],
    [
      'a device is down',
      [{ kind: 'setLink', device: vxlan, up: false }],
      [{ kind: 'setLink', device: vxlan, up: true }],
    ],
    [
      'the bridge learns on the VXLAN',
      [{ kind: 'setBridgePort', device: vxlan, learning: true }],
      [{ kind: 'setBridgePort', device: vxlan, learning: false }],
    ],
    [
      'there is a foreign bridge and a foreign device in a namespace of ours',
      [
        { kind: 'addBridge', device: 'foreign0', alias: 'somebody else' },
        {
          kind: 'addVeth',
          device: 'foreign1',
          peer: { namespace: machine, device: 'foreign2', mac: '02:de:ad:00:00:02', mtu: 1500 },
        },
      ],
      [],
    ],
  ]
  test.each(rows)('%s', (_, changes, expected) => {
    const kernel = converge(desired)
    for (const change of changes) kernel.execute(change)
    expect(kernelOperations(plan(desired, kernel))).toEqual(expected)
  })
})

describe('a new statement', () => {
  const otherMachines = (machines: TestNetwork['machines']) => instruct([{ ...network, machines }])

  test('a machine that moves to another host is forgotten here before it is sent to there', () => {
    const kernel = converge(desired)
    const moved = network.machines.map((each) => (each.number === 12 ? { ...each, host: 'yonder' } : each))
    const mac = '02:00:00:00:00:0c'
    const operations = kernelOperations(plan(otherMachines(moved), kernel))
    expect(operations.filter((each) => 'mac' in each && each.mac === mac)).toEqual([
      { kind: 'deleteForwarding', device: vxlan, mac, toward: { underlayAddress: '198.18.0.2' } },
      { kind: 'addForwarding', device: vxlan, mac, toward: { underlayAddress: '198.18.0.3' } },
    ])
  })

  test('an additional machine elsewhere touches no link', () => {
    const kernel = converge(desired)
    const more = [...network.machines, { number: 13, name: 'web-3', host: 'there', address: '10.1.1.13' }]
    const kinds = kernelOperations(plan(otherMachines(more), kernel)).map(({ kind }) => kind)
    expect(kinds).toEqual(['setNeighbour', 'addForwarding', 'addForwarding'])
  })

  test('another VNI replaces the VXLAN alone', () => {
    const kernel = converge(desired)
    const kinds = kernelOperations(plan(instruct([{ ...network, vni: 102 }]), kernel)).map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind.startsWith('delete') || kind.includes('Veth'))).toEqual(['deleteLink'])
  })

  test('nothing at all removes all of ours, and what stays is as it was before', () => {
    const kernel = converge(desired)
    kernel.execute({ kind: 'addBridge', device: 'foreign0' })
    kernel.execute({ kind: 'addNamespace', namespace: 'foreign' })
    converge(instruct([], []), kernel)
    kernel.execute({ kind: 'deleteNamespace', namespace: 'foreign' })
    const { links, namespaces, forwarding } = kernel.observe()
    expect([...links.keys()]).toEqual(['lo', 'up0', 'und0', 'foreign0'])
    expect([[...namespaces.keys()], forwarding]).toEqual([[], []])
  })
})

const hostName = fc.constantFrom('here', 'there', 'yonder')
const arbitraryNetworks = fc
  .uniqueArray(
    fc.record({
      number: fc.integer({ min: 1, max: 4 }),
      vni: fc.integer({ min: 1, max: 3 }),
      isTwoShards: fc.boolean(),
      places: fc.uniqueArray(
        fc.record({ slot: fc.integer({ min: 0, max: 4 }), host: hostName, last: fc.integer({ min: 2, max: 4 }) }),
        {
          selector: ({ slot }) => slot,
          maxLength: 4,
        },
      ),
    }),
    { selector: ({ number }) => number, maxLength: 3 },
  )
  .map((drafts) => drafts.map(makeNetwork))

function makeNetwork(draft: {
  number: number
  vni: number
  isTwoShards: boolean
  places: readonly { slot: number; host: string; last: number }[]
}): TestNetwork {
  const { number, vni, isTwoShards, places } = draft
  return {
    number,
    // A network belongs to one project for life.
    project: 1 + (number % 2),
    // Two networks may take each other's VNI from one statement to the next, but never have the same at once.
    vni: vni * 10 + number,
    shards: isTwoShards ? ['10.1.0', '10.1.1'] : ['10.1.0'],
    machines: places.map(({ slot, host, last }) => ({
      number: number * 10 + slot,
      name: `machine-${number * 10 + slot}`,
      host,
      address: `10.1.${isTwoShards ? slot % 2 : 0}.${last * 10 + slot}`,
    })),
  }
}

const arbitraryInstructions = fc
  .record({ networks: arbitraryNetworks, numbers: fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }) })
  .map(({ networks, numbers }) => {
    const [first] = networks
    const instances = first
      ? numbers.map((number) => makeTestInstance(number, first.number, first.project, first.shards))
      : []
    return instruct(networks, instances)
  })

/** Harm that somebody could do by hand, drawn from what is really there. */
function harm(kernel: SimulatedKernel, choice: number): void {
  const { links, namespaces, forwarding } = kernel.observe()
  const ours = [...links.values()].filter(({ alias }) => alias?.startsWith('sluice:'))
  const harms: KernelOperation[] = [
    ...ours.map(({ device }): KernelOperation => ({ kind: 'deleteLink', device })),
    ...ours.map(({ device }): KernelOperation => ({ kind: 'setLink', device, up: false, mtu: 1200 })),
    ...[...namespaces.keys()].map((namespace): KernelOperation => ({ kind: 'deleteNamespace', namespace })),
    ...forwarding.map((entry): KernelOperation => ({ kind: 'deleteForwarding', ...entry })),
    ...[...namespaces.values()].flatMap(({ name: namespace, links, routes, neighbours }) => [
      ...[...links.values()].flatMap(({ device, addresses }) => [
        ...addresses.map((address): KernelOperation => ({ kind: 'deleteAddress', namespace, device, address })),
        ...(device === 'lo' ? [] : [{ kind: 'deleteLink', namespace, device } as const]),
        { kind: 'setLink', namespace, device, up: false } as const,
      ]),
      ...routes.map((route): KernelOperation => ({ kind: 'deleteRoute', namespace, ...route })),
      ...neighbours.map((each): KernelOperation => ({ kind: 'deleteNeighbour', namespace, ...each })),
      { kind: 'setSysctls', namespace, values: { 'net.ipv4.ip_forward': '7' } } as const,
    ]),
  ]
  const chosen = harms[choice % Math.max(1, harms.length)]
  if (chosen !== undefined) kernel.execute(chosen)
}

describe('from any world to any statement', () => {
  test('one plan is enough: the next one is empty', () => {
    fc.assert(
      fc.property(
        arbitraryInstructions,
        arbitraryInstructions,
        fc.array(fc.nat({ max: 10_000 }), { maxLength: 6 }),
        (first, second, choices) => {
          const kernel = converge(first)
          for (const choice of choices) harm(kernel, choice)
          converge(second, kernel)
          expect(kernelOperations(plan(second, kernel))).toEqual([])
        },
      ),
      { numRuns: 400 },
    )
  })

  test('what was made on the way to elsewhere leaves no trace', () => {
    fc.assert(
      fc.property(arbitraryInstructions, arbitraryInstructions, (first, second) => {
        const detour = converge(second, converge(first))
        expect(describeWorld(detour)).toEqual(describeWorld(converge(second)))
      }),
      { numRuns: 150 },
    )
  })
})

/** The world without what depends on the order in which it was made. */
function describeWorld(kernel: SimulatedKernel) {
  const { links, namespaces, forwarding } = kernel.observe()
  const describeLinks = (all: typeof links) =>
    [...all.values()]
      .map(({ index, linkIndex, addresses, ...link }) => ({ ...link, addresses: [...addresses].sort() }))
      .sort((a, b) => a.device.localeCompare(b.device))
  return {
    links: describeLinks(links),
    forwarding: forwarding.map((entry) => JSON.stringify(entry)).sort(),
    namespaces: [...namespaces.values()]
      .map(({ name, links, routes, neighbours, sysctls }) => ({
        name,
        links: describeLinks(links),
        routes: routes.map((route) => JSON.stringify(route)).sort(),
        neighbours: neighbours.map((each) => JSON.stringify(each)).sort(),
        sysctls,
      }))
      .sort((a, b) => a.name.localeCompare(b.name)),
  }
}
