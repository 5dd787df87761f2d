/**
 * The lab's cluster: machines control-1, control-2, … each with a node, a controller or both, and before the controllers
 * one address on whichever of them is well. Starts them, ends them, and cuts them off.
 */

import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { labEnvironment, must, type Run } from './commands.ts'
import { answers, commonEnvironment, lastLines, readAdminToken, repositoryFolder } from './controller-process.ts'
import { type ControlState, type LabState, livingProcess, writeLabState } from './lab-state.ts'
import { ipBatch, startMachine } from './namespaces.ts'
import { planControlDevice, planControlPort } from './network-plan.ts'
import {
  findProcessesOfFolder,
  isAlive,
  killProcesses,
  observeProcess,
  type ProcessReference,
  signalProcess,
} from './processes.ts'
import {
  adminTokenFile,
  apiPort,
  clusterFolder,
  controlAddress,
  controllerAddress,
  controllerFolder,
  controllerName,
  controllerUrl,
  controlName,
  controlPort,
  type LabCluster,
  type LabSettings,
  logFolder,
  natsClusterPort,
  natsPort,
  nodeName,
  underlayDevice,
} from './settings.ts'
import { waitUntil } from './wait.ts'

export type ControlProgram = 'node' | 'controller' | 'haproxy' | 'keepalived'

const startTimeoutSeconds = 90
const startPollMilliseconds = 50

/** Brings all of it up. Fills in `state`. */
export async function startCluster(run: Run, settings: LabSettings, state: LabState): Promise<void> {
  const { cluster } = settings
  if (cluster === null) throw new Error('BUG: a cluster is started where none is wanted')
  const machines = Math.max(cluster.nats, cluster.controllers)
  state.controls = Array.from({ length: machines }, (_, i) => describeControl(i + 1, cluster))
  await must(run, [process.execPath, ...clusterArguments(settings, cluster)])
  await Promise.all(state.controls.map((control) => buildControl(run, settings, state, control)))
  for (const program of ['node', 'controller', 'haproxy', 'keepalived'] as const) {
    for (const control of state.controls) {
      if (control[program] !== null) startControlProgram(settings, state, control, program)
    }
  }
  await waitUntilServed(settings, state)
}

/** Starts what was ended; false: it runs. */
export function startControlProgram(
  settings: LabSettings,
  state: LabState,
  control: ControlState,
  program: ControlProgram,
): boolean {
  const { machine } = control
  if (machine === null || !isAlive(machine)) throw new Error(`${control.name} is off`)
  if (isAlive(control[program]?.process ?? undefined)) return false
  const { argv, environment } = describeProgram(settings, control, program)
  mkdirSync(logFolder(settings), { recursive: true })
  const log = openSync(programLog(settings, control, program), 'a')
  const child = Bun.spawn(['nsenter', '-t', String(machine.pid), '-n', '-u', '--', ...argv], {
    cwd: repositoryFolder,
    env: environment,
    stdin: 'ignore',
    stdout: log,
    stderr: log,
    detached: true,
  })
  closeSync(log)
  child.unref()
  control[program] = { wanted: true, process: observeProcess(child.pid) ?? null }
  writeLabState(settings, state)
  return true
}

/** Ends it with SIGKILL; a node with its NATS server, which would outlive it. */
export async function killControlProgram(
  settings: LabSettings,
  state: LabState,
  control: ControlState,
  program: ControlProgram,
): Promise<void> {
  const running = control[program]
  if (running === null) throw new Error(`${control.name} has no ${program}`)
  running.wanted = false
  await killProcesses([...listProcesses(settings, control, program)])
  running.process = null
  writeLabState(settings, state)
}

/** Freezes it, or lets it go on: it neither answers nor hangs up meanwhile. */
export function freezeControlProgram(
  settings: LabSettings,
  control: ControlState,
  program: ControlProgram,
  isFrozen: boolean,
): void {
  for (const reference of listProcesses(settings, control, program)) {
    signalProcess(reference, isFrozen ? 'SIGSTOP' : 'SIGCONT')
  }
}

/** Takes its link down at the switch's side, or up again. */
export async function cutControl(
  run: Run,
  settings: LabSettings,
  state: LabState,
  control: ControlState,
  isCut: boolean,
): Promise<void> {
  const router = livingProcess(state.router)
  if (router === undefined) throw new Error("the lab's router is gone; `sluice lab up` starts it anew")
  await ipBatch(run, router.pid, [`link set ${controlPort(control.index)} ${isCut ? 'down' : 'up'}`])
  control.isCut = isCut
  writeLabState(settings, state)
}

/** By `control-1`, `node-1` or `controller-1`. */
export function findControl(state: LabState, name: string): ControlState {
  const index = Number(/^(?:control|node|controller)-(\d+)$/.exec(name)?.[1])
  const control = state.controls.find((one) => one.index === index)
  if (control !== undefined) return control
  throw new Error(
    state.controls.length === 0
      ? `this lab has no ${name}: it was started without --nats and --controllers`
      : `this lab has no ${name}; it has ${state.controls.map((one) => one.name).join(', ')}`,
  )
}

