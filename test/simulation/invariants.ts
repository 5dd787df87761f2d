/** What must hold of a rack: at every moment, and once everything has come to rest. Each answers what is wrong. */

import { addressOf, blockOf, sizeOf } from '../../controller/address-space/cidr.ts'
import { countTaken, decodeBitmap, isTaken } from '../../controller/address-space/taken-bitmap.ts'
import type { Kind, Store } from '../../controller/control-plane/store.ts'
import { wantedCountOf } from '../../controller/load-balancing/scaling/wanted-count.ts'
import {
  addressKind,
  hostKind,
  instanceKind,
  instanceStatusKind,
  loadBalancerKind,
  loadBalancerScalingKind,
  loadBalancerSlotsKind,
  loadBalancerStatusKind,
  machineKind,
  machineStatusKind,
  networkKind,
  poolKind,
  poolOccupancyKind,
  reservationKind,
  shardKind,
  shardOccupancyKind,
} from '../../controller/objects.ts'
import { countFreeAddresses, readSnapshot } from '../../controller/reconcile/snapshot.ts'
import type { SimulatedHost } from './simulated-host.ts'

/** Holds always: no address is anybody's twice, not even of what a silent host still runs. */
export function findDoubles(store: Store, hosts: readonly SimulatedHost[]): readonly string[] {
  const wanted = [
    ...store
      .snapshot(instanceKind)
      .flatMap(({ id, value }) => [
        [`uplink ${value.uplinkAddress}`, id],
        [`${value.networkId} ${value.networkAddress}`, id],
        ...(value.formerNetworkAddress ? [[`${value.networkId} ${value.formerNetworkAddress.address}`, id]] : []),
      ]),
    ...store
      .snapshot(machineKind)
      .flatMap(({ id, value }) => value.addresses.map(({ address }) => [`${value.networkId} ${address}`, id])),
    ...store
      .snapshot(loadBalancerSlotsKind)
      .flatMap(({ id, value }) => value.slots.map(({ vip }) => [`uplink ${vip}`, id])),
  ]
  const running = hosts.flatMap(({ applied }) => [
    ...(applied?.instances ?? []).flatMap((instance) => [
      [`uplink ${instance.uplink.address}`, instance.id],
      [`${instance.networkId} ${instance.network.address}`, instance.id],
      ...(instance.network.formerAddress
        ? [[`${instance.networkId} ${instance.network.formerAddress}`, instance.id]]
        : []),
      ...instance.vips.map(({ address }) => [`uplink ${address}`, instance.loadBalancerId]),
    ]),
    ...(applied?.machines ?? []).flatMap(({ id, networkId, addresses }) =>
      addresses.map(({ address }) => [`${networkId} ${address}`, id]),
    ),
  ])
  const holders = new Map<string, Set<string>>()
  for (const [place = '', holder = ''] of [...wanted, ...running]) {
    holders.set(place, (holders.get(place) ?? new Set()).add(holder))
  }
  return [...holders].flatMap(([place, ids]) => (ids.size > 1 ? [`${place} is held by ${[...ids].join(' and ')}`] : []))
}

/**
 * Holds always: whatever anybody wants or runs an address with is held for just that one in the store, on silent hosts
 * too; and what a shard counts are those that are held.
 */
export function findUnheld(store: Store, hosts: readonly SimulatedHost[]): readonly string[] {
  const addresses = store.snapshot(addressKind)
  const held = new Set(addresses.map(({ value }) => `${value.ownerId} ${value.address}`))
  const wanted = [
    ...store.snapshot(machineKind).flatMap(({ id, value }) => value.addresses.map(({ address }) => `${id} ${address}`)),
    ...store
      .snapshot(instanceKind)
      .flatMap(({ id, value }) =>
        [value.networkAddress, value.formerNetworkAddress?.address ?? []].flat().map((address) => `${id} ${address}`),
      ),
  ]
  const running = hosts.flatMap(({ applied }) => [
    ...(applied?.machines ?? []).flatMap((one) => one.addresses.map(({ address }) => `${one.id} ${address}`)),
    ...(applied?.instances ?? []).flatMap(({ id, network }) =>
      [network.address, network.formerAddress ?? []].flat().map((address) => `${id} ${address}`),
    ),
  ])
  const counts = Map.groupBy(addresses, ({ value }) => value.shardId)
  return [
    ...wanted.filter((one) => !held.has(one)).map((one) => `${one} is wanted and not held`),
    ...running.filter((one) => !held.has(one)).map((one) => `${one} is run and not held`),
    ...store.snapshot(shardOccupancyKind).flatMap(({ id, value }) => {
      const count = counts.get(id)?.length ?? 0
      return value.resourceCount === count ? [] : [`${id} counts ${value.resourceCount} of ${count}`]
    }),
  ]
}

