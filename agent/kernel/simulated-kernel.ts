/**
 * A kernel for tests: carries out kernel operations on facts the way Linux does, and refuses what Linux refuses. Plans
 * are proved against it, so it shares no code with them.
 */

import { idPattern } from '../contract/host-instructions.ts'
import type { Forwarding, KernelOperation } from '../operations/operation.ts'
import type { ObservedKernel, ObservedLink, ObservedNamespace } from './observed-kernel.ts'

interface SimulatedLink {
  device: string
  index: number
  kind: string
  mac: string
  mtu: number
  isUp: boolean
  alias?: string | undefined
  master?: string | undefined
  isLearning: boolean
  vxlan?: { vni: number; localAddress: string; underlayDevice: string }
  addresses: string[]
  /** The other end of a cable. */
  peer?: SimulatedLink
  /** What a macvlan is over. */
  lower?: SimulatedLink
}

interface SimulatedNamespace {
  inode: number
  links: Map<string, SimulatedLink>
  routes: { destination: string; device: string; via?: string | undefined; source?: string | undefined }[]
  neighbours: { address: string; mac: string; device: string }[]
  sysctls: Record<string, string>
}

const hostNamespace = ''

export class SimulatedKernel {
  private readonly namespaces = new Map<string, SimulatedNamespace>()
  private forwarding: Forwarding[] = []
  private lastIndex = 0

  constructor(uplinkDevice: string, underlayDevice: string) {
    this.namespaces.set(hostNamespace, this.createNamespace())
    for (const device of [uplinkDevice, underlayDevice]) this.addLink(hostNamespace, { device, kind: '', isUp: true })
  }

  /** Throws in words like the kernel's where it would refuse. */
  execute(operation: KernelOperation): void {
    switch (operation.kind) {
      case 'addNamespace':
        if (this.namespaces.has(operation.namespace)) throw new Error(`namespace ${operation.namespace} exists`)
        this.namespaces.set(operation.namespace, this.createNamespace())
        return
      case 'deleteNamespace':
        for (const device of [...this.namespace(operation.namespace).links.keys()]) {
          this.deleteLink(operation.namespace, device)
        }
        this.namespaces.delete(operation.namespace)
        return
      case 'addBridge':
        this.addLink(hostNamespace, { ...settingsOf(operation), kind: 'bridge' })
        return
      case 'addVxlan': {
        const { vni, localAddress, underlayDevice } = operation
        this.link(hostNamespace, underlayDevice)
        for (const other of this.namespace(hostNamespace).links.values()) {
          if (other.vxlan?.vni === vni) throw new Error(`VNI ${vni} exists`)
        }
        this.requireMaster(operation.master)
        const vxlan = { vni, localAddress, underlayDevice }
        this.addLink(hostNamespace, { ...settingsOf(operation), kind: 'vxlan', vxlan })
        return
      }
      case 'addVeth': {
        this.requireMaster(operation.master)
        this.namespace(operation.peer.namespace)
        const near = this.addLink(hostNamespace, { ...settingsOf(operation), kind: 'veth' })
        const far = this.addLink(operation.peer.namespace, { ...settingsOf(operation.peer), kind: 'veth' })
        near.peer = far
        far.peer = near
        return
      }
      case 'addMacvlan': {
        const lower = this.link(hostNamespace, operation.lowerDevice)
        for (const { links } of this.namespaces.values()) {
          for (const other of links.values()) {
            if (other.lower === lower && other.mac === operation.mac) throw new Error(`${operation.mac} is in use`)
          }
        }
        this.addLink(operation.namespace, { ...settingsOf(operation), kind: 'macvlan', lower })
        return
      }
      case 'setLink':
        this.setLink(operation)
        return
      case 'deleteLink':
        this.deleteLink(operation.namespace ?? hostNamespace, operation.device)
        return
      case 'setBridgePort': {
        const link = this.link(hostNamespace, operation.device)
        if (link.master === undefined) throw new Error(`${operation.device} is no port`)
        link.isLearning = operation.learning
        return
      }
      case 'addAddress': {
        const { addresses } = this.link(operation.namespace ?? hostNamespace, operation.device)
        if (addresses.includes(operation.address)) throw new Error(`address ${operation.address} exists`)
        addresses.push(operation.address)
        return
      }
      case 'deleteAddress':
        this.deleteAddress(operation.namespace ?? hostNamespace, operation.device, operation.address)
        return
      case 'withdrawAddress': {
        const { addresses } = this.link(operation.namespace ?? hostNamespace, operation.device)
        const index = addresses.findIndex((cidr) => cidr.startsWith(`${operation.address}/`))
        if (index >= 0) addresses.splice(index, 1)
        return
      }
      case 'announceAddress': {
        const link = this.link(operation.namespace, operation.device)
        if (!link.isUp) throw new Error('Network is down')
        if (!hasHost(link, operation.address)) throw new Error(`bind: ${operation.address} is not here`)
        return
      }
      case 'endConnections':
        this.namespace(operation.namespace)
        return
      case 'addRoute': {
        const { destination, device, via, source } = operation
        const namespace = this.namespace(operation.namespace ?? hostNamespace)
        const link = this.link(operation.namespace ?? hostNamespace, device)
        if (!link.isUp) throw new Error('Network is down')
        if (via !== undefined && !link.addresses.some((cidr) => contains(cidr, via))) throw new Error('invalid gateway')
        if (source !== undefined && !hasHost(link, source)) throw new Error('invalid prefsrc address')
        namespace.routes = namespace.routes.filter((route) => route.destination !== destination)
        namespace.routes.push({ destination, device, via, source })
        return
      }
      case 'deleteRoute': {
        const namespace = this.namespace(operation.namespace ?? hostNamespace)
        const rest = namespace.routes.filter((route) => route.destination !== operation.destination)
        if (rest.length === namespace.routes.length) throw new Error(`no route to ${operation.destination}`)
        namespace.routes = rest
        return
      }
      case 'setNeighbour': {
        const { device, address, mac } = operation
        this.link(operation.namespace ?? hostNamespace, device)
        const namespace = this.namespace(operation.namespace ?? hostNamespace)
        namespace.neighbours = namespace.neighbours.filter((each) => each.address !== address || each.device !== device)
        namespace.neighbours.push({ device, address, mac })
        return
      }
      case 'deleteNeighbour': {
        const namespace = this.namespace(operation.namespace ?? hostNamespace)
        const rest = namespace.neighbours.filter(
          ({ address, device }) => address !== operation.address || device !== operation.device,
        )
        if (rest.length === namespace.neighbours.length) throw new Error(`no neighbour ${operation.address}`)
        namespace.neighbours = rest
        return
      }
      case 'addForwarding': {
        const { kind, ...entry } = operation
        const link = this.link(hostNamespace, entry.device)
        if (entry.toward === 'port' && link.master === undefined) throw new Error(`${entry.device} is no port`)
        if (this.forwarding.some((each) => isSameForwarding(each, entry))) throw new Error(`${kind}: exists`)
        this.forwarding.push(entry)
        return
      }
      case 'deleteForwarding': {
        const rest = this.forwarding.filter((each) => !isSameForwarding(each, operation))
        if (rest.length === this.forwarding.length) throw new Error('no such entry')
        this.forwarding = rest
        return
      }
      case 'setSysctls':
        Object.assign(this.namespace(operation.namespace).sysctls, operation.values)
        return
      default:
        operation satisfies never
    }
  }

