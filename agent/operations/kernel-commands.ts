/**
 * Kernel operations as lines for iproute2's batch mode, and through which process each goes: a pure translation.
 * `ip -force -batch` goes on after a line that fails and names its number, so that one process serves many objects.
 */

import type { Forwarding, KernelOperation, LinkSettings, Route } from './operation.ts'

/** Which process a line is for: `ip` or `bridge` in the host's own namespace, or `ip` in another. */
export type Channel = 'ip' | 'bridge' | `ip -n ${string}`

export interface KernelCommand {
  readonly channel: Channel
  readonly lines: readonly string[]
}

/** How one operation is said. Every line must succeed for the operation to have succeeded. */
export function compileKernelOperation(operation: KernelOperation): KernelCommand {
  switch (operation.kind) {
    case 'addNamespace':
      return root(`netns add ${operation.namespace}`)
    case 'deleteNamespace':
      return root(`netns delete ${operation.namespace}`)
    case 'addBridge':
      // Nothing of ours makes rings, so a port may forward as soon as it is up; multicast goes to all, like broadcast.
      return root(
        `link add ${operation.device} ${sizeAndMac(operation)} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`,
        ...settleLink(operation.device, { ...operation, mac: undefined, mtu: undefined }),
      )
    case 'addVxlan':
      return root(
        `link add ${operation.device} ${sizeAndMac(operation)} type vxlan id ${operation.vni}` +
          ` local ${operation.localAddress} dev ${operation.underlayDevice} dstport 4789 nolearning`,
        ...settleLink(operation.device, { ...operation, mac: undefined, mtu: undefined }),
      )
    case 'addVeth': {
      const { namespace, device, mac, mtu } = operation.peer
      return root(
        `link add ${operation.device} ${sizeAndMac(operation)} type veth` +
          ` peer name ${device} mtu ${mtu} address ${mac} netns ${namespace}`,
        ...settleLink(operation.device, { ...operation, mac: undefined, mtu: undefined }),
      )
    }
    case 'addMacvlan':
      return root(
        `link add link ${operation.lowerDevice} name ${operation.device} address ${operation.mac}` +
          ` netns ${operation.namespace} type macvlan mode bridge`,
      )
    case 'setLink':
      return inNamespace(operation.namespace, ...settleLink(operation.device, operation))
    case 'deleteLink':
      return inNamespace(operation.namespace, `link delete ${operation.device}`)
    case 'setBridgePort':
      return root(`link set ${operation.device} type bridge_slave learning ${operation.learning ? 'on' : 'off'}`)
    case 'addAddress':
      return inNamespace(operation.namespace, `address add ${operation.address} dev ${operation.device}`)
    case 'deleteAddress':
      return inNamespace(operation.namespace, `address delete ${operation.address} dev ${operation.device}`)
    case 'withdrawAddress':
      return inNamespace(operation.namespace, `address flush dev ${operation.device} to ${operation.address}/32`)
    case 'announceAddress': {
      const { namespace, device, address } = operation
      return within(namespace, `busybox arping -q -U -c 1 -I ${device} ${address}`)
    }
    case 'endConnections':
      // A kernel that can't do so leaves them to their timeouts, and ss says nothing of it.
      return within(operation.namespace, `ss -K -H -t src ${operation.address}`)
    case 'addRoute':
      return inNamespace(operation.namespace, `route replace ${route(operation)}`)
    case 'deleteRoute':
      return inNamespace(operation.namespace, `route delete ${route(operation)}`)
    case 'setNeighbour':
      return inNamespace(
        operation.namespace,
        `neighbour replace ${operation.address} lladdr ${operation.mac} dev ${operation.device} nud permanent`,
      )
    case 'deleteNeighbour':
      return inNamespace(operation.namespace, `neighbour delete ${operation.address} dev ${operation.device}`)
    case 'addForwarding':
      return { channel: 'bridge', lines: [`fdb ${forwardingVerb(operation)} ${forwarding(operation)}`] }
    case 'deleteForwarding':
      return { channel: 'bridge', lines: [`fdb delete ${forwarding(operation)}`] }
    case 'setSysctls':
      // The parameters of a namespace are seen from within only.
      return within(
        operation.namespace,
        `sysctl -q -w ${Object.entries(operation.values)
          .map(([name, value]) => `${name}=${value}`)
          .join(' ')}`,
      )
    default:
      return operation satisfies never
  }
}

const root = (...lines: readonly string[]): KernelCommand => ({ channel: 'ip', lines })

function inNamespace(namespace: string | undefined, ...lines: readonly string[]): KernelCommand {
  return namespace === undefined ? { channel: 'ip', lines } : { channel: `ip -n ${namespace}`, lines }
}

/** A program within a namespace: ip goes there without another process of ours. */
const within = (namespace: string, command: string) => inNamespace(namespace, `netns exec ${namespace} ${command}`)

function sizeAndMac({ mac, mtu }: LinkSettings): string {
  return [...(mtu === undefined ? [] : [`mtu ${mtu}`]), ...(mac === undefined ? [] : [`address ${mac}`])].join(' ')
}

/**
 * One line for a link's settings. IPv6 addresses of its own making are switched off before it goes up, in a line of its
 * own: the kernel would make one first where both come together.
 */
function settleLink(device: string, settings: LinkSettings): string[] {
  const words = [
    ...(settings.alias === undefined ? [] : [`alias ${settings.alias}`]),
    ...(settings.mtu === undefined ? [] : [`mtu ${settings.mtu}`]),
    ...(settings.mac === undefined ? [] : [`address ${settings.mac}`]),
    ...(settings.master === undefined ? [] : [`master ${settings.master}`]),
    ...(settings.up === undefined ? [] : [settings.up ? 'up' : 'down']),
  ]
  if (words.length === 0) return []
  const quiet = settings.up === true && device !== 'lo' ? [`link set ${device} addrgenmode none`] : []
  return [...quiet, `link set ${device} ${words.join(' ')}`]
}

function route({ destination, device, via, source }: Route): string {
  const gateway = via === undefined ? '' : ` via ${via}`
  return `${destination}${gateway} dev ${device}${source === undefined ? '' : ` src ${source}`}`
}

const everyone = '00:00:00:00:00:00'

/** Broadcasts are copied to many, so their lines are appended; a MAC lives in one place, so its line is replaced. */
const forwardingVerb = ({ mac }: Forwarding) => (mac === everyone ? 'append' : 'replace')

function forwarding({ mac, device, toward }: Forwarding): string {
  return toward === 'port'
    ? `${mac} dev ${device} master static`
    : `${mac} dev ${device} dst ${toward.underlayAddress} self`
}
