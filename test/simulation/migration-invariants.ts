/** What must hold of migrations besides what holds of every rack. Each answers what is wrong. */

import { addressOf, blockOf, containsAddress } from '../../controller/address-space/cidr.ts'
import type { Change, Store, StoredObject } from '../../controller/control-plane/store.ts'
import {
  type AddressValue,
  addressKind,
  hostKind,
  instanceKind,
  loadBalancerKind,
  type MoveValue,
  machineKind,
  migrationKind,
  moveKind,
  type ShardValue,
  shardKind,
} from '../../controller/objects.ts'
import type { SimulatedHost } from './simulated-host.ts'
import type { Simulation } from './simulation.ts'

/** Migrations that have neither ended nor are blocked, with their moves. */
export const findRunning = ({ store }: Pick<Simulation, 'store'>): readonly string[] =>
  store.snapshot(migrationKind).flatMap(({ id, value }) => {
    if (value.status !== 'running') return []
    const moves = store.snapshot(moveKind, id).filter((move) => move.value.migrationId === id)
    const steps = moves.map((move) => `${move.value.name} (${move.value.ownerId}) is at ${move.value.step}`)
    return [`${id} of ${value.shardId} is to ${value.wanted}, and ${steps.join(', ')}`]
  })

/** At rest: whoever has an address has just one, its host has that, and every host of its network finds it there. */
export function findUnreachable({ store, hosts }: Pick<Simulation, 'store' | 'hosts'>): readonly string[] {
  const hostNames = new Map(store.snapshot(hostKind).map(({ id, value }) => [id, value.name]))
  const machines = store.snapshot(machineKind).flatMap(({ id, value }) => {
    const [only] = value.addresses
    const isPlain = value.drained !== true && value.restartsForAddress !== true
    if (only === undefined || value.addresses.length > 1 || !isPlain) {
      return [`${id} is to have ${JSON.stringify(value)}`]
    }
    return findUnserved({ store, hosts }, { ...value, ...only, id, host: hostNames.get(value.hostId) })
  })
  const instances = store.snapshot(instanceKind).flatMap(({ id, value }) => {
    if (value.formerNetworkAddress !== undefined) return [`${id} is to have ${JSON.stringify(value)}`]
    const { networkAddress: address, networkShardId: shardId, networkId } = value
    return findUnserved({ store, hosts }, { id, networkId, address, shardId, host: hostNames.get(value.hostId) })
  })
  return [...machines, ...instances]
}

interface Holder {
  readonly id: string
  readonly networkId: string
  readonly address: string
  readonly shardId: string
  /** By name. */
  readonly host: string | undefined
}

function findUnserved({ store, hosts }: Pick<Simulation, 'store' | 'hosts'>, holder: Holder): readonly string[] {
  const { id, networkId, address, shardId, host } = holder
  const shard = store.snapshot(shardKind).find((one) => one.id === shardId)?.value
  const isOfNetwork = shard?.networkId === networkId && containsAddress(blockOf(shard.cidr), addressOf(address))
  const running = listRunning(
    hosts.find(({ name }) => name === host),
    id,
  )
  const strangers = hosts.filter(({ applied }) => {
    const network = applied?.networks.find((one) => one.id === networkId)
    if (network === undefined) return false
    const isRouted = network.shards.some(({ cidr }) => containsAddress(blockOf(cidr), addressOf(address)))
    const known = network.neighbours.filter((neighbour) => neighbour.address === address || neighbour.id === id)
    const isKnown = known.length === 1 && known[0]?.id === id && known[0].address === address && known[0].host === host
    return !isRouted || !isKnown
  })
  return [
    ...(isOfNetwork ? [] : [`${id} is at ${address}, which is not of its network ${networkId}`]),
    ...(running.join(' ') === address ? [] : [`${id} is to have ${address} and has ${running.join(' ')}`]),
    ...strangers.map(({ name }) => `${name} does not find ${id} at ${address}`),
  ]
}

function listRunning(host: SimulatedHost | undefined, id: string): readonly string[] {
  const machine = host?.applied?.machines.find((one) => one.id === id)
  const network = host?.applied?.instances.find((one) => one.id === id)?.network
  return [
    ...(machine?.addresses ?? []).map(({ address }) => address),
    ...(network === undefined ? [] : [network.address, network.formerAddress ?? []].flat()),
  ]
}

/** A shard is marked while its migration is open, and not after. */
export const findMarks = ({ store }: Pick<Simulation, 'store'>): readonly string[] =>
  store
    .snapshot(shardKind)
    .flatMap(({ id, value }) => (value.migrationId === undefined ? [] : [`${id} is marked by ${value.migrationId}`]))

/** The members that name machines by their addresses now, and which of them name another one later. */
export function watchMembers({ store }: Pick<Simulation, 'store'>): { findAstray(): readonly string[] } {
  const machineAt = new Map(
    store.snapshot(machineKind).map(({ id, value }) => [`${value.networkId} ${value.addresses[0]?.address}`, id]),
  )
  const followed = store.snapshot(loadBalancerKind).flatMap(({ id, value }) =>
    value.members.flatMap((member) => {
      const machineId = machineAt.get(`${value.networkId} ${member.address}`)
      return machineId === undefined ? [] : [{ balancerId: id, memberId: member.id, machineId }]
    }),
  )
  return {
    findAstray: () =>
      followed.flatMap(({ balancerId, memberId, machineId }) => {
        const balancer = store.snapshot(loadBalancerKind).find(({ id }) => id === balancerId)
        const machine = store.snapshot(machineKind).find(({ id }) => id === machineId)
        if (balancer === undefined || machine === undefined) return []
        const named = balancer.value.members.find(({ id }) => id === memberId)?.address
        const address = machine.value.addresses[0]?.address
        return named === address ? [] : [`${balancerId} has ${machineId} at ${named}, which is at ${address}`]
      }),
  }
}

/**
 * Nobody is given an address of a shard while that is marked, but for a holder that goes back to its own: then its move
 * says so in the same transaction.
 */
export function watchMarkedShards(store: Pick<Store, 'subscribe'>): { readonly violations: readonly string[] } {
  const violations: string[] = []
  const held = new Map<string, AddressValue>()
  const marked = new Set<string>()
  const isBack = (changes: readonly Change[], { ownerId, address }: AddressValue) =>
    listChanges<MoveValue>(changes, moveKind.name).some(
      ({ value }) => value?.step === 'returning' && value.ownerId === ownerId && value.from.address === address,
    )
  store.subscribe((changes) => {
    for (const { id, value } of listChanges<AddressValue>(changes, addressKind.name)) {
      const before = held.get(id)
      if (value === null) held.delete(id)
      else held.set(id, value)
      if (value === null || before?.ownerId === value.ownerId || !marked.has(value.shardId)) continue
      if (!isBack(changes, value)) violations.push(`${value.address} of ${value.shardId} was given to ${value.ownerId}`)
    }
    for (const { id, value } of listChanges<ShardValue>(changes, shardKind.name)) {
      if (value?.migrationId === undefined) marked.delete(id)
      else marked.add(id)
    }
  })
  return { violations }
}

const listChanges = <Value>(changes: readonly Change[], kind: string) =>
  changes.flatMap(({ object }) => (object.kind === kind ? [object as StoredObject<Value | null>] : []))
