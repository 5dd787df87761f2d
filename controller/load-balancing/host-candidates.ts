/**
 * The hosts on which something new can run, with their load. What this controller is placing at this moment counts as
 * well, so that many creations at once spread as they would one after another.
 */

import type { Store, StoredObject } from '../control-plane/store.ts'
import {
  type HostStatusValue,
  type HostValue,
  hostKind,
  hostStatusKind,
  type InstanceValue,
  instanceKind,
  type MachineValue,
  machineKind,
} from '../objects.ts'
import type { HostCandidate } from './place-instances.ts'

export interface HostCandidates {
  list(): readonly HostCandidate[]
  /** Counts these as load until the returned function is called: when they are written, or given up. */
  hold(kind: 'instances' | 'machines', hostIds: readonly string[]): () => void
}

export function createHostCandidates(store: Pick<Store, 'snapshot'>): HostCandidates {
  const held = { instances: new Map<string, number>(), machines: new Map<string, number>() }
  const add = (kind: 'instances' | 'machines', hostId: string, difference: number) =>
    held[kind].set(hostId, (held[kind].get(hostId) ?? 0) + difference)
  return {
    list: () =>
      listHostCandidates({
        hosts: store.snapshot(hostKind),
        hostStatuses: store.snapshot(hostStatusKind),
        instances: store.snapshot(instanceKind),
        machines: store.snapshot(machineKind),
      }).map((host) => ({
        ...host,
        instances: host.instances + (held.instances.get(host.id) ?? 0),
        machines: host.machines + (held.machines.get(host.id) ?? 0),
      })),
    hold(kind, hostIds) {
      for (const hostId of hostIds) add(kind, hostId, 1)
      return () => {
        for (const hostId of hostIds) add(kind, hostId, -1)
      }
    },
  }
}

/** Pure: those that have joined, are heard of and are not in maintenance. */
export function listHostCandidates(rack: {
  readonly hosts: Iterable<StoredObject<HostValue>>
  readonly hostStatuses: Iterable<StoredObject<HostStatusValue>>
  readonly instances: Iterable<StoredObject<InstanceValue>>
  readonly machines: Iterable<StoredObject<MachineValue>>
}): readonly HostCandidate[] {
  const active = new Set<string>()
  for (const { id, value } of rack.hostStatuses) if (value.status === 'active') active.add(id)
  const instances = countByHost(rack.instances)
  const machines = countByHost(rack.machines)
  return [...rack.hosts].flatMap(({ id, value }) =>
    active.has(id) && value.joinedAt !== null && !value.maintenance
      ? [{ id, name: value.name, instances: instances.get(id) ?? 0, machines: machines.get(id) ?? 0 }]
      : [],
  )
}

function countByHost(objects: Iterable<StoredObject<{ readonly hostId: string }>>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { value } of objects) counts.set(value.hostId, (counts.get(value.hostId) ?? 0) + 1)
  return counts
}