/** Holds at rest: everything is whole or absent, and nothing is left over. */
export function findLeftovers(store: Store, hosts: readonly SimulatedHost[]): readonly string[] {
  return [...findUnsettled(store), ...findOrphans(store), ...findWrongRecords(store), ...findUnwanted(store, hosts)]
}

const idsOf = (store: Store, kind: Kind<unknown>) => new Set(store.snapshot(kind).map(({ id }) => id))

function findUnsettled(store: Store): string[] {
  const statuses = new Map(store.snapshot(loadBalancerStatusKind).map(({ id, value }) => [id, value]))
  const slots = new Map(store.snapshot(loadBalancerSlotsKind).map(({ id, value }) => [id, value.slots]))
  const instances = new Map(store.snapshot(instanceKind).map((instance) => [instance.id, instance.value]))
  const machineStatuses = new Map(store.snapshot(machineStatusKind).map(({ id, value }) => [id, value]))
  const scalings = new Map(store.snapshot(loadBalancerScalingKind).map(({ id, value }) => [id, value]))
  return [
    ...store.snapshot(loadBalancerKind).flatMap(({ id, value, version }) => {
      const status = statuses.get(id)
      const wanted = wantedCountOf(value, scalings.get(id) ?? null, 0)
      const own = slots.get(id) ?? []
      const wrong: string[] = []
      // One that lacks instances may do so only where there is no address left for them.
      if (value.deletingSince === undefined && own.length < wanted) {
        const isFull = countFreeAddresses(readSnapshot(store), value.networkId) <= 0
        return isFull && status?.status === 'degraded'
          ? []
          : [`${id} is ${status?.status}, without ${JSON.stringify(own)}`]
      }
      if (value.deletingSince !== undefined) wrong.push(`${id} is still being deleted`)
      if (status?.status !== 'active') wrong.push(`${id} is ${status?.status}: ${JSON.stringify(status?.conditions)}`)
      if (status?.observedGeneration !== version) wrong.push(`${id} is not settled at ${version}`)
      if (own.length !== wanted) wrong.push(`${id} has ${own.length} of ${wanted} slots`)
      for (const { slot, instanceId } of own) {
        if (instances.get(instanceId ?? '')?.slot !== slot) wrong.push(`${id} has nothing in slot ${slot}`)
      }
      return wrong
    }),
    ...store.snapshot(machineKind).flatMap(({ id, value, version }) => {
      const status = machineStatuses.get(id)
      if (value.deletingSince !== undefined) return [`${id} is still being deleted`]
      return status?.status === 'active' && status.observedGeneration === version ? [] : [`${id} is ${status?.status}`]
    }),
    ...store
      .snapshot(networkKind)
      .flatMap(({ id, value }) => (value.deletingSince === undefined ? [] : [`${id} is still being deleted`])),
  ]
}

