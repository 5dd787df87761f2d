/**
 * What our things are called in the kernel. A namespace has the full id for a name; a link has a short hash of it, since
 * the kernel allows 15 characters, and the full id in its alias. Pure.
 */

import { shortLinkName } from '../contract/bridge-name.ts'
import { idPattern } from '../contract/host-instructions.ts'

/** A network's bridge, its VXLAN and the host's end of its gateway's cable; a machine's and an instance's ends. */
const prefixes = { bridge: 'sb', vxlan: 'sx', gateway: 'sg', machine: 'sm', instance: 'si' } as const

/** The devices within an instance's namespace: its legs on the uplink and on the network. */
export const instanceUplinkDevice = 'uplink'
export const instanceNetworkDevice = 'network'
/** The device within a machine's namespace. */
export const machineDevice = 'eth0'

export const linkName = (role: keyof typeof prefixes, id: string) => shortLinkName(prefixes[role], id)

/** A network's leg within its project's namespace has the same name as the other end of its cable. */
export const gatewayDevice = (networkId: string) => linkName('gateway', networkId)

const aliasPrefix = 'sluice:'

export const linkAlias = (id: string) => `${aliasPrefix}${id}`

/** The id in a link's alias, if the link is ours. */
export function idOfAlias(alias: string | undefined): string | undefined {
  if (!alias?.startsWith(aliasPrefix)) return undefined
  const id = alias.slice(aliasPrefix.length)
  return idPattern.test(id) ? id : undefined
}
