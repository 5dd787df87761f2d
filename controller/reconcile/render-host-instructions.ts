/**
 * What each host must have, as a full statement without generations. Pure: the same snapshot always renders the same
 * text, in the order of ids and names, so that an unchanged statement is seen to be unchanged.
 */

import type {
  HostInstructions,
  InstanceInstructions,
  MachineInstructions,
  NetworkInstructions,
} from '../../agent/contract/host-instructions.ts'
import { blockOf, formatAddress, isIpv6 } from '../address-space/cidr.ts'
import { networkDomain } from '../address-space/networks.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { applianceInstructions } from '../hypervisor/appliance-domain.ts'
import { endpointOf } from '../load-balancing/members.ts'
import { advertIntervalSeconds } from '../load-balancing/vip-priorities.ts'
import { macAddressOf } from '../machines/mac-address.ts'
import type {
  HostValue,
  InstanceValue,
  LoadBalancerValue,
  MachineValue,
  MemberValue,
  NetworkValue,
  ShardValue,
} from '../objects.ts'
import type { ControllerSettings } from '../services.ts'
import { countOlderInstances } from './older-instances.ts'
import { type Mate, renderMembers, renderTraffic } from './render-traffic.ts'
import { indexSlotMates, othersInSlot, renderVips, type SlotMates, slotKey } from './render-vips.ts'
import { isLeaving, type Snapshot } from './snapshot.ts'

type Ungenerated<Instructions> = Omit<Instructions, 'generation'>

export interface HostContent {
  readonly host: string
  readonly networks: readonly Ungenerated<NetworkInstructions>[]
  readonly machines: readonly Ungenerated<MachineInstructions>[]
  readonly instances: readonly Ungenerated<InstanceInstructions>[]
}

export type Statement = HostInstructions

/** What every host of the snapshot must have, by the host's name. */
export function renderAllHosts(snapshot: Snapshot, settings: ControllerSettings): ReadonlyMap<string, HostContent> {
  const rack = surveyRack(snapshot, settings)
  return new Map([...snapshot.hosts.values()].map((host) => [host.value.name, renderHost(rack, host)]))
}

/** What one host must have. */
export function renderHostInstructions(
  snapshot: Snapshot,
  settings: ControllerSettings,
  host: StoredObject<HostValue>,
): HostContent {
  return renderHost(surveyRack(snapshot, settings), host)
}

type Neighbour = NetworkInstructions['neighbours'][number]

/** What all hosts' statements have in common, found once for all of them. */
interface Rack {
  readonly snapshot: Snapshot
  readonly settings: ControllerSettings
  readonly shardsOf: ReadonlyMap<string, readonly StoredObject<ShardValue>[]>
  readonly neighboursOf: ReadonlyMap<string, readonly Neighbour[]>
  /** By network, the hosts that have a member. */
  readonly hostsOf: ReadonlyMap<string, ReadonlySet<string>>
  readonly machinesOn: ReadonlyMap<string, readonly StoredObject<MachineValue>[]>
  readonly instancesOn: ReadonlyMap<string, readonly StoredObject<InstanceValue>[]>
  readonly olderInstances: ReadonlyMap<string, number>
  readonly slotMates: SlotMates
  readonly uplinkPrefixLength: number
  /** By network, the machines that are out of their balancers, by id and by address. */
  readonly drainedOf: ReadonlyMap<string, ReadonlySet<string>>
}

