/**
 * How objects of ours are named in points, and which object a point is about. What others measure has plugins of other
 * names, so that nobody else speaks of our objects. Pure.
 */

import { idPattern } from './host-instructions.ts'
import type { Point } from './points.ts'

/** Plugins that begin so are ours alone: points of theirs are refused from a collectd. */
export const ownPluginPrefix = 'sluice_'

/**
 * What is measured, as points name it. An instance's plugin instance is
 * `<project id>.<load balancer id>.<instance id>`, a network's `<project id>.<network id>`, a shard's
 * `<project id>.<network id>.<shard id>`, a machine's `<project id>.<network id>.<machine id>`. A listener's type instance
 * is its port, a member's `<port>.<member id>.<server>`, a device's or a disk's its name. A member whose address changes
 * is another server of haproxy, with counts of its own: what the member did is the sum over its servers.
 */
export const ownPlugins = {
  /** What haproxy counts: of the process, by listener and by member. */
  haproxy: 'sluice_haproxy',
  keepalived: 'sluice_keepalived',
  /** What the kernel counts in the namespace of an instance. */
  instance: 'sluice_instance',
  network: 'sluice_network',
  shard: 'sluice_shard',
  machine: 'sluice_machine',
  host: 'sluice_host',
  agent: 'sluice_agent',
  controller: 'sluice_controller',
} as const

export interface InstanceIds {
  readonly projectId: string
  readonly loadBalancerId: string
  readonly instanceId: string
}

export const instanceName = ({ projectId, loadBalancerId, instanceId }: InstanceIds) =>
  `${projectId}.${loadBalancerId}.${instanceId}`
export const networkName = (ids: { projectId: string; networkId: string }) => `${ids.projectId}.${ids.networkId}`
export const shardName = (ids: { projectId: string; networkId: string; shardId: string }) =>
  `${networkName(ids)}.${ids.shardId}`
export const machineName = (ids: { projectId: string; networkId: string; machineId: string }) =>
  `${networkName(ids)}.${ids.machineId}`
export const listenerName = (port: number) => String(port)
/** `server`: what haproxy calls it after the member's id. */
export const memberName = (port: number, memberId: string, server: string) => `${port}.${memberId}.${server}`

/** What a point is about. All but the host and its parts belong to a project. */
export type Measured =
  | ({ readonly kind: 'instance' } & InstanceIds)
  | ({ readonly kind: 'listener'; readonly port: number } & InstanceIds)
  | ({
      readonly kind: 'member'
      readonly port: number
      readonly memberId: string
      readonly server: string
    } & InstanceIds)
  | { readonly kind: 'network'; readonly projectId: string; readonly networkId: string }
  | { readonly kind: 'shard'; readonly projectId: string; readonly networkId: string; readonly shardId: string }
  | { readonly kind: 'machine'; readonly projectId: string; readonly networkId: string; readonly machineId: string }
  | { readonly kind: 'host' }
  | { readonly kind: 'agent' }
  | { readonly kind: 'controller' }

/** Undefined: it is of no object of ours, as what a collectd has measured; or a name is not as it should be. */
export function measuredOf(
  point: Pick<Point, 'plugin' | 'pluginInstance' | 'type' | 'typeInstance'>,
): Measured | undefined {
  const ids = point.pluginInstance === '' ? [] : point.pluginInstance.split('.')
  if (!ids.every((id) => idPattern.test(id))) return undefined
  const [projectId, second, third] = ids
  switch (point.plugin) {
    case ownPlugins.host:
      return { kind: 'host' }
    case ownPlugins.agent:
      return { kind: 'agent' }
    case ownPlugins.controller:
      return { kind: 'controller' }
    case ownPlugins.network:
      if (projectId === undefined || second === undefined || ids.length !== 2) return undefined
      return { kind: 'network', projectId, networkId: second }
  }
  if (projectId === undefined || second === undefined || third === undefined || ids.length !== 3) return undefined
  switch (point.plugin) {
    case ownPlugins.shard:
      return { kind: 'shard', projectId, networkId: second, shardId: third }
    case ownPlugins.machine:
      return { kind: 'machine', projectId, networkId: second, machineId: third }
    case ownPlugins.haproxy:
    case ownPlugins.keepalived:
    case ownPlugins.instance:
      return partOfInstance(point, { projectId, loadBalancerId: second, instanceId: third })
    default:
      return undefined
  }
}

function partOfInstance(
  { plugin, type, typeInstance }: Pick<Point, 'plugin' | 'type' | 'typeInstance'>,
  ids: InstanceIds,
): Measured | undefined {
  if (plugin !== ownPlugins.haproxy || typeInstance === '') return { kind: 'instance', ...ids }
  const [, portText = '', memberId, server] = /^(\d{1,5})(?:\.([a-z0-9_]+)\.([a-z0-9.-]+))?$/.exec(typeInstance) ?? []
  const port = Number(portText)
  if (portText === '' || port > 65_535) return undefined
  if (type === 'haproxy_listener') return memberId === undefined ? { kind: 'listener', ...ids, port } : undefined
  if (type !== 'haproxy_member' || memberId === undefined || server === undefined) return undefined
  return idPattern.test(memberId) ? { kind: 'member', ...ids, port, memberId, server } : undefined
}
