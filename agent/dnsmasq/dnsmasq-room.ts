/**
 * The room of dnsmasq: one in each project's namespace, for DHCP and names. A change of its config starts it anew, a change
 * of who is on the network only makes it read again.
 */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import {
  type DnsmasqFiles,
  type DnsmasqNetwork,
  renderDnsmasqConfig,
  renderDnsmasqHosts,
  renderDnsmasqNames,
} from '../../templates/dnsmasq.ts'
import { isOnTheMove } from '../addresses/address-holders.ts'
import type { HostInstructions } from '../contract/host-instructions.ts'
import { gatewayDevice } from '../kernel/names.ts'
import type { Operation, OperationGroup } from '../operations/operation.ts'
import { createRoom, objectFolder, type Room, type Turn } from '../room.ts'

/** The files of one project as they are, by path; undefined where there is none. */
export type ObservedFiles = ReadonlyMap<string, string | undefined>

export function createDnsmasqRoom(runFolder: string): Room {
  return createRoom<ObservedFiles>({
    name: 'dnsmasq',
    observe: async ({ desired }) => observeFiles(desired, runFolder),
    plan: (turn, files) => planDnsmasq(turn, files, runFolder),
  })
}

export function planDnsmasq(
  turn: Pick<Turn, 'desired' | 'daemons' | 'strayDaemons'>,
  files: ObservedFiles,
  runFolder: string,
): OperationGroup[] {
  return [...networksByProject(turn.desired)].map(([projectId, networks]) => ({
    objectId: projectId,
    operations: planProject(projectId, networks, turn, files, runFolder),
  }))
}

function planProject(
  projectId: string,
  networks: readonly DnsmasqNetwork[],
  { daemons, strayDaemons }: Pick<Turn, 'daemons' | 'strayDaemons'>,
  files: ObservedFiles,
  runFolder: string,
): Operation[] {
  const paths = dnsmasqPaths(runFolder, projectId)
  const config = renderDnsmasqConfig(networks, paths)
  const fingerprint = createHash('sha256').update(config).digest('hex').slice(0, 16)
  const isOurs = ({ objectId, daemon }: { objectId: string; daemon: string }) =>
    objectId === projectId && daemon === 'dnsmasq'
  const running = daemons.find(isOurs)
  const isStray = strayDaemons.some(isOurs)
  const write = (path: string, content: string): Operation[] =>
    files.get(path) === content ? [] : [{ kind: 'writeFile', path, content, mode: 0o644 }]
  const lists = [
    ...write(paths.hostsFile, renderDnsmasqHosts(networks)),
    ...write(paths.namesFile, renderDnsmasqNames(networks)),
  ]
  if (running?.fingerprint === fingerprint && !isStray) {
    return lists.length === 0
      ? []
      : [...lists, { kind: 'signalDaemon', objectId: projectId, daemon: 'dnsmasq', signal: 'SIGHUP' }]
  }
  return [
    ...lists,
    ...planConfig(paths.configFile, config, files),
    ...(running || isStray ? [stopDnsmasq(projectId)] : []),
    startDnsmasq(projectId, paths, fingerprint),
  ]
}

/** Written beside the good one and checked by dnsmasq itself before it takes its place. */
function planConfig(path: string, config: string, files: ObservedFiles): Operation[] {
  if (files.get(path) === config) return []
  const candidate = `${path}.candidate`
  return [
    { kind: 'writeFile', path: candidate, content: config, mode: 0o644 },
    { kind: 'checkConfig', argv: ['dnsmasq', '--test', `--conf-file=${candidate}`] },
    { kind: 'renameFile', from: candidate, to: path },
  ]
}

const stopDnsmasq = (projectId: string): Operation => ({
  kind: 'stopDaemon',
  objectId: projectId,
  daemon: 'dnsmasq',
  signal: 'SIGTERM',
  graceMilliseconds: 1000,
})

const startDnsmasq = (projectId: string, paths: DnsmasqPaths, fingerprint: string): Operation => ({
  kind: 'startDaemon',
  objectId: projectId,
  daemon: 'dnsmasq',
  namespace: projectId,
  // It keeps its rights: the files that it reads again are the agent's, and a namespace has nobody else in it.
  argv: ['dnsmasq', `--conf-file=${paths.configFile}`, '--pid-file', '--user=root', '--group=root'],
  fingerprint,
  // It sets its user and group even where they stay as they are.
  capabilities: ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_NET_BIND_SERVICE', 'CAP_SETUID', 'CAP_SETGID'],
  logFile: paths.logFile,
})

interface DnsmasqPaths extends DnsmasqFiles {
  readonly configFile: string
  readonly logFile: string
}

function dnsmasqPaths(runFolder: string, projectId: string): DnsmasqPaths {
  const folder = objectFolder(runFolder, projectId)
  return {
    configFile: `${folder}/dnsmasq.conf`,
    hostsFile: `${folder}/dnsmasq.hosts`,
    namesFile: `${folder}/dnsmasq.names`,
    leaseFile: `${folder}/dnsmasq.leases`,
    logFile: `${folder}/dnsmasq.log`,
  }
}

function networksByProject({ networks, machines }: HostInstructions): Map<string, DnsmasqNetwork[]> {
  const byProject = new Map<string, DnsmasqNetwork[]>()
  // A machine asks the dnsmasq of its own host alone, which knows whether it moves.
  const moving = new Set(machines.filter(isOnTheMove).map(({ id }) => id))
  for (const { id, projectId, domain, shards, neighbours } of networks) {
    const device = gatewayDevice(id)
    const reservations = firstOfEach(neighbours).map((each) =>
      moving.has(each.id) ? { ...each, isMoving: true } : each,
    )
    const network: DnsmasqNetwork = { device, domain, shards, neighbours: reservations }
    byProject.set(projectId, [...(byProject.get(projectId) ?? []), network])
  }
  return byProject
}

/** One that has several addresses is a neighbour by each; only the first is given by names and by DHCP. */
function firstOfEach<T extends { readonly id: string }>(neighbours: readonly T[]): T[] {
  const seen = new Set<string>()
  return neighbours.filter(({ id }) => {
    const isFirst = !seen.has(id)
    seen.add(id)
    return isFirst
  })
}

function observeFiles({ networks }: HostInstructions, runFolder: string): ObservedFiles {
  const projectIds = new Set(networks.map(({ projectId }) => projectId))
  return new Map(
    [...projectIds].flatMap((projectId) => {
      const { configFile, hostsFile, namesFile } = dnsmasqPaths(runFolder, projectId)
      return [configFile, hostsFile, namesFile].map((path): [string, string | undefined] => [path, readText(path)])
    }),
  )
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
