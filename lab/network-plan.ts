/** Which links, addresses and routes a lab consists of, as lines for `ip -batch`. Pure. */

import {
  clientAddress,
  clientGateway,
  clientPrefixLength,
  controlAddress,
  controllerAddress,
  controlPort,
  hostMac,
  hostUnderlayAddress,
  hostUnderlayPort,
  hostUplinkPort,
  type LabSettings,
  machineAddress,
  machineLink,
  markOf,
  nameServerAddress,
  nameServerGateway,
  nameServerPrefixLength,
  nameServerUnderlayAddress,
  underlayDevice,
  underlayPrefixLength,
  uplinkDevice,
  uplinkGateway,
  uplinkPrefixLength,
} from './settings.ts'

/** In the router's namespace: the two segments, the router's legs, and the client's link. */
export function planRouter(clientPid: number): string[] {
  return [
    'link set lo up',
    'link add uplink type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
    'link add underlay type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
    `address add ${uplinkGateway}/${uplinkPrefixLength} dev uplink`,
    'link set uplink up',
    'link set underlay up',
    `link add clients type veth peer name eth0 netns ${clientPid}`,
    `address add ${clientGateway}/${clientPrefixLength} dev clients`,
    'link set clients up',
  ]
}

/** In the client's namespace: it knows the uplink by its router alone, so that a missing route back is seen. */
export function planClient(): string[] {
  return [
    'link set lo up',
    `address add ${clientAddress}/${clientPrefixLength} dev eth0`,
    'link set eth0 up',
    `route add default via ${clientGateway}`,
  ]
}

/**
 * In the router's namespace: the machine's own leg on the underlay. It gets its alias before it is handed over, so that
 * the machine never has a link of ours that doesn't say so.
 */
export function planMachineLink(labName: string, machinePid: number): string[] {
  const link = machineLink(labName)
  return [
    `link add ${link} type veth peer name machine`,
    `link set ${link} alias ${markOf(labName)}`,
    'link set machine master underlay up',
    `link set ${link} netns ${machinePid}`,
  ]
}

/** In the machine's own namespace. */
export function planMachineAddress({ name, cluster }: Pick<LabSettings, 'name' | 'cluster'>): string[] {
  const link = machineLink(name)
  const address = cluster === null ? controllerAddress : machineAddress
  return [`address add ${address}/${underlayPrefixLength} dev ${link}`, `link set ${link} up`]
}

/** In the router's namespace: the one link of a machine for controllers and nodes. */
export function planControlPort(index: number, pid: number): string[] {
  return [
    `link add ${controlPort(index)} type veth peer name ${underlayDevice} netns ${pid}`,
    `link set ${controlPort(index)} master underlay up`,
  ]
}

/** In that machine. */
export function planControlDevice(index: number): string[] {
  return [
    'link set lo up',
    `address add ${controlAddress(index)}/${underlayPrefixLength} dev ${underlayDevice}`,
    `link set ${underlayDevice} up`,
  ]
}

/** In the router's namespace: the name server's two links, one on the underlay and one routed. */
export function planNameServerPorts(pid: number): string[] {
  return [
    `link add names type veth peer name eth0 netns ${pid}`,
    `address add ${nameServerGateway}/${nameServerPrefixLength} dev names`,
    'link set names up',
    `link add under-names type veth peer name ${underlayDevice} netns ${pid}`,
    'link set under-names master underlay up',
  ]
}

/** In the name server's namespace. */
export function planNameServer(): string[] {
  return [
    'link set lo up',
    `address add ${nameServerAddress}/${nameServerPrefixLength} dev eth0`,
    'link set eth0 up',
    `address add ${nameServerUnderlayAddress}/${underlayPrefixLength} dev ${underlayDevice}`,
    `link set ${underlayDevice} up`,
    `route add default via ${nameServerGateway}`,
  ]
}

/** In the router's namespace: a host's two links, whose far ends appear in the host as its NICs. */
export function planHostPorts(index: number, hostPid: number): string[] {
  return [
    { port: hostUplinkPort(index), device: uplinkDevice, bridge: 'uplink' } as const,
    { port: hostUnderlayPort(index), device: underlayDevice, bridge: 'underlay' } as const,
  ].flatMap(({ port, device, bridge }) => [
    `link add ${port} type veth peer name ${device} address ${hostMac(device, index)} netns ${hostPid}`,
    `link set ${port} master ${bridge} up`,
  ])
}

/** In the host: a bare-metal machine's network before any agent. */
export function planHostDevices(index: number): string[] {
  return [
    'link set lo up',
    `link set ${uplinkDevice} up`,
    `address add ${hostUnderlayAddress(index)}/${underlayPrefixLength} dev ${underlayDevice}`,
    `link set ${underlayDevice} up`,
  ]
}
