/**
 * Every constant of the lab: its addresses, the names of what it makes, and its folders. Touches nothing.
 *
 * ```
 *   machine (controller, nats-server)      client  198.18.48.2
 *      │ 198.18.0.254                         │
 *   ───┴── underlay 198.18.0.0/24          198.18.48.1
 *      │        │        │                 [ router ]  a namespace that holds both bridges
 *    host-1   host-2   host-3              198.18.32.1     its other link: names 198.18.49.2
 *      │        │        │                    │
 *   ───┴────────┴────────┴── uplink 198.18.32.0/20 ──
 * ```
 *
 * A lab with a cluster has machines control-1, control-2, … on the underlay for it, each with a node or a controller or
 * both: 198.18.0.254 is then on that one of them which keepalived gives it to, and the real machine has 198.18.0.250.
 */

export const uplinkCidr = '198.18.32.0/20'
export const uplinkGateway = '198.18.32.1'
export const uplinkPrefixLength = 20
export const clientGateway = '198.18.48.1'
export const clientAddress = '198.18.48.2'
export const clientPrefixLength = 24
export const underlayPrefixLength = 24
/** Of the name server: for clients, its router, and for the controller. */
export const nameServerAddress = '198.18.49.2'
export const nameServerGateway = '198.18.49.1'
export const nameServerPrefixLength = 24
export const nameServerUnderlayAddress = '198.18.0.253'
export const controllerAddress = '198.18.0.254'
/** The machine's own, where the controllers have the other. */
export const machineAddress = '198.18.0.250'
export const apiPort = 7480
export const natsPort = 4222
export const natsClusterPort = 6222
/** What one controller or one NATS server would be the loss of is what a cluster is for; more than seven help nobody. */
export const clusterMaximum = 7
export const controlName = (index: number) => `control-${index}`
export const nodeName = (index: number) => `node-${index}`
export const controllerName = (index: number) => `controller-${index}`
export const controlAddress = (index: number) => `198.18.0.${240 + index}`
export const controlPort = (index: number) => `control-${index}`

/** Hosts take 198.18.0.1 and up; above this number come the addresses of the lab itself. */
export const hostsMaximum = 200
export const hostsDefault = 3
export const labNameDefault = 'sluice'

/** The two devices that each lab host has, as a bare-metal machine has its NICs. */
export const uplinkDevice = 'uplink0'
export const underlayDevice = 'underlay0'

/** Set in the environment of every process of a lab, so that leftovers are known whatever became of the state file. */
export const markVariable = 'SLUICE_LAB_MARK'

export type LabSettings = {
  readonly name: string
  readonly hosts: number
  /** Without the machine's own leg on the underlay, a controller and agents: namespaces and links alone. */
  readonly bare: boolean
  /** Null: one controller, which runs the one NATS server. */
  readonly cluster: LabCluster | null
  /** A real collectd on each host. */
  readonly collectd: boolean
  readonly stateFolder: string
  readonly diskFolder: string
}

export type LabCluster = { readonly nats: number; readonly controllers: number }

const labNamePattern = /^[a-z][a-z0-9-]{0,10}$/

/** Throws when the name or the number of hosts can't be used; the message says what can. */
export function labSettings(options: {
  readonly name?: string
  readonly hosts?: number
  readonly bare?: boolean
  /** NATS servers and controllers: a cluster, if either is more than one. */
  readonly nats?: number
  readonly controllers?: number
  readonly collectd?: boolean
  /** Where the hosts' disks, the store and the logs are kept: on ext4, xfs or tmpfs, since overlays are made of it. */
  readonly diskRoot?: string
}): LabSettings {
  const name = options.name ?? labNameDefault
  const hosts = options.hosts ?? hostsDefault
  if (!labNamePattern.test(name)) {
    throw new Error(
      `"${name}" can't name a lab: use a letter, then at most ten letters, digits or hyphens, all lower case`,
    )
  }
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > hostsMaximum) {
    throw new Error(`a lab has 1 to ${hostsMaximum} hosts; --hosts was ${hosts}`)
  }
  return {
    name,
    hosts,
    bare: options.bare ?? false,
    cluster: planCluster(options.nats ?? 1, options.controllers ?? 1),
    collectd: options.collectd ?? false,
    stateFolder: `${stateRoot}/${name}`,
    diskFolder: `${options.diskRoot ?? process.env.SLUICE_LAB_DISKS ?? diskRootDefault}/${name}`,
  }
}

function planCluster(nats: number, controllers: number): LabCluster | null {
  for (const [option, number] of [
    ['--nats', nats],
    ['--controllers', controllers],
  ] as const) {
    if (!Number.isInteger(number) || number < 1 || number > clusterMaximum) {
      throw new Error(`a lab has 1 to ${clusterMaximum} of them; ${option} was ${number}`)
    }
  }
  if (nats % 2 === 0) {
    throw new Error(
      `${nats} NATS servers survive no more losses than ${nats - 1}, as more than half of them must agree: ` +
        `use --nats ${nats - 1} or --nats ${nats + 1}`,
    )
  }
  return nats === 1 && controllers === 1 ? null : { nats, controllers }
}

export const stateRoot = '/run/sluice-lab'
/** Not under /var/lib or /etc, which each host sees through an overlay of its own: an overlay can't contain its layers. */
export const diskRootDefault = '/var/cache/sluice-lab'

export const markOf = (name: string) => `sluice-lab/${name}`
/** The one link that a lab makes in the machine's own namespace. */
export const machineLink = (name: string) => `lab-${name}`
/** Abstract sockets belong to a network namespace and vanish with their holder, so a lock is never stale. */
export const lockAddress = (name: string) => `\0sluice-lab/${name}/lock`

export const hostName = (index: number) => `host-${index}`
export const hostUnderlayAddress = (index: number) => `198.18.0.${index}`
/** The lab's ends of a host's two links, in the router's namespace. */
export const hostUplinkPort = (index: number) => `up-${index}`
export const hostUnderlayPort = (index: number) => `under-${index}`
/** A host keeps its MAC addresses over a reboot, as a machine does. */
export const hostMac = (device: typeof uplinkDevice | typeof underlayDevice, index: number) =>
  `02:5c:${device === uplinkDevice ? '01' : '02'}:00:00:${index.toString(16).padStart(2, '0')}`

export const hostDisk = (settings: LabSettings, host: string) => `${settings.diskFolder}/hosts/${host}`
export const controllerFolder = (settings: LabSettings) => `${settings.diskFolder}/controller`
export const clusterFolder = (settings: LabSettings) => `${settings.diskFolder}/cluster`
export const nameServerFolder = (settings: LabSettings) => `${settings.diskFolder}/names`
/** In the form that `kdig -k` takes. */
export const nameServerKeyFile = (settings: LabSettings) => `${nameServerFolder(settings)}/key`
/** Of a top level that nobody on the internet has. */
export const zoneOf = (settings: Pick<LabSettings, 'name'>) => `${settings.name}.test`
export const logFolder = (settings: LabSettings) => `${settings.diskFolder}/logs`
export const adminTokenFile = (settings: LabSettings) => `${controllerFolder(settings)}/admin-token`
export const controllerUrl = `http://${controllerAddress}:${apiPort}`
/** Where programs on the machine reach the API. */
export const apiUrl = ({ cluster }: Pick<LabSettings, 'cluster'>) => (cluster === null ? loopbackUrl : controllerUrl)
export const loopbackUrl = `http://127.0.0.1:${apiPort}`