  observe(): ObservedKernel {
    const namespaces = [...this.namespaces].filter(([name]) => idPattern.test(name))
    return {
      links: observeLinks(this.namespace(hostNamespace)),
      forwarding: [...this.forwarding],
      namespaces: new Map(namespaces.map(([name, namespace]) => [name, observeNamespace(name, namespace)])),
      brokenNamespaces: [],
      ruleSet: undefined,
    }
  }

  private createNamespace(): SimulatedNamespace {
    this.lastIndex += 1
    const lo = createLink({ device: 'lo', kind: '', index: 1 })
    return { inode: this.lastIndex, links: new Map([['lo', lo]]), routes: [], neighbours: [], sysctls: {} }
  }

  private namespace(name: string): SimulatedNamespace {
    const namespace = this.namespaces.get(name)
    if (namespace === undefined) throw new Error(`no namespace ${name}`)
    return namespace
  }

  private link(namespace: string, device: string): SimulatedLink {
    const link = this.namespace(namespace).links.get(device)
    if (link === undefined) throw new Error(`no device ${device}`)
    return link
  }

  private requireMaster(master: string | undefined): void {
    if (master !== undefined && this.link(hostNamespace, master).kind !== 'bridge')
      throw new Error(`${master} is no bridge`)
  }

  private addLink(namespace: string, parts: Partial<SimulatedLink> & { device: string; kind: string }): SimulatedLink {
    const { links } = this.namespace(namespace)
    if (links.has(parts.device)) throw new Error(`device ${parts.device} exists`)
    this.lastIndex += 1
    const link = createLink({ ...parts, index: this.lastIndex })
    links.set(parts.device, link)
    return link
  }

  private setLink(operation: Extract<KernelOperation, { kind: 'setLink' }>): void {
    const link = this.link(operation.namespace ?? hostNamespace, operation.device)
    this.requireMaster(operation.master)
    if (operation.mac !== undefined) link.mac = operation.mac
    if (operation.mtu !== undefined) link.mtu = operation.mtu
    if (operation.alias !== undefined) link.alias = operation.alias
    if (operation.up !== undefined) link.isUp = operation.up
    if (operation.up === false) dropWays(this.namespace(operation.namespace ?? hostNamespace), link.device)
    if (operation.master !== undefined) {
      if (link.master !== operation.master) this.leaveBridge(link)
      link.master = operation.master
    }
  }

