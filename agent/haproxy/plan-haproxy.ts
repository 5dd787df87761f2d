/**
 * Decides what one instance's haproxy needs: a start, a reload because its structure changed, or commands for members that
 * come and go while it runs. Pure.
 */

import {
  backendName,
  isNamedServer,
  memberIdOfServer,
  type RenderedHaproxyConfig,
  renderServer,
  serverWeight,
} from '../../templates/haproxy-config.ts'
import type { InstanceInstructions } from '../contract/host-instructions.ts'
import type { Operation } from '../operations/operation.ts'
import { checkHaproxyConfig, type HaproxyFiles, startHaproxy } from './haproxy-files.ts'
import type { HaproxyAnswer, ObservedServer } from './observed-haproxy.ts'
import { type WantedServer, wantedServers } from './wanted-servers.ts'

export interface ObservedHaproxy {
  /**
   * `starting`: it runs, and has not answered yet. `silent`: it runs and has not answered for longer than a start or a
   * busy moment takes.
   */
  readonly status: 'stopped' | 'starting' | 'answering' | 'silent'
  /** The config on disk; undefined where there is none yet. */
  readonly config: string | undefined
  /** What it answered last. */
  readonly answer?: HaproxyAnswer | undefined
  /** Since when servers have been draining, by `<backend>/<server>`. */
  readonly drainingSeconds: ReadonlyMap<string, number>
  /** What keepalived's track file holds; undefined where there is none yet. */
  readonly fault: string | undefined
}

export interface DesiredHaproxy {
  readonly instance: InstanceInstructions
  readonly rendered: RenderedHaproxyConfig
  readonly files: HaproxyFiles
  /** Whose the addresses of its network are; left out where that does not matter. */
  readonly holders?: ReadonlyMap<string, string>
}

export function planHaproxy(desired: DesiredHaproxy, observed: ObservedHaproxy): Operation[] {
  switch (observed.status) {
    case 'stopped':
      return planStart(desired, observed)
    case 'silent':
      return [stopHaproxy(desired.instance.id), ...planStart(desired, observed)]
    case 'starting':
      return []
    case 'answering': {
      const { answer } = observed
      if (answer === undefined) return []
      if (answer.description !== desired.rendered.description) return planReload(desired, observed)
      return [...planServers(desired, answer, observed.drainingSeconds), ...planConfig(desired, observed)]
    }
    default:
      return observed.status satisfies never
  }
}

/**
 * The first start needs no check beforehand, since haproxy makes the same one and nothing is at stake. One that is tried
 * again is checked while it starts, so that a report can say what is wrong.
 */
function planStart({ instance, rendered, files }: DesiredHaproxy, { config }: ObservedHaproxy): Operation[] {
  const start = startHaproxy(instance.id, files)
  if (config === undefined) return [{ kind: 'writeFile', path: files.config, content: rendered.text }, start]
  if (config === rendered.text) return [start, checkHaproxyConfig(files.config)]
  // What ran last is known to be good: it serves while the new config is checked, and stays if that is bad.
  return [start, ...replaceConfig(files, rendered)]
}

/** The file follows the members, so that the next start has them. */
function planConfig({ rendered, files }: DesiredHaproxy, { config }: ObservedHaproxy): Operation[] {
  return config === rendered.text ? [] : replaceConfig(files, rendered)
}

function planReload(desired: DesiredHaproxy, observed: ObservedHaproxy): Operation[] {
  const { masterSocket, statsSocket } = desired.files
  const { description } = desired.rendered
  return [...planConfig(desired, observed), { kind: 'reloadHaproxy', masterSocket, statsSocket, description }]
}

/** A config that haproxy refuses stops the group at the check, and the last good one stays. */
const replaceConfig = ({ candidate, config }: HaproxyFiles, { text }: RenderedHaproxyConfig): Operation[] => [
  { kind: 'writeFile', path: candidate, content: text },
  checkHaproxyConfig(candidate),
  { kind: 'renameFile', from: candidate, to: config },
]

const stopHaproxy = (objectId: string): Operation => ({
  kind: 'stopDaemon',
  objectId,
  daemon: 'haproxy',
  signal: 'SIGKILL',
  graceMilliseconds: 0,
})

const settledWith = new WeakMap<HaproxyAnswer, RenderedHaproxyConfig>()

/** An answer that has just the servers that are wanted, with nothing to do about them, is not gone through again each turn. */
function planServers(
  desired: DesiredHaproxy,
  answer: HaproxyAnswer,
  drainingSeconds: ReadonlyMap<string, number>,
): Operation[] {
  if (settledWith.get(answer) === desired.rendered) return []
  const operations = planMembers(desired, answer.servers, drainingSeconds)
  const count = answer.servers.filter(({ name }) => !isNamedServer(name)).length
  const isSettled = operations.length === 0 && count === wantedServers(desired.instance).size
  if (isSettled) settledWith.set(answer, desired.rendered)
  return operations
}

