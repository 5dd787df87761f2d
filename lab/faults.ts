/** Faults by hand, on a lab that runs: links cut and healed, plugs pulled and put back. */

import { hasJoined, killAgent, startAgent } from './agent-process.ts'
import { bootHost } from './build-lab.ts'
import { hasCollectd, startCollectd } from './collectd.ts'
import type { Run } from './commands.ts'
import { startController } from './controller-process.ts'
import { type HostState, type LabState, livingProcess, writeLabState } from './lab-state.ts'
import { killNameServer as endNameServer, startNameServer } from './name-server.ts'
import { ipBatch } from './namespaces.ts'
import { findProcessesOfFolder, isAlive, killProcesses } from './processes.ts'
import { controllerFolder, hostUnderlayPort, hostUplinkPort, type LabSettings } from './settings.ts'

/** A running lab, as the commands that change it hold it. */
export type OpenLab = { readonly run: Run; readonly settings: LabSettings; readonly state: LabState }

export type Segment = 'uplink' | 'underlay'
export const bothSegments: readonly Segment[] = ['uplink', 'underlay']

const portOf = (segment: Segment, index: number) =>
  segment === 'uplink' ? hostUplinkPort(index) : hostUnderlayPort(index)

/** Takes these links of the host down at the switch's side: the host sees its carrier go. */
export async function cutHost(lab: OpenLab, name: string, segments: readonly Segment[]): Promise<void> {
  const host = hostThatRuns(lab.state, name)
  await ipBatch(
    lab.run,
    routerPid(lab.state),
    segments.map((segment) => `link set ${portOf(segment, host.index)} down`),
  )
  host.cut = bothSegments.filter((segment) => host.cut.includes(segment) || segments.includes(segment))
  writeLabState(lab.settings, lab.state)
}

export async function healHost(lab: OpenLab, name: string, segments: readonly Segment[]): Promise<void> {
  const host = hostThatRuns(lab.state, name)
  await ipBatch(
    lab.run,
    routerPid(lab.state),
    segments.map((segment) => `link set ${portOf(segment, host.index)} up`),
  )
  host.cut = host.cut.filter((segment) => !segments.includes(segment))
  writeLabState(lab.settings, lab.state)
}

/** Pulls the host's plug: its processes, namespaces and links end at once; its disk stays. */
export async function killHost(lab: OpenLab, name: string): Promise<void> {
  const host = hostThatRuns(lab.state, name)
  const firstProcess = livingProcess(host.process)
  host.process = null
  host.cut = []
  // Death first, links after: a host doesn't see its links go before it dies. An orphaned socket could keep them up.
  if (firstProcess !== undefined) await killProcesses([firstProcess])
  await removeHostPorts(lab, host)
  writeLabState(lab.settings, lab.state)
}

/** Powers a host on; its agent, if it had joined, starts from its disk alone. False: it was on. */
export async function bootHostAgain(lab: OpenLab, name: string): Promise<boolean> {
  const host = findHost(lab.state, name)
  if (livingProcess(host.process) !== undefined) return false
  await removeHostPorts(lab, host)
  await bootHost(lab.run, lab.settings, lab.state, host)
  if (hasJoined(lab.settings, name)) await startHostAgent(lab, name)
  if (hasCollectd(lab.settings, name)) await startCollectd(lab.run, pidOf(host))
  return true
}

export async function killHostAgent(lab: OpenLab, name: string, options: { readonly forGood: boolean }): Promise<void> {
  await killAgent(lab.run, pidOf(hostThatRuns(lab.state, name)), options)
}

export async function startHostAgent(lab: OpenLab, name: string): Promise<void> {
  await startAgent(lab.run, pidOf(hostThatRuns(lab.state, name)))
}

/** Ends the controller and its nats-server at once, as a crash of the machine under them does. */
export async function killController(lab: OpenLab): Promise<void> {
  refuseCluster(lab.state)
  const { controller } = lab.state
  controller.wanted = false
  writeLabState(lab.settings, lab.state)
  if (controller.process !== null) await killProcesses([controller.process])
  await killProcesses(findProcessesOfFolder('nats-server', controllerFolder(lab.settings)))
  controller.process = null
  writeLabState(lab.settings, lab.state)
}

/** False: it runs. */
export async function bootController(lab: OpenLab): Promise<boolean> {
  refuseCluster(lab.state)
  const { controller } = lab.state
  if (controller.process !== null && isAlive(controller.process)) return false
  await killProcesses(findProcessesOfFolder('nats-server', controllerFolder(lab.settings)))
  controller.wanted = true
  await startController(lab.settings, (reference) => {
    controller.process = reference
    writeLabState(lab.settings, lab.state)
  })
  return true
}

function refuseCluster({ controls }: LabState): void {
  if (controls.length === 0) return
  throw new Error('this lab has several controllers: name one, as controller-1; `sluice lab status` lists them')
}

/** Ends the name server at once; its zone and journal stay. */
export const killNameServer = (lab: OpenLab): Promise<void> => endNameServer(lab.settings, lab.state)

/** False: it runs. */
export const bootNameServer = (lab: OpenLab): Promise<boolean> => startNameServer(lab.settings, lab.state)

async function removeHostPorts(lab: OpenLab, host: HostState): Promise<void> {
  for (const segment of bothSegments) {
    // Already gone when the host's namespace went with its last process.
    await ipBatch(lab.run, routerPid(lab.state), [`link delete ${portOf(segment, host.index)}`]).catch(() => undefined)
  }
}

export function findHost(state: LabState, name: string): HostState {
  const host = state.hosts.find((one) => one.name === name)
  if (host !== undefined) return host
  throw new Error(`this lab has no host "${name}"; it has ${state.hosts.map((one) => one.name).join(', ')}`)
}

function hostThatRuns(state: LabState, name: string): HostState {
  const host = findHost(state, name)
  if (livingProcess(host.process) !== undefined) return host
  throw new Error(`${name} is off; power it on with \`sluice lab boot ${name}\``)
}

function pidOf(host: HostState): number {
  if (host.process === null) throw new Error(`BUG: ${host.name} runs and has no process`)
  return host.process.pid
}

export function routerPid(state: LabState): number {
  const router = livingProcess(state.router)
  if (router === undefined) throw new Error("the lab's router is gone; `sluice lab up` starts it anew")
  return router.pid
}
