/**
 * Everything an agent may do to its host, as data: plans return these, execute.ts carries them out and has no choice
 * left. Nothing here touches the world.
 */

/** A network namespace by its name, or the host's own where it is absent. */
interface InNamespace {
  readonly namespace?: string | undefined
}

/** What a link may be given, at birth or later; what is absent stays as it is. */
export interface LinkSettings {
  readonly mac?: string | undefined
  readonly mtu?: number | undefined
  readonly alias?: string | undefined
  /** The bridge that it is a port of. */
  readonly master?: string | undefined
  readonly up?: boolean | undefined
}

export type KernelOperation =
  | { readonly kind: 'addNamespace'; readonly namespace: string }
  | { readonly kind: 'deleteNamespace'; readonly namespace: string }
  | ({ readonly kind: 'addBridge'; readonly device: string } & LinkSettings)
  | ({
      readonly kind: 'addVxlan'
      readonly device: string
      readonly vni: number
      readonly localAddress: string
      readonly underlayDevice: string
    } & LinkSettings)
  /** A cable from the host's own namespace to another: the settings are the near end's, the peer's are its own. */
  | ({
      readonly kind: 'addVeth'
      readonly device: string
      readonly peer: { readonly namespace: string; readonly device: string; readonly mac: string; readonly mtu: number }
    } & LinkSettings)
  /** A leg on the uplink, made straight in its namespace over a device of the host's own. */
  | {
      readonly kind: 'addMacvlan'
      readonly namespace: string
      readonly device: string
      readonly lowerDevice: string
      readonly mac: string
    }
  | ({ readonly kind: 'setLink'; readonly device: string } & InNamespace & LinkSettings)
  | ({ readonly kind: 'deleteLink'; readonly device: string } & InNamespace)
  /** How a bridge treats one of its ports. */
  | { readonly kind: 'setBridgePort'; readonly device: string; readonly learning: boolean }
  | ({ readonly kind: 'addAddress'; readonly device: string; readonly address: string } & InNamespace)
  | ({ readonly kind: 'deleteAddress'; readonly device: string; readonly address: string } & InNamespace)
  /** Takes an address off a device, whether it is there or not: how a VIP is fenced. */
  | ({ readonly kind: 'withdrawAddress'; readonly device: string; readonly address: string } & InNamespace)
  /** Tells everyone on the link whose an address is now, in place of what they remember of another who had it. */
  | { readonly kind: 'announceAddress'; readonly namespace: string; readonly device: string; readonly address: string }
  /** Ends the TCP connections that have this address at this end, and tells their other ends so. */
  | { readonly kind: 'endConnections'; readonly namespace: string; readonly address: string }
  | ({ readonly kind: 'addRoute' } & Route & InNamespace)
  | ({ readonly kind: 'deleteRoute' } & Route & InNamespace)
  | ({
      readonly kind: 'setNeighbour'
      readonly device: string
      readonly address: string
      readonly mac: string
    } & InNamespace)
  | ({ readonly kind: 'deleteNeighbour'; readonly device: string; readonly address: string } & InNamespace)
  | ({ readonly kind: 'addForwarding' } & Forwarding)
  | ({ readonly kind: 'deleteForwarding' } & Forwarding)
  /** Kernel parameters of a namespace, e.g. `net.ipv4.ip_forward` to `1`. */
  | {
      readonly kind: 'setSysctls'
      readonly namespace: string
      readonly values: Readonly<Record<string, string>>
    }

export interface Route {
  /** A CIDR, or `default`. */
  readonly destination: string
  readonly device: string
  /** The next hop; a route without one is on the link. */
  readonly via?: string | undefined
  /** The address that is begun with by this route, where it is not the kernel's own choice. */
  readonly source?: string | undefined
}

/**
 * One line of a forwarding table: `toward: 'port'` is the bridge's own (this MAC lives behind that port), the others are
 * a VXLAN's (this MAC lives behind that host; the MAC of zeros is where broadcasts are copied to).
 */
export interface Forwarding {
  readonly device: string
  readonly mac: string
  readonly toward: 'port' | { readonly underlayAddress: string }
}

export const daemonNames = ['haproxy', 'keepalived', 'dnsmasq'] as const
/** One daemon of an object; a machine has one for each workload, e.g. `workload-web-80`. */
export type DaemonName = (typeof daemonNames)[number] | `workload-${string}`

export interface DaemonReference {
  readonly objectId: string
  readonly daemon: DaemonName
}