function surveyRack(snapshot: Snapshot, settings: ControllerSettings): Rack {
  const machines = [...snapshot.machines.values()].filter(
    ({ value }) => value.deletingSince === undefined && snapshot.networks.has(value.networkId),
  )
  const instances = [...snapshot.instances.values()].filter(
    (instance) => !isLeaving(snapshot, instance) && snapshot.networks.has(instance.value.networkId),
  )
  const neighboursOf = new Map<string, Neighbour[]>()
  const hostsOf = new Map<string, Set<string>>()
  const settle = (networkId: string, neighbour: Neighbour) => {
    append(neighboursOf, networkId, neighbour)
    hostsOf.set(networkId, (hostsOf.get(networkId) ?? new Set()).add(neighbour.host))
  }
  for (const { id, value } of machines) {
    const host = snapshot.hosts.get(value.hostId)?.value.name
    if (host === undefined) continue
    for (const [i, { address }] of value.addresses.entries()) {
      // Its name is that of its first address alone.
      const name = i === 0 ? { name: value.name } : {}
      settle(value.networkId, { id, ...name, mac: value.mac, address, host })
    }
  }
  for (const { id, value } of instances) {
    const host = snapshot.hosts.get(value.hostId)?.value.name
    if (host === undefined) continue
    const mac = macAddressOf(id, 'network')
    settle(value.networkId, { id, mac, address: value.networkAddress, host })
    if (value.formerNetworkAddress === undefined) continue
    settle(value.networkId, { id, mac, address: value.formerNetworkAddress.address, host })
  }
  const shardsOf = new Map<string, StoredObject<ShardValue>[]>()
  for (const shard of snapshot.shards.values()) {
    // Hosts carry IPv4 alone so far.
    if (isIpv6(shard.value.cidr)) continue
    if (shard.value.networkId !== null) append(shardsOf, shard.value.networkId, shard)
  }
  return {
    snapshot,
    settings,
    shardsOf,
    neighboursOf,
    hostsOf,
    machinesOn: groupBy(machines, ({ value }) => value.hostId),
    instancesOn: groupBy(instances, ({ value }) => value.hostId),
    olderInstances: countOlderInstances(snapshot.loadBalancers.values(), instances),
    slotMates: indexSlotMates(snapshot),
    uplinkPrefixLength: blockOf(settings.uplinkCidr).prefixLength,
    drainedOf: listDrained(machines),
  }
}

function listDrained(machines: readonly StoredObject<MachineValue>[]): Rack['drainedOf'] {
  const drained = machines.filter(({ value }) => value.drained === true)
  const byNetwork = Map.groupBy(drained, ({ value }) => value.networkId)
  const describe = (own: typeof drained) =>
    new Set(own.flatMap(({ id, value }) => [id, ...value.addresses.map(({ address }) => address)]))
  return new Map([...byNetwork].map(([networkId, own]) => [networkId, describe(own)]))
}

function renderHost(rack: Rack, host: StoredObject<HostValue>): HostContent {
  const machines = rack.machinesOn.get(host.id) ?? []
  const instances = rack.instancesOn.get(host.id) ?? []
  const networkIds = new Set([...machines, ...instances].map(({ value }) => value.networkId))
  return {
    host: host.value.name,
    networks: [...networkIds].toSorted().flatMap((id) => {
      const network = rack.snapshot.networks.get(id)
      return network === undefined ? [] : [renderNetwork(rack, network, host.value.name)]
    }),
    machines: machines.map((machine) => renderMachine(rack, machine)),
    instances: instances.flatMap((instance) => {
      const loadBalancer = rack.snapshot.loadBalancers.get(instance.value.loadBalancerId)
      return loadBalancer === undefined ? [] : [renderInstance(rack, instance, loadBalancer)]
    }),
  }
}

function renderNetwork(
  rack: Rack,
  network: StoredObject<NetworkValue>,
  host: string,
): Ungenerated<NetworkInstructions> {
  const { id, value } = network
  const slug = rack.snapshot.projects.get(value.projectId)?.value.slug ?? 'project'
  return {
    id,
    ...traceOf(network),
    projectId: value.projectId,
    name: value.name,
    vni: value.vni,
    mtu: value.mtu,
    gatewayMac: macAddressOf(id, 'gateway'),
    domain: networkDomain(slug),
    shards: (rack.shardsOf.get(id) ?? []).map((shard) => ({
      id: shard.id,
      cidr: shard.value.cidr,
      gateway: gatewayOf(shard.value.cidr),
    })),
    peers: listPeers(rack, id, host),
    neighbours: [...(rack.neighboursOf.get(id) ?? [])],
  }
}

/** The first address of a shard is its gateway's. */
export const gatewayOf = (cidr: string) => formatAddress(blockOf(cidr).first + 1)

