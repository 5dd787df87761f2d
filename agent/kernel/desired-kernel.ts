/**
 * What the kernel must hold for a host's instructions, as facts and grouped by the object that wants them: a pure
 * function. How to get there is for plan-kernel.ts.
 */

import type {
  HostInstructions,
  InstanceInstructions,
  MachineInstructions,
  NetworkInstructions,
} from '../contract/host-instructions.ts'
import type { Forwarding, Route } from '../operations/operation.ts'
import {
  gatewayDevice,
  instanceNetworkDevice,
  instanceUplinkDevice,
  linkAlias,
  linkName,
  machineDevice,
} from './names.ts'

/** What the agent's settings say of the host. */
export interface HostDevices {
  readonly uplinkDevice: string
  readonly underlayDevice: string
  readonly underlayAddress: string
}

export type Sysctls = Readonly<Record<string, string>>

export interface DesiredNamespace {
  readonly name: string
  readonly sysctls: Sysctls
}

export type DesiredLink =
  | { readonly kind: 'bridge'; readonly device: string; readonly alias: string; readonly mtu: number }
  | {
      readonly kind: 'vxlan'
      readonly device: string
      readonly alias: string
      readonly mtu: number
      readonly master: string
      readonly vni: number
      readonly localAddress: string
      readonly underlayDevice: string
    }
  | {
      readonly kind: 'veth'
      readonly device: string
      readonly alias: string
      readonly mtu: number
      readonly master: string
      readonly peer: { readonly namespace: string; readonly device: string; readonly mac: string }
    }
  | {
      readonly kind: 'macvlan'
      readonly namespace: string
      readonly device: string
      readonly lowerDevice: string
      readonly mac: string
    }

/** A device within a namespace, up, and what it bears. */
export interface DesiredDevice {
  readonly namespace: string
  readonly device: string
  readonly mac?: string
  readonly mtu?: number
  readonly addresses: readonly string[]
  /** False where others add addresses of their own: keepalived its VIPs on the uplink. */
  readonly ownsAllAddresses: boolean
  /** Its addresses come and go while it works: one that comes is announced, the connections of one that goes are ended. */
  readonly movesAddresses?: boolean
  /** A change of its first address takes it down and up again. */
  readonly restartsForAddress?: boolean
  readonly routes: readonly Omit<Route, 'device'>[]
  /** MAC by address. */
  readonly neighbours: ReadonlyMap<string, string>
  readonly sysctls: Sysctls
}

export interface DesiredObject {
  readonly objectId: string
  readonly namespace?: DesiredNamespace
  readonly links: readonly DesiredLink[]
  readonly devices: readonly DesiredDevice[]
  readonly forwarding: readonly Forwarding[]
}

/** Projects first, then networks, so that a namespace and a bridge are there before what is put into them. */
export function makeDesiredKernel(instructions: HostInstructions, host: HostDevices): DesiredObject[] {
  const networks = new Map(instructions.networks.map((network) => [network.id, network]))
  const projectIds = [...new Set(instructions.networks.map(({ projectId }) => projectId))]
  return [
    ...projectIds.map(makeProject),
    ...instructions.networks.map((network) => makeNetwork(network, instructions.host, host)),
    ...instructions.machines.map((machine) => makeMachine(machine, networks.get(machine.networkId))),
    ...instructions.instances.map((instance) => makeInstance(instance, networks.get(instance.networkId), host)),
  ]
}

const everyone = '00:00:00:00:00:00'

const loopback = (namespace: string): DesiredDevice => ({
  namespace,
  device: 'lo',
  addresses: [],
  ownsAllAddresses: false,
  routes: [],
  neighbours: new Map(),
  sysctls: {},
})

/**
 * The project's router. An ICMP redirect would stay in a guest's routes and bypass the gateway. A new namespace takes
 * its parameters from the host's own, so what matters is said.
 */
function makeProject(projectId: string): DesiredObject {
  const sysctls = {
    'net.ipv4.ip_forward': '1',
    'net.ipv4.conf.all.send_redirects': '0',
    'net.ipv4.conf.all.rp_filter': '0',
  }
  return {
    objectId: projectId,
    namespace: { name: projectId, sysctls },
    links: [],
    devices: [loopback(projectId)],
    forwarding: [],
  }
}

function makeNetwork(network: NetworkInstructions, ownHost: string, host: HostDevices): DesiredObject {
  const { id, mtu, projectId } = network
  const alias = linkAlias(id)
  const bridge = linkName('bridge', id)
  const vxlan = linkName('vxlan', id)
  const gateway = gatewayDevice(id)
  return {
    objectId: id,
    links: [
      { kind: 'bridge', device: bridge, alias, mtu },
      {
        kind: 'vxlan',
        device: vxlan,
        alias,
        mtu,
        master: bridge,
        vni: network.vni,
        localAddress: host.underlayAddress,
        underlayDevice: host.underlayDevice,
      },
      {
        kind: 'veth',
        device: gateway,
        alias,
        mtu,
        master: bridge,
        peer: { namespace: projectId, device: gateway, mac: network.gatewayMac },
      },
    ],
    devices: [
      {
        namespace: projectId,
        device: gateway,
        mac: network.gatewayMac,
        mtu,
        addresses: network.shards.map((shard) => `${shard.gateway}/${prefixLength(shard.cidr)}`),
        ownsAllAddresses: true,
        routes: [],
        // The gateway never has to ask across, where its ARP is dropped.
        neighbours: new Map(network.neighbours.map(({ address, mac }) => [address, mac])),
        sysctls: {
          [`net.ipv4.conf.${gateway}.send_redirects`]: '0',
          [`net.ipv4.conf.${gateway}.rp_filter`]: '0',
        },
      },
    ],
    forwarding: makeForwarding(network, ownHost),
  }
}