export type DaemonOperation =
  /**
   * Starts a program in the foreground of a session of its own, so that it outlives the agent: a transient unit where
   * systemd runs, a detached process elsewhere. It is marked in its environment with its object, name and fingerprint,
   * which is how it is found again. Starting does not wait for readiness.
   */
  | ({
      readonly kind: 'startDaemon'
      readonly namespace: string
      /** It must stay in the foreground (`haproxy -W -db`, `keepalived --dont-fork`). */
      readonly argv: readonly string[]
      /** Of all that needs a restart when it changes; a daemon with another is stale. */
      readonly fingerprint: string
      /** All that it keeps, e.g. `CAP_NET_ADMIN`; enforced where systemd runs. */
      readonly capabilities: readonly string[]
      /** Where what it prints goes; the file is cut at each start. */
      readonly logFile: string
    } & DaemonReference)
  /** All processes that bear the daemon's mark: the signal, at most the grace, then SIGKILL. None is no failure. */
  | ({
      readonly kind: 'stopDaemon'
      readonly signal: 'SIGTERM' | 'SIGINT' | 'SIGUSR1' | 'SIGKILL'
      readonly graceMilliseconds: number
    } & DaemonReference)
  /** To the daemon's first process alone. */
  | ({ readonly kind: 'signalDaemon'; readonly signal: 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2' } & DaemonReference)

export type FileOperation =
  /**
   * Whole, by a temporary file and a rename; its folder is made. Durable: on the disk before it counts, for what must
   * outlive a power cut.
   */
  | {
      readonly kind: 'writeFile'
      readonly path: string
      readonly content: string
      readonly mode?: number
      readonly durable?: boolean
    }
  | { readonly kind: 'renameFile'; readonly from: string; readonly to: string }
  | { readonly kind: 'removeFile'; readonly path: string }
  /** With all that is in it. */
  | { readonly kind: 'removeFolder'; readonly path: string }

export type Operation =
  | KernelOperation
  | DaemonOperation
  | FileOperation
  /** Our nftables tables, replaced whole in one transaction. */
  | { readonly kind: 'replaceRuleSet'; readonly ruleSet: string }
  /** A daemon's own checker, e.g. `haproxy -c -f …`: a failure stops the group before the rename that follows. */
  | { readonly kind: 'checkConfig'; readonly argv: readonly string[]; readonly namespace?: string | undefined }
  /**
   * One line to haproxy's runtime API or to its master's. It succeeds if the answer is empty or begins with one of the
   * accepted words, e.g. `New server registered`, `Success=1`.
   */
  | {
      readonly kind: 'haproxyCommand'
      readonly socket: string
      readonly command: string
      readonly accepted?: readonly string[]
    }
  /**
   * Has haproxy's master start a worker with the config as it is now, and waits until the worker that answers says the
   * description of that config; the old worker ends what it has begun.
   */
  | {
      readonly kind: 'reloadHaproxy'
      readonly masterSocket: string
      readonly statsSocket: string
      readonly description: string
    }

/**
 * What is done for one object, in order; the first failure ends the group. Groups of different objects run in parallel,
 * but kernel operations that stand first in their groups keep the order of the groups, so that a bridge listed before
 * its ports is there before them.
 */
export interface OperationGroup {
  readonly objectId: string
  readonly operations: readonly Operation[]
}

export interface OperationFailure {
  readonly objectId: string
  /** What was tried; a room that could not even look is named instead. */
  readonly operation: Operation | { readonly kind: 'observe'; readonly room: string }
  /** What went wrong, in words for the operator. */
  readonly message: string
}

/** A daemon as its marked processes show it. */
export interface ObservedDaemon extends DaemonReference {
  /** The first of its processes. */
  readonly pid: number
  /** With the pid it says which process is meant, even after the pid has been used again. */
  readonly startTimeTicks: number
  readonly fingerprint: string
  /**
   * The inode of its network namespace: another than the namespace's own means that it was left behind in an old one.
   * 0 while it is on its way into it.
   */
  readonly namespaceInode: number
}

const kernelKinds: ReadonlySet<string> = new Set<KernelOperation['kind']>([
  'addNamespace',
  'deleteNamespace',
  'addBridge',
  'addVxlan',
  'addVeth',
  'addMacvlan',
  'setLink',
  'deleteLink',
  'setBridgePort',
  'addAddress',
  'deleteAddress',
  'withdrawAddress',
  'announceAddress',
  'endConnections',
  'addRoute',
  'deleteRoute',
  'setNeighbour',
  'deleteNeighbour',
  'addForwarding',
  'deleteForwarding',
  'setSysctls',
])

export function isKernelOperation(operation: Operation): operation is KernelOperation {
  return kernelKinds.has(operation.kind)
}
