/** Whether a balancer or an instance still wants an address on the uplink: what the sweep of reservations asks. */

import type { HostInstructions } from '../../agent/contract/host-instructions.ts'
import type { Judges } from '../access/sweep-reservations.ts'
import type { Store, StoredObject } from '../control-plane/store.ts'
import { hostKind, type InstanceValue, instanceKind, loadBalancerSlotsKind } from '../objects.ts'
import type { ObservedHosts } from '../observed/observed-hosts.ts'
import { findInstanceReport } from '../observed/report-index.ts'

export interface UplinkEvidence {
  /** What each host was told last, by its name. */
  readonly published: ReadonlyMap<string, HostInstructions>
  readonly observed: Pick<ObservedHosts, 'get'>
}

/**
 * A VIP is wanted while a slot has it, and until every instance of its balancer has let go of it: one that is on its way
 * out, or on a host that is silent, may still hold it. An instance's own address is wanted while the instance says that it
 * is its. For one sweep.
 */
export function createUplinkJudges(store: Pick<Store, 'snapshot'>, evidence: UplinkEvidence): Judges {
  const instances = store.snapshot(instanceKind)
  const ownAddresses = new Map(instances.map(({ id, value }) => [id, value.uplinkAddress]))
  const instancesOf = Map.groupBy(instances, ({ value }) => value.loadBalancerId)
  const vips = new Map(store.snapshot(loadBalancerSlotsKind).map(({ id, value }) => [id, value.slots]))
  const hostNames = new Map(store.snapshot(hostKind).map(({ id, value }) => [id, value.name]))
  return {
    uplink: ({ value: { ownerId, ownerKind, words } }) => {
      const [, address = ''] = words
      // One that came after this reading began is young, or comes up in the next sweep.
      if (ownerKind === instanceKind.name) return (ownAddresses.get(ownerId) ?? address) === address
      const slots = vips.get(ownerId)
      if (slots === undefined || slots.some(({ vip }) => vip === address)) return true
      const own = instancesOf.get(ownerId) ?? []
      return !own.every((instance) => hasLetGo(evidence, hostNames.get(instance.value.hostId), instance, address))
    },
  }
}

/** Its host was told of it without the VIP, and has answered that. Where the host has been deleted, nothing is left. */
function hasLetGo(
  { published, observed }: UplinkEvidence,
  host: string | undefined,
  { id }: StoredObject<InstanceValue>,
  vip: string,
): boolean {
  if (host === undefined) return true
  const told = published.get(host)?.instances.find((instance) => instance.id === id)
  const report = observed.get(host)?.report
  const found = report === undefined ? undefined : findInstanceReport(report, id)
  if (told === undefined || report === undefined || found === undefined) return false
  if (told.vips.some(({ address }) => address === vip)) return false
  return found.status === 'converged' && Math.min(report.generation, found.generation) >= told.generation
}