function findOrphans(store: Store): string[] {
  const balancers = idsOf(store, loadBalancerKind)
  const instances = idsOf(store, instanceKind)
  const machines = idsOf(store, machineKind)
  const slotted = new Set(
    store.snapshot(loadBalancerSlotsKind).flatMap(({ value }) => value.slots.map(({ instanceId }) => instanceId)),
  )
  const beside = (kind: Kind<unknown>, owners: ReadonlySet<string>) =>
    [...idsOf(store, kind)].flatMap((id) => (owners.has(id) ? [] : [`the ${kind.name} of ${id} is left over`]))
  const owners = new Set([
    ...[networkKind, poolKind, shardKind, hostKind].flatMap((kind) => [...idsOf(store, kind)]),
    ...balancers,
    ...instances,
    ...machines,
  ])
  return [
    ...beside(loadBalancerStatusKind, balancers),
    ...beside(loadBalancerSlotsKind, balancers),
    ...beside(instanceStatusKind, instances),
    ...beside(machineStatusKind, machines),
    ...beside(shardOccupancyKind, idsOf(store, shardKind)),
    ...beside(poolOccupancyKind, idsOf(store, poolKind)),
    ...store
      .snapshot(instanceKind)
      .flatMap(({ id, value }) =>
        balancers.has(value.loadBalancerId) && slotted.has(id) ? [] : [`the instance ${id} is nobody's`],
      ),
    ...store
      .snapshot(reservationKind)
      .flatMap(({ value }) =>
        owners.has(value.ownerId) ? [] : [`${value.words.join(' ')} of ${value.ownerId} is left over`],
      ),
    ...findUplinkOrphans(store),
  ]
}

function findUplinkOrphans(store: Store): string[] {
  const used = new Set([
    ...store.snapshot(loadBalancerSlotsKind).flatMap(({ value }) => value.slots.map(({ vip }) => vip)),
    ...store.snapshot(instanceKind).map(({ value }) => value.uplinkAddress),
  ])
  const reserved = new Set(
    store.snapshot(reservationKind).flatMap(({ value }) => (value.words[0] === 'uplink' ? [value.words[1] ?? ''] : [])),
  )
  return [
    ...[...used].flatMap((address) => (reserved.has(address) ? [] : [`${address} is used and not reserved`])),
    ...[...reserved].flatMap((address) => (used.has(address) ? [] : [`${address} is reserved and not used`])),
  ]
}

/** A shard's record says what its addresses say, and each address belongs to one who has it. */
function findWrongRecords(store: Store): string[] {
  const addresses = store.snapshot(addressKind)
  const has = new Set([
    ...store.snapshot(instanceKind).map(({ id, value }) => `${id} ${value.networkAddress}`),
    ...store.snapshot(machineKind).flatMap(({ id, value }) => value.addresses.map(({ address }) => `${id} ${address}`)),
  ])
  const occupancies = new Map(store.snapshot(shardOccupancyKind).map(({ id, value }) => [id, value]))
  return [
    ...addresses.flatMap(({ value }) =>
      has.has(`${value.ownerId} ${value.address}`) ? [] : [`${value.address} of ${value.ownerId} is left over`],
    ),
    ...(addresses.length === has.size ? [] : [`${has.size} addresses are had, ${addresses.length} are held`]),
    ...store.snapshot(shardKind).flatMap(({ id, value }) => {
      const occupancy = occupancies.get(id)
      if (occupancy === undefined) return [`${id} has no record`]
      const held = addresses.filter((address) => address.value.shardId === id)
      const bitmap = decodeBitmap(occupancy.takenBitmap)
      const block = blockOf(value.cidr)
      const missing = held.filter((address) => !isTaken(bitmap, addressOf(address.value.address) - block.first))
      const wrong: string[] = []
      if (occupancy.resourceCount !== held.length)
        wrong.push(`${id} counts ${occupancy.resourceCount} of ${held.length}`)
      if (countTaken(bitmap) !== held.length + 3) wrong.push(`${id} has ${countTaken(bitmap)} of ${sizeOf(block)} bits`)
      return [...wrong, ...missing.map((address) => `${address.value.address} is held and free`)]
    }),
  ]
}

/** Every host has what is there, and nothing else. */
function findUnwanted(store: Store, hosts: readonly SimulatedHost[]): string[] {
  const names = new Map(store.snapshot(hostKind).map(({ id, value }) => [id, value.name]))
  return hosts.flatMap(({ name, applied }) => {
    const wanted = [...store.snapshot(instanceKind), ...store.snapshot(machineKind)]
      .filter(({ value }) => names.get(value.hostId) === name)
      .map(({ id }) => id)
      .toSorted()
    const found = [...(applied?.instances ?? []), ...(applied?.machines ?? [])].map(({ id }) => id).toSorted()
    return Bun.deepEquals(wanted, found) ? [] : [`${name} should have ${wanted.join(' ')} and has ${found.join(' ')}`]
  })
}
