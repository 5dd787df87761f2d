/**
 * The room of the lab's machines: what is in a machine's namespace beyond its links, namely where it asks for names and the
 * workloads that it runs, one process each, out of the agent's own binary.
 */

import { readFileSync } from 'node:fs'
import { renderResolvConf } from '../../templates/resolv-conf.ts'
import type { HostInstructions, MachineInstructions, WorkloadInstructions } from '../contract/host-instructions.ts'
import { namespaceSettingsFolder } from '../kernel/plan-removal.ts'
import type { DaemonName, Operation, OperationGroup } from '../operations/operation.ts'
import { createRoom, objectFolder, type Room, type Turn } from '../room.ts'

export interface MachineRoomOptions {
  readonly runFolder: string
  readonly host: string
  /** How this program is started, up to its subcommand: the binary, or Bun and the script. */
  readonly agentArgv: readonly string[]
}

/** Each machine's resolv.conf as it is. */
type Observed = ReadonlyMap<string, string | undefined>

export function createMachineRoom(options: MachineRoomOptions): Room {
  return createRoom<Observed>({
    name: 'machine',
    observe: async ({ desired }) => new Map(desired.machines.map(({ id }) => [id, readText(resolvConfPath(id))])),
    plan: (turn, observed) => planMachines(turn, observed, options),
  })
}

export function planMachines(
  { desired, daemons }: Pick<Turn, 'desired' | 'daemons'>,
  observed: Observed,
  options: MachineRoomOptions,
): OperationGroup[] {
  const domains = domainsByNetwork(desired)
  return desired.machines.map((machine) => ({
    objectId: machine.id,
    operations: [
      ...planResolvConf(machine, domains.get(machine.networkId), observed.get(machine.id)),
      ...planWorkloads(machine, daemons, options),
    ],
  }))
}

function planResolvConf(
  { id, addresses }: MachineInstructions,
  domain: string | undefined,
  observed: string | undefined,
): Operation[] {
  const content = renderResolvConf({ nameServers: addresses.slice(0, 1).map(({ gateway }) => gateway), domain })
  if (content === observed) return []
  return [{ kind: 'writeFile', path: resolvConfPath(id), content, mode: 0o644 }]
}

function planWorkloads(
  machine: MachineInstructions,
  daemons: Turn['daemons'],
  options: MachineRoomOptions,
): Operation[] {
  const wanted = machine.workloads.map((workload) => startWorkload(machine, workload, options))
  const running = daemons.filter(({ objectId }) => objectId === machine.id)
  const isCurrent = (start: Start) =>
    running.some(({ daemon, fingerprint }) => daemon === start.daemon && fingerprint === start.fingerprint)
  const isWanted = ({ daemon, fingerprint }: { daemon: string; fingerprint: string }) =>
    wanted.some((start) => start.daemon === daemon && start.fingerprint === fingerprint)
  return [
    ...running.filter((daemon) => !isWanted(daemon)).map(({ daemon }) => stopWorkload(machine.id, daemon)),
    ...wanted.filter((start) => !isCurrent(start)),
  ]
}

type Start = Extract<Operation, { kind: 'startDaemon' }>

function startWorkload(
  { id, name }: MachineInstructions,
  { kind, port }: WorkloadInstructions,
  { runFolder, host, agentArgv }: MachineRoomOptions,
): Start {
  const daemon: DaemonName = `workload-${kind}-${port}`
  const facts = [`--port=${port}`, `--name=${name}`, `--host=${host}`]
  return {
    kind: 'startDaemon',
    objectId: id,
    daemon,
    namespace: id,
    argv: [...agentArgv, 'workload', kind, ...facts],
    fingerprint: Bun.hash(facts.join(' ')).toString(36),
    capabilities: ['CAP_NET_BIND_SERVICE'],
    logFile: `${objectFolder(runFolder, id)}/${daemon}.log`,
  }
}

const stopWorkload = (objectId: string, daemon: DaemonName): Operation => ({
  kind: 'stopDaemon',
  objectId,
  daemon,
  signal: 'SIGTERM',
  graceMilliseconds: 500,
})

const resolvConfPath = (machineId: string) => `${namespaceSettingsFolder(machineId)}/resolv.conf`

const domainsByNetwork = ({ networks }: HostInstructions) => new Map(networks.map(({ id, domain }) => [id, domain]))

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
