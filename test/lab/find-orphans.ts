/**
 * What is in a world that nobody wants any more, or is wanted and isn't there: a pure function of what was read. Each
 * finding is a sentence.
 */

import { loadBalancerNameKind } from '../../controller/names/name-object.ts'
import {
  addressKind,
  hostKind,
  instanceKind,
  instanceStatusKind,
  loadBalancerKind,
  loadBalancerSlotsKind,
  loadBalancerStatusKind,
  machineKind,
  machineStatusKind,
  networkKind,
  poolKind,
  poolOccupancyKind,
  projectKind,
  projectSpaceKind,
  reservationKind,
  shardKind,
  shardOccupancyKind,
} from '../../controller/objects.ts'
import type { HostContent, StoreContent, World } from './lab-world.ts'

export function findOrphans(world: World): readonly string[] {
  return [
    ...findReservations(world.store),
    ...findAddresses(world.store),
    ...findParts(world.store),
    ...findDoubles(world.store),
    ...world.hosts.flatMap((host) => findOnHost(world.store, host)),
    ...findDaemons(world),
  ]
}

function findReservations(store: StoreContent): readonly string[] {
  return store.of(reservationKind).flatMap(({ value }) => {
    const what = `the reservation ${value.words.join(' ')}`
    if (!store.has(value.ownerId)) return [`${what} belongs to ${value.ownerId}, which is not there`]
    const [sort, ...words] = value.words
    if (sort === 'uplink' && !uplinkAddresses(store).includes(words[0] ?? '')) return [`${what} is used by nobody`]
    return []
  })
}

const uplinkAddresses = (store: StoreContent) => [
  ...store.of(loadBalancerSlotsKind).flatMap(({ value }) => value.slots.map(({ vip }) => vip)),
  ...store.of(instanceKind).map(({ value }) => value.uplinkAddress),
]

function findAddresses(store: StoreContent): readonly string[] {
  const wanted = new Set([
    ...store.of(machineKind).flatMap(({ id, value }) => value.addresses.map(({ address }) => `${id} ${address}`)),
    ...store.of(instanceKind).map(({ id, value }) => `${id} ${value.networkAddress}`),
  ])
  const held = new Set(store.of(addressKind).map(({ value }) => `${value.ownerId} ${value.address}`))
  return [
    ...[...held].filter((one) => !wanted.has(one)).map((one) => `the address of ${one} is wanted by nobody`),
    ...[...wanted].filter((one) => !held.has(one)).map((one) => `the address of ${one} is not held`),
    ...store.of(shardOccupancyKind).flatMap(({ id, value }) => {
      const count = store.of(addressKind).filter((address) => address.value.shardId === id).length
      return count === value.resourceCount
        ? []
        : [`the shard ${id} counts ${value.resourceCount} resources and has ${count}`]
    }),
  ]
}

/** Objects that are nothing without another. */
function findParts(store: StoreContent): readonly string[] {
  const idsOf = (kind: Parameters<StoreContent['of']>[0]) => new Set(store.of(kind).map(({ id }) => id))
  const sameIds = [
    [loadBalancerStatusKind, loadBalancerKind],
    [loadBalancerSlotsKind, loadBalancerKind],
    [loadBalancerNameKind, loadBalancerKind],
    [instanceStatusKind, instanceKind],
    [machineStatusKind, machineKind],
    [shardOccupancyKind, shardKind],
    [poolOccupancyKind, poolKind],
  ] as const
  const balancers = idsOf(loadBalancerKind)
  const shards = store.of(shardKind)
  return [
    ...sameIds.flatMap(([part, whole]) => {
      const wholes = idsOf(whole)
      return [...idsOf(part)]
        .filter((id) => !wholes.has(id))
        .map((id) => `the ${part.name} of ${id} has no ${whole.name}`)
    }),
    ...store
      .of(instanceKind)
      .flatMap(({ id, value }) =>
        balancers.has(value.loadBalancerId) ? [] : [`the instance ${id} has no load balancer`],
      ),
    ...store
      .of(poolOccupancyKind)
      .flatMap(({ id, value }) =>
        value.cuts.flatMap(({ shardId, cidr }) =>
          shards.some((shard) => shard.id === shardId && shard.value.cidr === cidr)
            ? []
            : [`the pool ${id} has a cut ${cidr} for ${shardId}, which is not there`],
        ),
      ),
    ...store
      .of(projectSpaceKind)
      .flatMap(({ value }) =>
        value.pools.flatMap(({ poolId }) =>
          store.has(poolId) ? [] : [`a project's space has ${poolId}, which is not there`],
        ),
      ),
  ]
}

function findDoubles(store: StoreContent): readonly string[] {
  const doubled = (what: string, all: readonly string[]) =>
    [...new Set(all.filter((one, index) => all.indexOf(one) !== index))].map((one) => `${what} ${one} is there twice`)
  const named = [projectKind, networkKind, poolKind, machineKind, loadBalancerKind, hostKind] as const
  return [
    ...doubled('the uplink address', uplinkAddresses(store)),
    ...doubled(
      'the VNI',
      store.of(networkKind).map(({ value }) => String(value.vni)),
    ),
    ...named.flatMap((kind) => {
      const names = store.of<{ readonly name: string; readonly projectId?: string }>(kind)
      return doubled(
        `the ${kind.name}`,
        names.map(({ value }) => `${value.name} of ${value.projectId ?? 'all'}`),
      )
    }),
  ]
}

/** What a host has must be wanted there, and the other way round. */
function findOnHost(store: StoreContent, host: HostContent): readonly string[] {
  const hostId = store.of(hostKind).find(({ value }) => value.name === host.name)?.id
  const here = [...store.of(machineKind), ...store.of(instanceKind)].filter(({ value }) => value.hostId === hostId)
  const ids = new Set(here.map(({ id }) => id))
  // A host has a network's gateway where it has a machine or an instance of it.
  const around = new Set(here.flatMap(({ value }) => [value.projectId, value.networkId]))
  const isOurs = (id: string) => /^[a-z]{2,4}_[0-9a-hjkmnp-tv-z]{25}$/.test(id)
  const found = [...new Set([...host.namespaces.filter(isOurs), ...host.aliases])]
  return [
    ...found
      .filter((id) => !ids.has(id) && !around.has(id))
      .map((id) => `${host.name} has ${id}, which is not wanted there`),
    ...[...ids].filter((id) => !host.namespaces.includes(id)).map((id) => `${host.name} has no namespace ${id}`),
  ]
}

function findDaemons({ store, daemons }: World): readonly string[] {
  return daemons.filter((mark) => !store.has(mark.split('/')[0] ?? '')).map((mark) => `${mark} runs for nobody`)
}