  /** A port that leaves takes its entries in the bridge's table with it, and comes back as a learner. */
  private leaveBridge(link: SimulatedLink): void {
    link.master = undefined
    link.isLearning = true
    this.forwarding = this.forwarding.filter(({ device, toward }) => device !== link.device || toward !== 'port')
  }

  private deleteLink(namespaceName: string, device: string): void {
    const link = this.link(namespaceName, device)
    for (const [name, namespace] of this.namespaces) {
      for (const other of [...namespace.links.values()]) {
        const isBound = other === link || other.peer === link || other.lower === link
        if (isBound) this.dropLink(name, other)
        else if (namespaceName === hostNamespace && name === hostNamespace && other.master === device) {
          this.leaveBridge(other)
        }
      }
    }
  }

  private dropLink(name: string, { device }: SimulatedLink): void {
    const namespace = this.namespace(name)
    namespace.links.delete(device)
    dropWays(namespace, device)
    for (const parameter of Object.keys(namespace.sysctls)) {
      if (parameter.includes(`.${device}.`)) delete namespace.sysctls[parameter]
    }
    if (name === hostNamespace) this.forwarding = this.forwarding.filter((each) => each.device !== device)
  }

  /** Routes by a next hop that no address leads to any more go with the address, and so do those that begin with it. */
  private deleteAddress(name: string, device: string, address: string): void {
    const link = this.link(name, device)
    if (!link.addresses.includes(address)) throw new Error(`no address ${address}`)
    link.addresses = link.addresses.filter((each) => each !== address)
    const namespace = this.namespace(name)
    namespace.routes = namespace.routes.filter(
      (route) =>
        route.device !== device ||
        (link.addresses.length > 0 &&
          (route.via === undefined || link.addresses.some((cidr) => contains(cidr, route.via ?? ''))) &&
          (route.source === undefined || hasHost(link, route.source))),
    )
  }
}

function settingsOf(settings: {
  readonly device: string
  readonly mac?: string | undefined
  readonly mtu?: number | undefined
  readonly alias?: string | undefined
  readonly master?: string | undefined
  readonly up?: boolean | undefined
}): Partial<SimulatedLink> & { device: string } {
  return {
    device: settings.device,
    isUp: settings.up ?? false,
    alias: settings.alias,
    master: settings.master,
    ...(settings.mac !== undefined && { mac: settings.mac }),
    ...(settings.mtu !== undefined && { mtu: settings.mtu }),
  }
}

function createLink(parts: Partial<SimulatedLink> & { device: string; kind: string; index: number }): SimulatedLink {
  return { mac: '00:00:00:00:00:00', mtu: 1500, isUp: false, isLearning: true, addresses: [], ...parts }
}

function observeNamespace(name: string, namespace: SimulatedNamespace): ObservedNamespace {
  return {
    name,
    inode: namespace.inode,
    links: observeLinks(namespace),
    routes: namespace.routes.map((route) => ({ ...route })),
    neighbours: namespace.neighbours.map((neighbour) => ({ ...neighbour })),
    sysctls: { ...namespace.sysctls },
  }
}

function observeLinks({ links }: SimulatedNamespace): Map<string, ObservedLink> {
  return new Map(
    [...links].map(([device, { peer, lower, isLearning, ...link }]) => [
      device,
      {
        ...link,
        addresses: [...link.addresses],
        linkIndex: peer?.index ?? lower?.index,
        isLearning: link.master === undefined ? undefined : isLearning,
      },
    ]),
  )
}

/** A device that goes, or only goes down, takes its routes and neighbours with it. */
function dropWays(namespace: SimulatedNamespace, device: string): void {
  namespace.routes = namespace.routes.filter((route) => route.device !== device)
  namespace.neighbours = namespace.neighbours.filter((each) => each.device !== device)
}

const hasHost = (link: SimulatedLink, address: string) => link.addresses.some((cidr) => cidr.startsWith(`${address}/`))

function isSameForwarding(a: Forwarding, b: Forwarding): boolean {
  return a.device === b.device && a.mac === b.mac && JSON.stringify(a.toward) === JSON.stringify(b.toward)
}

function contains(cidr: string, address: string): boolean {
  const [network = '', length = '32'] = cidr.split('/')
  const shift = 2 ** (32 - Number(length))
  return Math.floor(toNumber(network) / shift) === Math.floor(toNumber(address) / shift)
}

const toNumber = (address: string) => address.split('.').reduce((number, part) => number * 256 + Number(part), 0)
