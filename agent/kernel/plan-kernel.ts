/**
 * Decides what must be done to the kernel so that it holds what is desired: a pure function from two sets of facts to
 * operations, one group an object. What is already so yields nothing.
 */

import type { Forwarding, KernelOperation, OperationGroup, Route } from '../operations/operation.ts'
import type { DesiredDevice, DesiredLink, DesiredObject, Sysctls } from './desired-kernel.ts'
import type { ObservedKernel, ObservedLink, ObservedNamespace } from './observed-kernel.ts'

/** In the order of the desired objects, so that those which others build on come first. */
export function planKernel(desired: readonly DesiredObject[], observed: ObservedKernel): OperationGroup[] {
  const forwarding = groupBy(observed.forwarding, ({ device }) => device)
  const fresh = new Set<string>()
  return desired
    .map((object) => ({ objectId: object.objectId, operations: planObject(object, observed, forwarding, fresh) }))
    .filter(({ operations }) => operations.length > 0)
}

/** `fresh` gathers the bridges that this plan makes anew: their ports have to be put into them again. */
function planObject(
  object: DesiredObject,
  observed: ObservedKernel,
  forwarding: ReadonlyMap<string, readonly Forwarding[]>,
  fresh: Set<string>,
): KernelOperation[] {
  const links = object.links.map((link) => ({ link, verdict: judgeLink(link, observed) }))
  const isNamespaceMissing = object.namespace !== undefined && !observed.namespaces.has(object.namespace.name)
  for (const { link, verdict } of links) {
    if (link.kind === 'bridge' && verdict !== 'sound') fresh.add(link.device)
  }
  const isFresh = (link: DesiredLink) =>
    isNamespaceMissing || links.some((each) => each.link === link && each.verdict !== 'sound')
  return [
    // A link in the wrong place or of the wrong kind goes before its successor comes.
    ...links.flatMap(({ link, verdict }) => (verdict === 'wrong' ? deleteWrongLink(link) : [])),
    ...(isNamespaceMissing ? addNamespace(object.namespace.name, observed) : []),
    ...links.flatMap(({ link, verdict }) => (verdict === 'sound' ? settleLink(link, observed, fresh) : addLink(link))),
    ...planDevices(object, observed, isFresh),
    ...planForwarding(object, links, forwarding),
  ]
}

function addNamespace(namespace: string, { brokenNamespaces }: ObservedKernel): KernelOperation[] {
  const add: KernelOperation = { kind: 'addNamespace', namespace }
  return brokenNamespaces.includes(namespace) ? [{ kind: 'deleteNamespace', namespace }, add] : [add]
}

/** `sound`: of the right kind and in the right place, so that settings can be mended where they are. */
type Verdict = 'missing' | 'wrong' | 'sound'

function judgeLink(link: DesiredLink, observed: ObservedKernel): Verdict {
  if (link.kind === 'macvlan') {
    const found = observed.namespaces.get(link.namespace)?.links.get(link.device)
    if (found === undefined) return 'missing'
    return found.kind === 'macvlan' && found.linkIndex === observed.links.get(link.lowerDevice)?.index
      ? 'sound'
      : 'wrong'
  }
  const found = observed.links.get(link.device)
  if (found === undefined) return 'missing'
  if (found.kind !== link.kind) return 'wrong'
  switch (link.kind) {
    case 'bridge':
      return 'sound'
    case 'vxlan':
      return found.vxlan?.vni === link.vni &&
        found.vxlan.localAddress === link.localAddress &&
        found.vxlan.underlayDevice === link.underlayDevice
        ? 'sound'
        : 'wrong'
    case 'veth': {
      const peer = observed.namespaces.get(link.peer.namespace)?.links.get(link.peer.device)
      return peer?.kind === 'veth' && peer.linkIndex === found.index && found.linkIndex === peer.index
        ? 'sound'
        : 'wrong'
    }
    default:
      return link satisfies never
  }
}

function deleteWrongLink(link: DesiredLink): KernelOperation[] {
  return [
    link.kind === 'macvlan'
      ? { kind: 'deleteLink', namespace: link.namespace, device: link.device }
      : { kind: 'deleteLink', device: link.device },
  ]
}

function addLink(link: DesiredLink): KernelOperation[] {
  switch (link.kind) {
    case 'bridge':
      return [{ kind: 'addBridge', device: link.device, alias: link.alias, mtu: link.mtu, up: true }]
    case 'vxlan': {
      const { device, vni, localAddress, underlayDevice, alias, mtu, master } = link
      return [
        { kind: 'addVxlan', device, vni, localAddress, underlayDevice, alias, mtu, master, up: true },
        // The agent knows where everyone is; what the bridge would learn here is at best the same.
        { kind: 'setBridgePort', device, learning: false },
      ]
    }
    case 'veth': {
      const { device, alias, mtu, master } = link
      return [{ kind: 'addVeth', device, alias, mtu, master, up: true, peer: { ...link.peer, mtu } }]
    }
    case 'macvlan': {
      const { namespace, device, lowerDevice, mac } = link
      return [{ kind: 'addMacvlan', namespace, device, lowerDevice, mac }]
    }
    default:
      return link satisfies never
  }
}