function listPeers(rack: Rack, networkId: string, host: string): NetworkInstructions['peers'] {
  const members = rack.hostsOf.get(networkId) ?? new Set()
  return [...rack.snapshot.hosts.values()]
    .flatMap(({ value }) =>
      value.name !== host && members.has(value.name) && value.underlayAddress !== null
        ? [{ host: value.name, underlayAddress: value.underlayAddress }]
        : [],
    )
    .toSorted((a, b) => (a.host < b.host ? -1 : 1))
}

function renderMachine(rack: Rack, machine: StoredObject<MachineValue>): Ungenerated<MachineInstructions> {
  const { id, value } = machine
  return {
    id,
    ...traceOf(machine),
    projectId: value.projectId,
    networkId: value.networkId,
    name: value.name,
    driver: value.driver,
    mac: value.mac,
    addresses: value.addresses.flatMap(({ address, shardId }) => {
      const cidr = rack.snapshot.shards.get(shardId)?.value.cidr
      if (cidr === undefined) return []
      return [{ address, prefixLength: blockOf(cidr).prefixLength, gateway: gatewayOf(cidr) }]
    }),
    ...(value.restartsForAddress === true && { restartsForAddress: true }),
    workloads: [...value.workloads],
  }
}

/** By instance, what it was rendered from, and to: balancers are many, and a change concerns few of them. */
const renderedInstances = new WeakMap<
  StoredObject<InstanceValue>,
  { readonly sources: readonly unknown[]; readonly instructions: Ungenerated<InstanceInstructions> }
>()

function renderInstance(
  rack: Rack,
  instance: StoredObject<InstanceValue>,
  loadBalancer: StoredObject<LoadBalancerValue>,
): Ungenerated<InstanceInstructions> {
  const sources = listSources(rack, instance, loadBalancer)
  const known = renderedInstances.get(instance)
  if (known?.sources.length === sources.length && known.sources.every((source, i) => source === sources[i])) {
    return known.instructions
  }
  const instructions = renderInstanceAnew(rack, instance, loadBalancer)
  renderedInstances.set(instance, { sources, instructions })
  return instructions
}

/** Everything that an instance's instructions are made of; what is stored is never changed in place. */
function listSources(
  rack: Rack,
  instance: StoredObject<InstanceValue>,
  loadBalancer: StoredObject<LoadBalancerValue>,
): readonly unknown[] {
  const slots = rack.snapshot.slots.get(loadBalancer.id)
  return [
    rack.settings,
    loadBalancer,
    slots,
    advertIntervalOf(rack, loadBalancer.id),
    ...(slots?.value.slots ?? []).flatMap(({ slot }) => rack.slotMates.get(slotKey(loadBalancer.id, slot)) ?? []),
    ...loadBalancer.value.members.map(({ machineId }) => rack.snapshot.machines.get(machineId ?? '')),
    listStaying(rack, loadBalancer.value)
      .map(({ id }) => id)
      .join(' '),
    ...(rack.shardsOf.get(instance.value.networkId) ?? []),
  ]
}

function renderInstanceAnew(
  rack: Rack,
  instance: StoredObject<InstanceValue>,
  loadBalancer: StoredObject<LoadBalancerValue>,
): Ungenerated<InstanceInstructions> {
  const { id, value } = instance
  const spec = loadBalancer.value
  const isAlone = othersInSlot(rack.slotMates, instance).length === 0
  return {
    id,
    ...traceOf(loadBalancer),
    loadBalancerId: loadBalancer.id,
    projectId: value.projectId,
    networkId: value.networkId,
    driver: value.driver,
    ...(value.driver === 'vm' && { appliance: applianceInstructions({ id, ...value }, secretOf(rack.settings)) }),
    slot: value.slot,
    uplink: {
      mac: macAddressOf(id, 'uplink'),
      address: value.uplinkAddress,
      prefixLength: rack.uplinkPrefixLength,
      gateway: rack.settings.uplinkGateway,
    },
    network: {
      mac: macAddressOf(id, 'network'),
      address: value.networkAddress,
      ...(value.formerNetworkAddress !== undefined && { formerAddress: value.formerNetworkAddress.address }),
      onLinkCidrs: (rack.shardsOf.get(value.networkId) ?? []).map((shard) => shard.value.cidr),
    },
    vips: renderVips(rack, instance),
    advertIntervalSeconds: advertIntervalOf(rack, loadBalancer.id),
    // Who takes a slot over has nothing to wait for: it is meant to have the VIP as soon as it serves.
    preemptDelaySeconds: isAlone ? rack.settings.preemptDelaySeconds : 0,
    ...(!isAlone && { takesOver: true }),
    trafficType: spec.trafficType,
    algorithm: spec.algorithm,
    forwardedFor: spec.forwardedFor,
    ...renderTraffic(spec, {
      mates: listMates(rack, instance),
      nameServers: (rack.shardsOf.get(value.networkId) ?? []).slice(0, 1).map((shard) => gatewayOf(shard.value.cidr)),
    }),
    healthCheck: { ...spec.healthCheck },
    ...((value.draining === true || isDraining(rack, instance)) && { draining: true }),
    listeners: renderListeners(rack, spec),
  }
}

