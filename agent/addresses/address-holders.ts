/** Whose addresses are looked at, and what ss says of them. Pure. */

import type { HostInstructions, MachineInstructions } from '../contract/host-instructions.ts'

/** A machine or an instance whose addresses are on the move. */
export interface AddressHolder {
  readonly id: string
  /** The namespace of its network's gateway. */
  readonly projectId: string
  readonly networkId: string
  readonly addresses: readonly string[]
}

/** It has several addresses, or is about to change the one it has. */
export const isOnTheMove = ({ addresses, restartsForAddress }: MachineInstructions) =>
  addresses.length > 1 || restartsForAddress === true

/** Those alone that have several addresses or are about to change theirs: a host at rest has none. */
export function findHolders({ machines, instances }: HostInstructions): AddressHolder[] {
  return [
    ...machines.filter(isOnTheMove).map(({ id, projectId, networkId, addresses }) => ({
      id,
      projectId,
      networkId,
      addresses: addresses.map(({ address }) => address),
    })),
    ...instances.flatMap(({ id, projectId, networkId, network: { address, formerAddress } }) =>
      formerAddress === undefined ? [] : [{ id, projectId, networkId, addresses: [address, formerAddress] }],
    ),
  ]
}

/** Connections by the address at this end, from `ss -Htn state connected`: a line each, the fourth word being this end. */
export function countConnections(text: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const line of text.split('\n')) {
    const end = line.trim().split(/\s+/)[3]
    if (end === undefined) continue
    const address = parseAddress(end)
    counts.set(address, (counts.get(address) ?? 0) + 1)
  }
  return counts
}

/** Of `10.1.0.9:80`, of `10.1.0.9%eth0:80`, and of a socket for both families, `[::ffff:10.1.0.9]:80`. */
function parseAddress(end: string): string {
  return end
    .slice(0, end.lastIndexOf(':'))
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^::ffff:/, '')
    .replace(/%.*$/, '')
}
