/**
 * A lab: hosts made of namespaces on one machine, joined by an uplink and an underlay, with a client behind a router,
 * and a controller. This is what the command line and the tests call.
 *
 * @example
 * const settings = labSettings({ name: 'mine', hosts: 2, bare: true })
 * await bringLabUp(settings, silentProgress)
 * const lab = openLab(settings)
 * const result = await lab.run(enterArgv(lab, 'host-1', ['ip', 'address']))
 * await withLabLock(settings.name, () => removeLab(settings))
 */

import { findControl } from './cluster.ts'
import { commandRunner } from './commands.ts'
import { findHost, type OpenLab, routerPid } from './faults.ts'
import { labCondition, livingProcess, readLabState } from './lab-state.ts'
import { withLabLock } from './lock.ts'
import { enterMachine } from './namespaces.ts'
import { removeLab } from './remove.ts'
import type { LabSettings } from './settings.ts'
import type { Progress } from './up.ts'

export {
  type ControlProgram,
  cutControl,
  findControl,
  freezeControlProgram,
  killControlProgram,
  startControlProgram,
} from './cluster.ts'
export { readAdminToken } from './controller-process.ts'
export {
  bootController,
  bootHostAgain,
  bootNameServer,
  bothSegments,
  cutHost,
  healHost,
  killController,
  killHost,
  killHostAgent,
  killNameServer,
  type OpenLab,
  type Segment,
  startHostAgent,
} from './faults.ts'
export { withLabLock } from './lock.ts'
export { removeLab } from './remove.ts'
export * from './settings.ts'
export { type LabStatus, observeLab } from './status.ts'
export { bringLabUp, type Progress, type UpResult } from './up.ts'

/** For tests: says nothing. */
export const silentProgress: Progress = { step: (_title, work) => work(), note: () => {} }

/** The lab that runs; throws when there is none. */
export function openLab(settings: LabSettings): OpenLab {
  const state = readLabState(settings)
  const condition = labCondition(state)
  if (state === undefined || condition === 'absent') {
    throw new Error(`lab "${settings.name}" does not run; \`sluice lab up\` starts it`)
  }
  if (condition === 'broken') {
    throw new Error(
      `lab "${settings.name}" is half made or half dead; \`sluice lab up\` starts it anew, \`sluice lab down\` removes it`,
    )
  }
  // The lab knows best where its own disks are, and whether it has a cluster.
  const { diskFolder, cluster } = state
  return { run: commandRunner(settings.name), settings: { ...settings, diskFolder, cluster }, state }
}

/** Holds the lock while it changes the lab that runs. */
export async function changeLab<Result>(
  settings: LabSettings,
  change: (lab: OpenLab) => Promise<Result>,
): Promise<Result> {
  return await withLabLock(settings.name, () => change(openLab(settings)))
}

/** False: there was nothing to take down. */
export async function takeLabDown(settings: LabSettings): Promise<boolean> {
  return await withLabLock(settings.name, () => removeLab(settings))
}

/** The argv that runs a command on `router`, `client` or a host. */
export function enterArgv(
  lab: OpenLab,
  where: string,
  command: readonly string[],
  workingFolder?: string,
): readonly string[] {
  return enterMachine(pidOf(lab, where), command, workingFolder)
}

function pidOf(lab: OpenLab, where: string): number {
  if (where === 'router') return routerPid(lab.state)
  const reference = livingProcess(processOf(lab, where))
  if (reference === undefined) throw new Error(`${where} is off; power it on with \`sluice lab boot ${where}\``)
  return reference.pid
}

function processOf({ state }: OpenLab, where: string) {
  if (where === 'client') return state.client
  if (where.startsWith('control-')) return findControl(state, where).machine
  return where === 'names' ? (state.names?.machine ?? null) : findHost(state, where).process
}