function secretOf({ secret }: ControllerSettings): Uint8Array {
  if (secret === undefined) throw new Error('BUG: a virtual machine in a rack that has no secret')
  return secret
}

/** The other instances of its balancer, by the address of their leg. */
function listMates(rack: Rack, { id, value }: StoredObject<InstanceValue>): readonly Mate[] {
  const slots = rack.snapshot.slots.get(value.loadBalancerId)?.value.slots ?? []
  return slots.flatMap(({ instanceId }) => {
    const mate = instanceId === id ? undefined : rack.snapshot.instances.get(instanceId ?? '')
    return mate === undefined ? [] : [{ id: mate.id, address: mate.value.networkAddress }]
  })
}

const advertIntervalOf = ({ settings, olderInstances }: Rack, loadBalancerId: string) =>
  advertIntervalSeconds(settings.advertIntervalSeconds, olderInstances.get(loadBalancerId) ?? 0)

function isDraining({ snapshot }: Pick<Rack, 'snapshot'>, { id, value }: StoredObject<InstanceValue>): boolean {
  const slots = snapshot.slots.get(value.loadBalancerId)?.value.slots ?? []
  return slots.some(({ instanceId, drainingSince }) => instanceId === id && drainingSince !== undefined)
}

function renderListeners(rack: Rack, spec: LoadBalancerValue): InstanceInstructions['listeners'] {
  const addressOfMachine = (machineId: string) => {
    const machine = rack.snapshot.machines.get(machineId)?.value
    return machine === undefined || machine.deletingSince !== undefined ? undefined : machine.addresses[0]?.address
  }
  const staying = listStaying(rack, spec)
  return spec.listeners.map((listener) => ({
    port: listener.port,
    ...renderMembers(staying, { trafficType: spec.trafficType, listener, addressOfMachine }),
  }))
}

/**
 * Without those that were told to drain, and those that are about to restart; where none would remain, the latter are
 * better than nobody.
 */
function listStaying({ drainedOf }: Pick<Rack, 'drainedOf'>, spec: LoadBalancerValue): readonly MemberValue[] {
  const wanted = spec.members.filter((member) => member.draining !== true)
  const drained = drainedOf.get(spec.networkId)
  if (drained === undefined) return wanted
  const nameOf = (member: MemberValue) =>
    member.machineId ?? endpointOf(member, spec.trafficType, () => undefined)?.address ?? ''
  const staying = wanted.filter((member) => !drained.has(nameOf(member)))
  return staying.length > 0 ? staying : wanted
}

const traceOf = ({ traceparent }: StoredObject<unknown>) => (traceparent === undefined ? {} : { traceparent })

function append<Value>(groups: Map<string, Value[]>, key: string, value: Value): void {
  const group = groups.get(key)
  if (group === undefined) groups.set(key, [value])
  else group.push(value)
}

function groupBy<Value>(values: readonly Value[], keyOf: (value: Value) => string): Map<string, Value[]> {
  const groups = new Map<string, Value[]>()
  for (const value of values) append(groups, keyOf(value), value)
  return groups
}