function planMembers(
  desired: DesiredHaproxy,
  servers: readonly ObservedServer[],
  drainingSeconds: ReadonlyMap<string, number>,
): Operation[] {
  const { instance, files } = desired
  const say: Say = (command, ...accepted) => ({
    kind: 'haproxyCommand',
    socket: files.statsSocket,
    command,
    ...(accepted.length > 0 && { accepted }),
  })
  // Those that are followed by their names are haproxy's own affair, and of its structure.
  const observed = new Map<string, ObservedServer>(
    servers.filter(({ name }) => !isNamedServer(name)).map((server) => [`${server.backend}/${server.name}`, server]),
  )
  const wanted = wantedServers(instance)
  const inUse = new Set([...observed.values()].map(({ backend, number }) => numberKey(backend, number)))
  const claimed = new Set(
    [...wanted].flatMap(([path, { port, number }]) =>
      observed.has(path) || number === undefined ? [] : numberKey(backendName(port), number),
    ),
  )
  const coming = [...wanted].flatMap(([path, { member, port, number }]) => {
    const server = observed.get(path)
    if (server === undefined) {
      // One on its way out has its number by chance, and is to be gone first.
      if (number !== undefined && inUse.has(numberKey(backendName(port), number))) return []
      return [
        say(`add server ${backendName(port)}/${renderServer(instance, member, number)}`, 'New server registered'),
        ...letBeChecked(path, say),
      ]
    }
    return [
      ...(server.weight === serverWeight(member) ? [] : [say(`set server ${path} weight ${serverWeight(member)}`)]),
      ...(server.isInMaintenance ? letBeChecked(path, say) : []),
      ...(server.isDraining && server.health !== 'unknown' ? [say(`set server ${path} state ready`)] : []),
    ]
  })
  const unwanted = [...observed].filter(([path]) => !wanted.has(path))
  const successors = unwanted.length === 0 ? none : findSuccessors(wanted, observed)
  const going = unwanted.flatMap(([path, server]) => {
    const successor = successors.get(memberKey(server.backend, memberIdOfServer(server.name)))
    const isMoving = successor !== undefined && hasBothPlaces(desired, server, successor)
    const isAwaited = claimed.has(numberKey(server.backend, server.number))
    const isTooEarly = successor?.health === 'unknown' || (isMoving && successor.health === 'down')
    if (isServing(server) && isTooEarly && !isAwaited) return []
    const isTimeOver = !isMoving && (drainingSeconds.get(path) ?? 0) >= instance.timeouts.drainSeconds
    if (server.isInMaintenance) {
      if (server.connections === 0) return [say(`del server ${path}`, 'Server deleted')]
      return isTimeOver ? endSessions(path, server, say) : []
    }
    if (!server.isDraining) return planDeparture(instance, path, server, say)
    const isOver = server.connectionsInUse === 0 || isTimeOver
    return isOver ? [...endSessions(path, server, say), say(`set server ${path} state maint`)] : []
  })
  // Those that come go first, so that there is always somebody to serve.
  return [...coming, ...going]
}

/**
 * A server that drains is still given those who are bound to it. So where clients are, it is taken out at once: what it has
 * begun goes on for HTTP; for TCP it would be cut, so there the table forgets whom it had.
 */
function planDeparture(
  { trafficType, traffic }: InstanceInstructions,
  path: string,
  { backend, number }: ObservedServer,
  say: Say,
): Operation[] {
  if (traffic?.stickySessions === undefined) return [say(`set server ${path} state drain`)]
  if (trafficType === 'http') return [say(`set server ${path} state maint`)]
  return [say(`set server ${path} state drain`), say(`clear table ${backend} data.server_id eq ${number}`)]
}

/** The server that a member has now, beside one that it had at another place. */
interface Successor {
  readonly address: string
  readonly health: ObservedServer['health']
}

const none: ReadonlyMap<string, Successor> = new Map()
const numberKey = (backend: string, number: number) => `${backend} ${number}`
const memberKey = (backend: string, memberId: string) => `${backend} ${memberId}`

function findSuccessors(
  wanted: ReadonlyMap<string, WantedServer>,
  observed: ReadonlyMap<string, ObservedServer>,
): ReadonlyMap<string, Successor> {
  return new Map(
    [...wanted].map(([path, { member, port }]): [string, Successor] => [
      memberKey(backendName(port), member.id),
      { address: member.address, health: observed.get(path)?.health ?? 'unknown' },
    ]),
  )
}

const isServing = ({ isDraining, isInMaintenance, health }: ObservedServer) =>
  !isDraining && !isInMaintenance && health !== 'down'

/**
 * The member's machine has the former address still, or the instance's leg has. Then it is for whoever moves them to say
 * how long connections may go on; and if the service listens at the former place alone, that goes on as well.
 */
function hasBothPlaces({ instance, holders }: DesiredHaproxy, server: ObservedServer, successor: Successor): boolean {
  if (server.address === successor.address) return instance.network.formerAddress !== undefined
  const holder = holders?.get(server.address)
  return holder !== undefined && holder === holders?.get(successor.address)
}

type Say = (command: string, ...accepted: string[]) => Operation

/** haproxy takes a server for healthy until its first check: one that drains is checked, and gets no request. */
const letBeChecked = (path: string, say: Say) => [say(`enable health ${path}`), say(`set server ${path} state drain`)]

const endSessions = (path: string, { connectionsInUse }: ObservedServer, say: Say) =>
  connectionsInUse === 0 ? [] : [say(`shutdown sessions server ${path}`)]