function describeControl(index: number, { nats, controllers }: LabCluster): ControlState {
  const program = (isThere: boolean) => (isThere ? { wanted: true, process: null } : null)
  return {
    index,
    name: controlName(index),
    machine: null,
    isCut: false,
    node: program(index <= nats),
    controller: program(index <= controllers),
    haproxy: program(index <= controllers),
    keepalived: program(index <= controllers),
  }
}

function clusterArguments(settings: LabSettings, { nats, controllers }: LabCluster): readonly string[] {
  const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)
  return [
    `${repositoryFolder}/controller/cluster/main.ts`,
    ...['--state-folder', controllerFolder(settings), '--out', clusterFolder(settings)],
    ...['--address', `${controllerAddress}:${apiPort}`, '--device', underlayDevice],
    ...upTo(controllers).flatMap((i) => ['--controller', `${controllerName(i)}=${controlAddress(i)}:${apiPort}`]),
    ...upTo(nats).map((i) => {
      return `${nodeName(i)}=${controlAddress(i)}:${natsPort},${controlAddress(i)}:${natsClusterPort}`
    }),
  ]
}

async function buildControl(run: Run, settings: LabSettings, state: LabState, control: ControlState): Promise<void> {
  const router = livingProcess(state.router)
  if (router === undefined) throw new Error('BUG: a control machine before there is a router')
  const machine = await startMachine(settings.name, { hostname: control.name })
  control.machine = machine
  writeLabState(settings, state)
  await ipBatch(run, router.pid, planControlPort(control.index, machine.pid))
  await ipBatch(run, machine.pid, planControlDevice(control.index))
}

function describeProgram(
  settings: LabSettings,
  control: ControlState,
  program: ControlProgram,
): { readonly argv: readonly string[]; readonly environment: Record<string, string> } {
  const environment = labEnvironment(settings.name)
  const front = `${clusterFolder(settings)}/fronts/${controllerName(control.index)}`
  switch (program) {
    case 'node':
      return {
        argv: [process.execPath, 'controller/node/main.ts'],
        environment: { ...environment, SLUICE_NODE_FOLDER: nodeFolder(settings, control) },
      }
    case 'controller':
      return { argv: [process.execPath, 'controller/main.ts'], environment: controllerOf(settings, control) }
    case 'haproxy':
      return { argv: ['haproxy', '-db', '-f', `${front}/haproxy.cfg`], environment }
    case 'keepalived': {
      const files = [`--pid=${front}/keepalived.pid`, `--vrrp_pid=${front}/vrrp.pid`]
      const options = ['--dont-fork', '--log-console', '--vrrp', `--use-file=${front}/keepalived.conf`, ...files]
      return { argv: ['keepalived', ...options], environment }
    }
    default:
      return program satisfies never
  }
}

/** Its folder holds the keys, which are the same for all of them. */
function controllerOf(settings: LabSettings, control: ControlState): Record<string, string> {
  const nodes = Array.from({ length: settings.cluster?.nats ?? 0 }, (_, i) => `${controlAddress(i + 1)}:${natsPort}`)
  return {
    ...commonEnvironment(settings),
    SLUICE_LISTEN: `127.0.0.1:${apiPort},${controlAddress(control.index)}:${apiPort}`,
    SLUICE_PUBLIC_URL: controllerUrl,
    SLUICE_NATS_SERVERS: nodes.join(','),
    SLUICE_CONTROLLER_NAME: controllerName(control.index),
  }
}

const nodeFolder = (settings: LabSettings, { index }: ControlState) =>
  `${clusterFolder(settings)}/nodes/${nodeName(index)}`

const programLog = (settings: LabSettings, control: ControlState, program: ControlProgram) =>
  `${logFolder(settings)}/${control.name}-${program}.log`

function listProcesses(settings: LabSettings, control: ControlState, program: ControlProgram): ProcessReference[] {
  const own = livingProcess(control[program]?.process ?? null)
  const servers = program === 'node' ? findProcessesOfFolder('nats-server', nodeFolder(settings, control)) : []
  return [...(own === undefined ? [] : [own]), ...servers]
}

async function waitUntilServed(settings: LabSettings, state: LabState): Promise<void> {
  const logs = () =>
    state.controls.flatMap((control) =>
      (['node', 'controller'] as const).flatMap((program) =>
        control[program] === null
          ? []
          : [`${control.name} ${program}:\n${lastLines(programLog(settings, control, program))}`],
      ),
    )
  await waitUntil(
    async () => {
      for (const control of state.controls) {
        for (const program of ['node', 'controller', 'haproxy', 'keepalived'] as const) {
          if (control[program] === null || isAlive(control[program].process ?? undefined)) continue
          const log = programLog(settings, control, program)
          throw new Error(`${program} of ${control.name} ended at its start:\n${lastLines(log)}`)
        }
      }
      if (!existsSync(adminTokenFile(settings))) return false
      const token = readAdminToken(settings)
      const owns = state.controls.flatMap(({ index, controller }) =>
        controller === null ? [] : [`http://${controlAddress(index)}:${apiPort}`],
      )
      const served = await Promise.all([controllerUrl, ...owns].map((url) => answers(token, url)))
      return served.every(Boolean)
    },
    {
      what: () => `the controllers to answer at ${controllerUrl}:\n${logs().join('\n')}`,
      timeoutSeconds: startTimeoutSeconds,
      intervalMilliseconds: startPollMilliseconds,
    },
  )
}
