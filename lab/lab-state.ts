/** The file that says what a lab has made: one JSON file under /run, replaced whole. */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import * as v from 'valibot'
import { isAlive, type ProcessReference, processSchema } from './processes.ts'
import type { LabSettings } from './settings.ts'

const hostStateSchema = v.object({
  index: v.number(),
  name: v.string(),
  /** The host's PID 1 as the machine sees it; null once its plug was pulled by an order. */
  process: v.nullable(processSchema),
  /** Devices whose link was cut by an order. */
  cut: v.array(v.picklist(['uplink', 'underlay'])),
})

const namesStateSchema = v.object({
  /** The PID 1 of its machine, as the machine outside sees it. */
  machine: processSchema,
  /** knotd; null once it was killed by an order. */
  process: v.nullable(processSchema),
})

const programSchema = v.object({
  /** False after an order to end it: then its absence is no fault. */
  wanted: v.boolean(),
  process: v.nullable(processSchema),
})

/** A machine of the control plane, with what of a node, a controller and their front runs on it. */
const controlStateSchema = v.object({
  index: v.number(),
  name: v.string(),
  /** Its PID 1, as the real machine sees it. */
  machine: v.nullable(processSchema),
  isCut: v.boolean(),
  node: v.nullable(programSchema),
  controller: v.nullable(programSchema),
  haproxy: v.nullable(programSchema),
  keepalived: v.nullable(programSchema),
})

const labStateSchema = v.object({
  format: v.literal(1),
  name: v.string(),
  bare: v.boolean(),
  hostsWanted: v.number(),
  diskFolder: v.string(),
  /** Of the machine: a state file of before its reboot says nothing. */
  bootId: v.string(),
  createdAt: v.string(),
  phase: v.picklist(['starting', 'running']),
  router: v.nullable(processSchema),
  client: v.nullable(processSchema),
  hosts: v.array(hostStateSchema),
  /** `wanted` is false after `lab kill controller`: then its absence is no fault. */
  /** Null: it has no name server. */
  names: v.nullable(namesStateSchema),
  controller: v.object({ wanted: v.boolean(), process: v.nullable(processSchema) }),
  /** Null: one controller with its own NATS server, on the real machine. */
  cluster: v.nullable(v.object({ nats: v.number(), controllers: v.number() })),
  controls: v.array(controlStateSchema),
})

export type LabState = v.InferOutput<typeof labStateSchema>
export type ControlState = v.InferOutput<typeof controlStateSchema>
export type HostState = v.InferOutput<typeof hostStateSchema>

const stateFile = (settings: Pick<LabSettings, 'stateFolder'>) => `${settings.stateFolder}/state.json`

/** What the file says; undefined when there is none, or none that can be understood. */
export function readLabState(settings: Pick<LabSettings, 'stateFolder'>): LabState | undefined {
  try {
    return v.parse(labStateSchema, JSON.parse(readFileSync(stateFile(settings), 'utf8')))
  } catch {
    return undefined
  }
}

export function writeLabState(settings: Pick<LabSettings, 'stateFolder'>, state: LabState): void {
  mkdirSync(settings.stateFolder, { recursive: true })
  const path = stateFile(settings)
  writeFileSync(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

export function machineBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

/**
 * `running` while router, client, controller and at least one host live; a host that is off can be booted, whoever ended
 * it. `broken`: half made, of before a reboot, or without one of those.
 */
export function labCondition(state: LabState | undefined): 'absent' | 'running' | 'broken' {
  if (state === undefined) return 'absent'
  const needed = [state.router, state.client, ...(state.controller.wanted ? [state.controller.process] : [])]
  // A cluster is there to lose some of it: one controller must be left.
  const controllers = state.controls.flatMap(({ controller }) => (controller?.wanted === true ? [controller] : []))
  const hasController = controllers.length === 0 || controllers.some((one) => livingProcess(one.process) !== undefined)
  const isWhole =
    state.phase === 'running' &&
    state.bootId === machineBootId() &&
    needed.every((one) => one !== null && isAlive(one)) &&
    hasController &&
    state.hosts.some((host) => host.process === null || isAlive(host.process))
  return isWhole ? 'running' : 'broken'
}

/** Null-safe: the process if it lives. */
export function livingProcess(reference: ProcessReference | null): ProcessReference | undefined {
  return reference !== null && isAlive(reference) ? reference : undefined
}
