/** Which objects of a host are virtual machines, so that each room sees what is its own. Pure. */

import type { HostInstructions, InstanceInstructions } from '../contract/host-instructions.ts'
import type { Room } from '../room.ts'

export const applianceInstances = ({ instances }: HostInstructions): readonly InstanceInstructions[] =>
  instances.filter(({ driver }) => driver === 'vm')

const withoutMachines = new WeakMap<HostInstructions, HostInstructions>()

/** The same for the same statement, since rooms remember by it. */
function hideVirtualMachines(desired: HostInstructions): HostInstructions {
  const known = withoutMachines.get(desired)
  if (known !== undefined) return known
  const isNamespace = ({ driver }: { readonly driver: string }) => driver === 'netns'
  const hasNone = desired.machines.every(isNamespace) && desired.instances.every(isNamespace)
  const hidden = hasNone
    ? desired
    : { ...desired, machines: desired.machines.filter(isNamespace), instances: desired.instances.filter(isNamespace) }
  withoutMachines.set(desired, hidden)
  return hidden
}

/** A room of what is in namespaces of this host: to it there are no virtual machines. */
export const ofNamespaces = (room: Room): Room => ({
  name: room.name,
  look: (turn) => room.look({ ...turn, desired: hideVirtualMachines(turn.desired) }),
})
