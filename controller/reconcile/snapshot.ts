/** Everything desired, as it is in the store's memory at one moment: what a turn's plans are made of. Reads the store. */

import { blockOf, isIpv6, sizeOf } from '../address-space/cidr.ts'
import { addressesNeverGiven } from '../address-space/taken-bitmap.ts'
import type { Store, StoredObject } from '../control-plane/store.ts'
import type { BreakerValue } from '../load-balancing/life/life-values.ts'
import { wantedCountOf } from '../load-balancing/scaling/wanted-count.ts'
import { type LoadBalancerNameValue, loadBalancerNameKind } from '../names/name-object.ts'
import {
  breakerKind,
  type HostStatusValue,
  type HostValue,
  hostKind,
  hostStatusKind,
  type InstanceStatusValue,
  type InstanceValue,
  instanceKind,
  instanceStatusKind,
  type LoadBalancerScalingValue,
  type LoadBalancerSlotsValue,
  type LoadBalancerStatusValue,
  type LoadBalancerValue,
  loadBalancerKind,
  loadBalancerScalingKind,
  loadBalancerSlotsKind,
  loadBalancerStatusKind,
  type MachineStatusValue,
  type MachineValue,
  type MigrationValue,
  type MoveValue,
  machineKind,
  machineStatusKind,
  migrationKind,
  moveKind,
  type NetworkValue,
  networkKind,
  type ProjectValue,
  projectKind,
  type ShardOccupancyValue,
  type ShardValue,
  shardKind,
  shardOccupancyKind,
} from '../objects.ts'
import { hasSameEntries } from './quiet.ts'

type ById<Value> = ReadonlyMap<string, StoredObject<Value>>

/** Maps keep the order of ids. */
export interface Snapshot {
  readonly projects: ById<ProjectValue>
  readonly hosts: ById<HostValue>
  readonly hostStatuses: ById<HostStatusValue>
  readonly networks: ById<NetworkValue>
  readonly shards: ById<ShardValue>
  readonly shardOccupancies: ById<ShardOccupancyValue>
  readonly migrations: ById<MigrationValue>
  readonly moves: ById<MoveValue>
  readonly machines: ById<MachineValue>
  readonly machineStatuses: ById<MachineStatusValue>
  readonly loadBalancers: ById<LoadBalancerValue>
  readonly loadBalancerStatuses: ById<LoadBalancerStatusValue>
  readonly slots: ById<LoadBalancerSlotsValue>
  readonly scalings: ById<LoadBalancerScalingValue>
  readonly names: ById<LoadBalancerNameValue>
  readonly instances: ById<InstanceValue>
  readonly instanceStatuses: ById<InstanceStatusValue>
  /** One at most. */
  readonly breakers: ById<BreakerValue>
}

export function readSnapshot(store: Pick<Store, 'snapshot'>): Snapshot {
  return {
    projects: byId(store.snapshot(projectKind)),
    hosts: byId(store.snapshot(hostKind)),
    hostStatuses: byId(store.snapshot(hostStatusKind)),
    networks: byId(store.snapshot(networkKind)),
    shards: byId(store.snapshot(shardKind)),
    shardOccupancies: byId(store.snapshot(shardOccupancyKind)),
    migrations: byId(store.snapshot(migrationKind)),
    moves: byId(store.snapshot(moveKind)),
    machines: byId(store.snapshot(machineKind)),
    machineStatuses: byId(store.snapshot(machineStatusKind)),
    loadBalancers: byId(store.snapshot(loadBalancerKind)),
    loadBalancerStatuses: byId(store.snapshot(loadBalancerStatusKind)),
    slots: byId(store.snapshot(loadBalancerSlotsKind)),
    scalings: byId(store.snapshot(loadBalancerScalingKind)),
    names: byId(store.snapshot(loadBalancerNameKind)),
    instances: byId(store.snapshot(instanceKind)),
    instanceStatuses: byId(store.snapshot(instanceStatusKind)),
    breakers: byId(store.snapshot(breakerKind)),
  }
}

/** True when host instructions made of either are the same: every object that they are made of is the very same. */
export function rendersTheSame(a: Snapshot, b: Snapshot): boolean {
  return renderedParts.every((part) => hasSameEntries<unknown>(a[part], b[part]))
}

const renderedParts = [
  'projects',
  'hosts',
  'networks',
  'shards',
  'machines',
  'loadBalancers',
  'slots',
  'instances',
] as const satisfies readonly (keyof Snapshot)[]

/** An instance goes when it is deleted itself, or its balancer is, or no slot of its balancer names it any more. */
export function isLeaving(snapshot: Snapshot, instance: StoredObject<InstanceValue>): boolean {
  const loadBalancer = snapshot.loadBalancers.get(instance.value.loadBalancerId)
  return (
    instance.value.deletingSince !== undefined ||
    loadBalancer === undefined ||
    loadBalancer.value.deletingSince !== undefined ||
    !isInSlot(snapshot, instance)
  )
}

function isInSlot({ slots }: Snapshot, { id, value }: StoredObject<InstanceValue>): boolean {
  return (
    slots
      .get(value.loadBalancerId)
      ?.value.slots.some(({ instanceId, former }) => instanceId === id || former?.instanceId === id) === true
  )
}

/** How many instances a balancer is to have now. */
export function wantedCount(
  { scalings }: Snapshot,
  { id, value }: StoredObject<LoadBalancerValue>,
  now: number,
): number {
  return wantedCountOf(value, scalings.get(id)?.value ?? null, now)
}

/** How many addresses of IPv4 a network can still give. */
export function countFreeAddresses(snapshot: Snapshot, networkId: string): number {
  let free = 0
  for (const { id, value } of snapshot.shards.values()) {
    if (value.networkId !== networkId || value.reserved || value.migrationId !== undefined) continue
    if (isIpv6(value.cidr)) continue
    const held = snapshot.shardOccupancies.get(id)?.value.resourceCount ?? 0
    free += sizeOf(blockOf(value.cidr)) - addressesNeverGiven - held
  }
  return free
}

const byId = <Value>(objects: readonly StoredObject<Value>[]): ById<Value> =>
  new Map(objects.map((object) => [object.id, object]))