/** What differs of a link in the host's own namespace; the ends within namespaces are devices, see planDevices. */
function settleLink(link: DesiredLink, observed: ObservedKernel, fresh: ReadonlySet<string>): KernelOperation[] {
  if (link.kind === 'macvlan') return []
  const found = observed.links.get(link.device)
  if (found === undefined) return []
  const master = 'master' in link ? link.master : undefined
  const needsMaster = master !== undefined && (found.master !== master || fresh.has(master))
  const settings = {
    ...(found.alias !== link.alias && { alias: link.alias }),
    ...(found.mtu !== link.mtu && { mtu: link.mtu }),
    ...(needsMaster && { master }),
    ...(!found.isUp && { up: true }),
  }
  const isLearningWrong = link.kind === 'vxlan' && (needsMaster || found.isLearning !== false)
  return [
    ...(Object.keys(settings).length > 0 ? [{ kind: 'setLink' as const, device: link.device, ...settings }] : []),
    ...(isLearningWrong ? [{ kind: 'setBridgePort' as const, device: link.device, learning: false }] : []),
  ]
}

function planDevices(
  object: DesiredObject,
  observed: ObservedKernel,
  isFresh: (link: DesiredLink) => boolean,
): KernelOperation[] {
  const freshDevices = new Set(object.links.filter(isFresh).map((link) => deviceKey(endWithin(link))))
  const operations = object.devices.flatMap((device) => {
    const namespace = observed.namespaces.get(device.namespace)
    const found = freshDevices.has(deviceKey(device)) ? undefined : namespace?.links.get(device.device)
    return planDevice(device, found, found === undefined ? undefined : namespace)
  })
  return [...operations, ...planSysctls(object, observed, freshDevices)]
}

function planDevice(
  device: DesiredDevice,
  found: ObservedLink | undefined,
  namespace: ObservedNamespace | undefined,
): KernelOperation[] {
  const at = { namespace: device.namespace, device: device.device }
  const settings = {
    ...(device.mac !== undefined && found !== undefined && found.mac !== device.mac && { mac: device.mac }),
    ...(device.mtu !== undefined && found !== undefined && found.mtu !== device.mtu && { mtu: device.mtu }),
  }
  const { leaving, coming, announcements } = planAddresses(device, found)
  if (found !== undefined && needsRestart(device, found)) {
    return [
      ...leaving.filter(({ kind }) => kind === 'endConnections'),
      { kind: 'setLink', ...at, up: false },
      ...leaving.filter(({ kind }) => kind === 'deleteAddress'),
      ...coming,
      { kind: 'setLink', ...at, ...settings, up: true },
      // What goes down loses its routes and its neighbours.
      ...planRoutes(device, []),
      ...planNeighbours(device, new Map()),
      ...announcements,
    ]
  }
  const change = { ...settings, ...(!found?.isUp && { up: true }) }
  const routes = (namespace?.routes ?? []).filter((route) => route.device === device.device)
  const neighbours = (namespace?.neighbours ?? []).filter((each) => each.device === device.device)
  return [
    ...(Object.keys(change).length > 0 ? [{ kind: 'setLink' as const, ...at, ...change }] : []),
    // An address goes after its successor has come and the routes have followed, so that there is one at any moment.
    ...coming,
    ...planRoutes(device, routes),
    ...announcements,
    ...leaving,
    ...planNeighbours(device, new Map(neighbours.map((each) => [each.address, each.mac]))),
  ]
}

/** Only the coming of another first address: one that was merely lost is put back. */
function needsRestart({ addresses, restartsForAddress }: DesiredDevice, found: ObservedLink): boolean {
  const [first] = addresses
  return restartsForAddress === true && first !== undefined && found.isUp && isReplaced(first, found.addresses)
}

const isReplaced = (first: string, found: readonly string[]) => found.length > 0 && !found.includes(first)

function planAddresses(device: DesiredDevice, found: ObservedLink | undefined) {
  const at = { namespace: device.namespace, device: device.device }
  const present = found?.addresses ?? []
  const gone = device.ownsAllAddresses ? present.filter((address) => !device.addresses.includes(address)) : []
  const missing = device.addresses.filter((address) => !present.includes(address))
  const moves = device.movesAddresses === true && found !== undefined
  // An address may come and go with another prefix length alone, and its connections go on.
  const before = new Set(present.map(hostOf))
  const after = new Set(device.addresses.map(hostOf))
  return {
    coming: missing.map((address) => ({ kind: 'addAddress' as const, ...at, address })),
    leaving: gone.flatMap((address): KernelOperation[] => [
      ...(moves && !after.has(hostOf(address))
        ? [{ kind: 'endConnections' as const, namespace: at.namespace, address: hostOf(address) }]
        : []),
      { kind: 'deleteAddress', ...at, address },
    ]),
    announcements: missing
      .map(hostOf)
      .filter((address) => moves && !before.has(address))
      .map((address) => ({ kind: 'announceAddress' as const, ...at, address })),
  }
}

