/** Whether a balancer can be as it is wanted, taken as a whole. Reads the store; what is wrong is named by field. */

import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import type { Store } from '../control-plane/store.ts'
import { type LoadBalancerValue, machineKind } from '../objects.ts'
import { findCycleFaults } from './find-cycles.ts'
import { findTrafficFaults, type MemberFault } from './members.ts'
import { findScalingFaults } from './scaling/check-scaling.ts'
import { findSettingFaults } from './setting-faults.ts'

/**
 * @param id the balancer's own
 * @param known members that it had before: one whose machine has gone since is kept as it is
 */
export function checkLoadBalancer(
  store: Pick<Store, 'snapshot'>,
  id: string,
  value: LoadBalancerValue,
  known: readonly { readonly id: string }[] = [],
): Outcome<null> {
  const machines = new Map(store.snapshot(machineKind, value.projectId).map((machine) => [machine.id, machine.value]))
  const addressOfMachine = (id: string) => {
    const machine = machines.get(id)
    return machine?.deletingSince === undefined ? machine?.addresses[0]?.address : undefined
  }
  const knownIds = new Set(known.map(({ id }) => id))
  const faults = [
    ...value.members.flatMap((member, i): MemberFault[] => {
      if (member.machineId === null || knownIds.has(member.id)) return []
      const field = `members[${i}].machineId`
      const machine = machines.get(member.machineId)
      if (machine === undefined || machine.projectId !== value.projectId) {
        return [{ field, message: `there is no machine ${member.machineId} in the project` }]
      }
      if (machine.deletingSince !== undefined) {
        return [{ field, message: `the machine '${machine.name}' is being deleted` }]
      }
      if (machine.networkId === value.networkId) return []
      return [{ field, message: `the machine '${machine.name}' is on another network` }]
    }),
    ...findTrafficFaults(value, addressOfMachine),
    ...findCycleFaults(store, id, value),
    ...findSettingFaults(value),
    ...findScalingFaults(value.autoScaling),
  ]
  return faults.length === 0 ? succeed(null) : refuseFaults(faults)
}

export function refuseFaults(faults: readonly MemberFault[]) {
  return refuse({
    code: 'invalid',
    title: 'The load balancer can not be as it is wanted',
    detail: faults.map(({ field, message }) => `${field}: ${message}`).join('; '),
    remedy: 'Change the fields that are named, and ask again. Nothing was changed.',
    errors: faults,
  })
}
