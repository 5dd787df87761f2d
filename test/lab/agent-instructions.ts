/** Instructions for tests of the agent, as a controller would make them: a few projects, networks and machines over hosts. */

import type {
  HostInstructions,
  InstanceInstructions,
  MachineInstructions,
  NetworkInstructions,
} from '../../agent/contract/host-instructions.ts'

export const testId = (kind: 'prj' | 'net' | 'mch' | 'ins' | 'shd' | 'lb', number: number) =>
  `${kind}_${String(number).padStart(25, '0')}`

export interface TestNetwork {
  readonly number: number
  readonly project: number
  readonly vni: number
  /** Each a /24 by its first three numbers, e.g. `10.1.0`; the gateway is its first address. */
  readonly shards: readonly string[]
  readonly machines: readonly TestMachine[]
}

export interface TestMachine {
  readonly number: number
  readonly name: string
  readonly host: string
  /** The first. */
  readonly address: string
  readonly otherAddresses?: readonly string[]
  readonly restartsForAddress?: boolean
}

export interface TestHostAddress {
  readonly name: string
  readonly underlayAddress: string
}

/** What `host` gets of all this: the networks that it has a member of, and its own machines. */
export function makeTestInstructions(
  host: string,
  generation: number,
  hosts: readonly TestHostAddress[],
  networks: readonly TestNetwork[],
  instances: readonly InstanceInstructions[] = [],
): HostInstructions {
  const here = networks.filter(
    ({ number, machines }) =>
      machines.some((machine) => machine.host === host) ||
      instances.some(({ networkId }) => networkId === testId('net', number)),
  )
  return {
    format: 1,
    host,
    generation,
    issuedAt: '2026-01-01T00:00:00Z',
    networks: here.map((network) => makeNetwork(network, generation, host, hosts)),
    machines: here.flatMap((network) =>
      network.machines
        .filter((machine) => machine.host === host)
        .map((machine) => makeMachine(network, machine, generation)),
    ),
    instances: [...instances],
  }
}

function makeNetwork(
  { number, project, vni, shards, machines }: TestNetwork,
  generation: number,
  host: string,
  hosts: readonly TestHostAddress[],
): NetworkInstructions {
  const members = new Set(machines.map((machine) => machine.host))
  return {
    id: testId('net', number),
    generation,
    traceparent: `00-${String(number).padStart(32, '0')}-${'1'.padStart(16, '0')}-01`,
    projectId: testId('prj', project),
    name: `network-${number}`,
    vni,
    mtu: 1400,
    gatewayMac: `02:ff:00:00:00:${hex(number)}`,
    domain: `network-${number}.test`,
    shards: shards.map((prefix, index) => ({
      id: testId('shd', number * 10 + index),
      cidr: `${prefix}.0/24`,
      gateway: `${prefix}.1`,
    })),
    peers: hosts
      .filter(({ name }) => name !== host && members.has(name))
      .map(({ name, underlayAddress }) => ({ host: name, underlayAddress })),
    neighbours: machines.flatMap((machine) =>
      addressesOf(machine).map((address) => ({
        id: testId('mch', machine.number),
        name: machine.name,
        mac: machineMac(machine.number),
        address,
        host: machine.host,
      })),
    ),
  }
}

function makeMachine({ number, project }: TestNetwork, machine: TestMachine, generation: number): MachineInstructions {
  return {
    id: testId('mch', machine.number),
    generation,
    projectId: testId('prj', project),
    networkId: testId('net', number),
    name: machine.name,
    driver: 'netns',
    mac: machineMac(machine.number),
    addresses: addressesOf(machine).map((address) => ({
      address,
      prefixLength: 24,
      gateway: `${address.slice(0, address.lastIndexOf('.'))}.1`,
    })),
    ...(machine.restartsForAddress !== undefined && { restartsForAddress: machine.restartsForAddress }),
    workloads: [
      { kind: 'web', port: 80 },
      { kind: 'echo', port: 7 },
    ],
  }
}

export function makeTestInstance(
  number: number,
  network: number,
  project: number,
  shards: readonly string[],
): InstanceInstructions {
  return {
    id: testId('ins', number),
    generation: 1,
    loadBalancerId: testId('lb', number),
    projectId: testId('prj', project),
    networkId: testId('net', network),
    driver: 'netns',
    slot: 1,
    uplink: {
      mac: `02:aa:00:00:${hex(number >> 8)}:${hex(number & 0xff)}`,
      address: `198.18.${16 + (number >> 8)}.${number & 0xff}`,
      prefixLength: 20,
      gateway: '198.18.16.1',
    },
    network: {
      mac: `02:bb:00:00:${hex(number >> 8)}:${hex(number & 0xff)}`,
      address: `${shards[0]}.${100 + (number % 100)}`,
      onLinkCidrs: shards.map((prefix) => `${prefix}.0/24`),
    },
    vips: [],
    advertIntervalSeconds: 0.1,
    preemptDelaySeconds: 1,
    trafficType: 'http',
    algorithm: 'round-robin',
    forwardedFor: true,
    timeouts: { connectSeconds: 2, clientSeconds: 30, serverSeconds: 30, drainSeconds: 5 },
    healthCheck: {
      protocol: 'tcp',
      intervalSeconds: 1,
      timeoutSeconds: 1,
      healthyThreshold: 2,
      unhealthyThreshold: 2,
    },
    listeners: [],
  }
}

const addressesOf = ({ address, otherAddresses = [] }: TestMachine) => [address, ...otherAddresses]

const machineMac = (number: number) => `02:00:00:00:${hex(number >> 8)}:${hex(number & 0xff)}`
const hex = (number: number) => number.toString(16).padStart(2, '0')