/** Where each remote MAC lives, in the bridge and in the VXLAN; who gets the broadcasts; and that the gateway is here. */
function makeForwarding(network: NetworkInstructions, ownHost: string): Forwarding[] {
  const vxlan = linkName('vxlan', network.id)
  const underlayAddresses = new Map(network.peers.map((peer) => [peer.host, peer.underlayAddress]))
  const remoteHosts = new Map(
    network.neighbours.filter(({ host }) => host !== ownHost).map(({ mac, host }) => [mac, host]),
  )
  const remote = [...remoteHosts].flatMap(([mac, host]): Forwarding[] => {
    const underlayAddress = underlayAddresses.get(host)
    // A missing entry floods and works; a guess would be a black hole.
    if (underlayAddress === undefined) return []
    return [
      { device: vxlan, mac, toward: { underlayAddress } },
      { device: vxlan, mac, toward: 'port' },
    ]
  })
  return [
    ...network.peers.map(
      ({ underlayAddress }): Forwarding => ({ device: vxlan, mac: everyone, toward: { underlayAddress } }),
    ),
    { device: gatewayDevice(network.id), mac: network.gatewayMac, toward: 'port' },
    ...remote,
  ]
}

function makeMachine(machine: MachineInstructions, network: NetworkInstructions | undefined): DesiredObject {
  const { id, mac, addresses } = machine
  const mtu = network?.mtu ?? defaultMtu
  return {
    objectId: id,
    namespace: { name: id, sysctls: {} },
    links: [
      {
        kind: 'veth',
        device: linkName('machine', id),
        alias: linkAlias(id),
        mtu,
        master: linkName('bridge', machine.networkId),
        peer: { namespace: id, device: machineDevice, mac },
      },
    ],
    devices: [
      loopback(id),
      {
        namespace: id,
        device: machineDevice,
        mac,
        mtu,
        // The first alone has its shard on the link: the machine begins nothing with another, which may be about to go.
        // The others answer by the first's gateway, whose MAC is that of theirs.
        addresses: addresses.map((each, index) => `${each.address}/${index === 0 ? each.prefixLength : 32}`),
        ownsAllAddresses: true,
        movesAddresses: true,
        restartsForAddress: machine.restartsForAddress === true,
        routes: addresses.slice(0, 1).map(({ gateway }) => ({ destination: 'default', via: gateway })),
        neighbours: new Map(),
        sysctls: askOftenOn(machineDevice),
      },
    ],
    forwarding: [],
  }
}

/** haproxy binds VIPs that are elsewhere; ARP answers for an address on its own leg alone; an instance is no router. */
const instanceSysctls: Sysctls = {
  'net.ipv4.ip_nonlocal_bind': '1',
  'net.ipv4.ip_forward': '0',
  'net.ipv4.conf.all.arp_ignore': '1',
  'net.ipv4.conf.all.arp_announce': '2',
  'net.ipv4.conf.all.rp_filter': '0',
}

export function makeInstance(
  instance: InstanceInstructions,
  network: NetworkInstructions | undefined,
  host: HostDevices,
): DesiredObject {
  const { id, uplink } = instance
  const { address, formerAddress } = instance.network
  const mtu = network?.mtu ?? defaultMtu
  return {
    objectId: id,
    namespace: { name: id, sysctls: instanceSysctls },
    links: [
      {
        kind: 'veth',
        device: linkName('instance', id),
        alias: linkAlias(id),
        mtu,
        master: linkName('bridge', instance.networkId),
        peer: { namespace: id, device: instanceNetworkDevice, mac: instance.network.mac },
      },
      {
        kind: 'macvlan',
        namespace: id,
        device: instanceUplinkDevice,
        lowerDevice: host.uplinkDevice,
        mac: uplink.mac,
      },
    ],
    devices: [
      loopback(id),
      {
        namespace: id,
        device: instanceUplinkDevice,
        mac: uplink.mac,
        addresses: [`${uplink.address}/${uplink.prefixLength}`],
        ownsAllAddresses: false,
        routes: [{ destination: 'default', via: uplink.gateway }],
        neighbours: new Map(),
        sysctls: { [`net.ipv4.conf.${instanceUplinkDevice}.rp_filter`]: '0' },
      },
      {
        namespace: id,
        device: instanceNetworkDevice,
        mac: instance.network.mac,
        mtu,
        addresses: [address, ...(formerAddress === undefined ? [] : [formerAddress])].map((each) => `${each}/32`),
        ownsAllAddresses: true,
        movesAddresses: true,
        // Left to itself, the kernel begins with the address that was there first.
        routes: instance.network.onLinkCidrs.map((destination) => ({ destination, source: address })),
        neighbours: new Map(),
        sysctls: { [`net.ipv4.conf.${instanceNetworkDevice}.rp_filter`]: '0', ...askOftenOn(instanceNetworkDevice) },
      },
    ],
    forwarding: [],
  }
}

/**
 * Who asks for a MAC before the bridge forwards for its new port, or before the way to another host is there, asks again
 * in a fifth of a second instead of a whole one, after which a first check would have failed; it gives up no sooner. The
 * kernel keeps such times in ticks: 200 is read back as 200 whatever their rate.
 */
const askOftenOn = (device: string): Sysctls => ({
  [`net.ipv4.neigh.${device}.retrans_time_ms`]: '200',
  [`net.ipv4.neigh.${device}.mcast_solicit`]: '15',
})

/** Of a member whose network is not in the statement: what VXLAN leaves of an ordinary frame. */
const defaultMtu = 1450

const prefixLength = (cidr: string) => cidr.slice(cidr.indexOf('/') + 1)
