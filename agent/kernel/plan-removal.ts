/**
 * Decides what of ours has to go: daemons, namespaces and links that bear our mark and that no instruction
 * wants, and daemons left behind in a namespace that is no more. Pure. What does not bear our mark is never named here.
 */

import type { ObservedDaemon, Operation, OperationGroup } from '../operations/operation.ts'
import { idOfAlias } from './names.ts'
import type { ObservedKernel } from './observed-kernel.ts'

export interface RemovalFacts {
  /** The ids that own a namespace, a daemon or a folder: machines, instances, projects. */
  readonly desiredIds: ReadonlySet<string>
  /** The names of all links that are desired in the host's own namespace. */
  readonly desiredLinks: ReadonlySet<string>
  /** A project's dnsmasq is left to its own room, since networks must not wait for it. */
  readonly strayDaemons: readonly ObservedDaemon[]
}

/** Time for a daemon to say goodbye: keepalived hands its VIPs over, haproxy closes. */
const stopGraceMilliseconds = 1500

export function planRemoval(facts: RemovalFacts, observed: ObservedKernel): OperationGroup[] {
  const { desiredIds, desiredLinks, strayDaemons } = facts
  const links = [...observed.links.values()].flatMap((link) => {
    const objectId = idOfAlias(link.alias)
    // The other end of a cable goes with this one.
    return objectId === undefined || desiredLinks.has(link.device) ? [] : [{ objectId, device: link.device }]
  })
  const namespaces = [...observed.namespaces.keys(), ...observed.brokenNamespaces].filter(
    (name) => !desiredIds.has(name),
  )
  return [
    ...[...strayDaemons]
      .filter(({ objectId, daemon }) => !(daemon === 'dnsmasq' && desiredIds.has(objectId)))
      .sort(byOrderOfStopping)
      .map((daemon) => group(daemon.objectId, stop(daemon))),
    // Cables go before the namespaces that they end in, which would take them along at a time of their own.
    ...links.map(({ objectId, device }) => group(objectId, { kind: 'deleteLink', device })),
    // So does a leg on the uplink: an orphaned connection can keep a nameless namespace alive for a minute, and with it a
    // MAC that no other leg can have meanwhile.
    ...namespaces.flatMap((name) =>
      [...(observed.namespaces.get(name)?.links.values() ?? [])]
        .filter(({ kind }) => kind === 'macvlan')
        .map(({ device }) => group(name, { kind: 'deleteLink', namespace: name, device })),
    ),
    ...namespaces.map((name) => group(name, { kind: 'deleteNamespace', namespace: name })),
    ...namespaces.map((name) => group(name, { kind: 'removeFolder', path: namespaceSettingsFolder(name) })),
  ]
}

/** What `ip netns exec` lays over /etc within a namespace. */
export const namespaceSettingsFolder = (namespace: string) => `/etc/netns/${namespace}`

const group = (objectId: string, operation: Operation): OperationGroup => ({ objectId, operations: [operation] })

const stop = ({ objectId, daemon }: ObservedDaemon): Operation => ({
  kind: 'stopDaemon',
  objectId,
  daemon,
  signal: 'SIGTERM',
  graceMilliseconds: stopGraceMilliseconds,
})

/** keepalived first: VIPs move while haproxy still serves. */
const byOrderOfStopping = (a: ObservedDaemon, b: ObservedDaemon) =>
  Number(b.daemon === 'keepalived') - Number(a.daemon === 'keepalived')
