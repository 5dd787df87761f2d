/** Makes a lab's namespaces and links, and writes down each thing as soon as it exists. */

import { must, type Run } from './commands.ts'
import { type HostState, type LabState, machineBootId, writeLabState } from './lab-state.ts'
import { ipBatch, startMachine } from './namespaces.ts'
import {
  planClient,
  planHostDevices,
  planHostPorts,
  planMachineAddress,
  planMachineLink,
  planRouter,
} from './network-plan.ts'
import { hostDisk, hostName, type LabSettings } from './settings.ts'

export function emptyLabState(settings: LabSettings, createdAt: string): LabState {
  return {
    format: 1,
    name: settings.name,
    bare: settings.bare,
    hostsWanted: settings.hosts,
    diskFolder: settings.diskFolder,
    bootId: machineBootId(),
    createdAt,
    phase: 'starting',
    router: null,
    client: null,
    hosts: [],
    names: null,
    cluster: settings.cluster,
    controls: [],
    controller: { wanted: !settings.bare && settings.cluster === null, process: null },
  }
}

/** The two segments with their router, the client, and the machine's own leg. Fills in `state`. */
export async function buildSegments(run: Run, settings: LabSettings, state: LabState): Promise<void> {
  const [router, client] = await Promise.all([
    startMachine(settings.name, { hostname: 'router' }),
    startMachine(settings.name, { hostname: 'client' }),
  ])
  state.router = router
  state.client = client
  writeLabState(settings, state)
  await setSettings(run, router.pid, ['net.ipv4.ip_forward=1', bridgesUnfiltered])
  await ipBatch(run, router.pid, planRouter(client.pid))
  await ipBatch(run, client.pid, planClient())
  if (settings.bare) return
  await ipBatch(run, router.pid, planMachineLink(settings.name, process.pid))
  await ipBatch(run, 'here', planMachineAddress(settings))
}

/** Filters of a namespace have no say over what its bridges carry: what `sluice doctor` asks of a host. */
const bridgesUnfiltered = 'net.bridge.bridge-nf-call-iptables=0'

const setSettings = (run: Run, pid: number, settings: readonly string[]) =>
  must(run, ['nsenter', '-t', String(pid), '-n', '--', 'sysctl', '-qe', '-w', ...settings])

/** Powers a host on, with its disk as it was left. Fills in its state. */
export async function bootHost(run: Run, settings: LabSettings, state: LabState, host: HostState): Promise<void> {
  if (state.router === null) throw new Error('BUG: a host is booted before there is a router')
  const booted = await startMachine(settings.name, { hostname: host.name, disk: hostDisk(settings, host.name) })
  host.process = booted
  host.cut = []
  writeLabState(settings, state)
  await setSettings(run, booted.pid, [bridgesUnfiltered])
  await ipBatch(run, state.router.pid, planHostPorts(host.index, booted.pid))
  await ipBatch(run, booted.pid, planHostDevices(host.index))
}

export function hostStates(count: number): HostState[] {
  return Array.from({ length: count }, (_, offset) => {
    const index = offset + 1
    return { index, name: hostName(index), process: null, cut: [] }
  })
}