const hostOf = (address: string) => address.slice(0, address.indexOf('/'))

function planRoutes(device: DesiredDevice, observed: readonly Route[]): KernelOperation[] {
  if (device.device === 'lo') return []
  const desired = device.routes.map((route) => ({ ...route, device: device.device }))
  const { namespace } = device
  return [
    // Adding replaces what leads to the same destination by another way, and comes first: another route may lead there.
    ...desired
      .filter((wanted) => !observed.some((route) => isSameRoute(route, wanted)))
      .map((route) => ({ kind: 'addRoute' as const, namespace, ...route })),
    ...observed
      .filter((route) => !desired.some((wanted) => wanted.destination === route.destination))
      .map((route) => ({ kind: 'deleteRoute' as const, namespace, ...route })),
  ]
}

const isSameRoute = (a: Route, b: Route) => a.destination === b.destination && a.via === b.via && a.source === b.source

function planNeighbours(device: DesiredDevice, observed: ReadonlyMap<string, string>): KernelOperation[] {
  const at = { namespace: device.namespace, device: device.device }
  return [
    ...[...observed.keys()]
      .filter((address) => device.ownsAllAddresses && !device.neighbours.has(address))
      .map((address) => ({ kind: 'deleteNeighbour' as const, ...at, address })),
    ...[...device.neighbours]
      .filter(([address, mac]) => observed.get(address) !== mac)
      .map(([address, mac]) => ({ kind: 'setNeighbour' as const, ...at, address, mac })),
  ]
}

/** One operation for all that an object wants of a namespace; a fresh device has parameters that nobody has read yet. */
function planSysctls(
  object: DesiredObject,
  observed: ObservedKernel,
  freshDevices: ReadonlySet<string>,
): KernelOperation[] {
  const wanted = [
    ...(object.namespace
      ? [{ namespace: object.namespace.name, sysctls: object.namespace.sysctls, isFresh: false }]
      : []),
    ...object.devices.map((device) => ({ ...device, isFresh: freshDevices.has(deviceKey(device)) })),
  ]
  const byNamespace = new Map<string, Record<string, string>>()
  for (const { namespace, sysctls, isFresh } of wanted) {
    const found = isFresh ? undefined : observed.namespaces.get(namespace)?.sysctls
    const differing = differingSysctls(sysctls, found)
    if (Object.keys(differing).length === 0) continue
    byNamespace.set(namespace, { ...byNamespace.get(namespace), ...differing })
  }
  return [...byNamespace].map(([namespace, values]) => ({ kind: 'setSysctls', namespace, values }))
}

function differingSysctls(desired: Sysctls, found: Sysctls | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(desired).filter(([name, value]) => found?.[name] !== value))
}

/** Delete first, so that something that has moved is never sent to where it was. */
function planForwarding(
  object: DesiredObject,
  links: readonly { readonly link: DesiredLink; readonly verdict: Verdict }[],
  observed: ReadonlyMap<string, readonly Forwarding[]>,
): KernelOperation[] {
  const wanted = new Set(object.forwarding.map(forwardingKey))
  const isBridgeFresh = links.some(({ link, verdict }) => link.kind === 'bridge' && verdict !== 'sound')
  const found = links.flatMap(({ link, verdict }) => {
    if (link.kind === 'macvlan' || link.kind === 'bridge' || verdict !== 'sound') return []
    const entries = observed.get(link.device) ?? []
    // A port's entries are the bridge's, and die with it.
    return entries.filter(({ toward }) => !(isBridgeFresh && toward === 'port'))
  })
  const present = new Set(found.map(forwardingKey))
  const owns = object.forwarding.length > 0
  return [
    ...found
      .filter((entry) => owns && !wanted.has(forwardingKey(entry)))
      .map((entry) => ({ kind: 'deleteForwarding' as const, ...entry })),
    ...object.forwarding
      .filter((entry) => !present.has(forwardingKey(entry)))
      .map((entry) => ({ kind: 'addForwarding' as const, ...entry })),
  ]
}

const forwardingKey = ({ device, mac, toward }: Forwarding) =>
  `${device} ${mac} ${toward === 'port' ? 'port' : toward.underlayAddress}`

const deviceKey = ({ namespace, device }: { readonly namespace: string; readonly device: string }) =>
  `${namespace} ${device}`

/** The end of a link that is in a namespace of ours; a bridge and a VXLAN have none. */
function endWithin(link: DesiredLink): { namespace: string; device: string } {
  if (link.kind === 'veth') return link.peer
  return link.kind === 'macvlan' ? link : { namespace: '', device: link.device }
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group) group.push(item)
    else groups.set(key(item), [item])
  }
  return groups
}
