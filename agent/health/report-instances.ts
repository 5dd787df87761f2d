/** Tells how an instance fares, from what was observed of it last. Pure. */

import { backendName, isNamedServer, memberIdOfServer } from '../../templates/haproxy-config.ts'
import type { InstanceInstructions } from '../contract/host-instructions.ts'
import type { MemberStatus } from '../contract/host-report.ts'
import type { ObservedServer } from '../haproxy/observed-haproxy.ts'
import { wantedServers } from '../haproxy/wanted-servers.ts'
import type { ObservedKeepalived } from '../keepalived/plan-keepalived.ts'
import type { InstanceCondition } from '../room.ts'
import { fault, noFault, type ObservedInstance } from './plan-instance.ts'

export function describeInstance(instance: InstanceInstructions, observed: ObservedInstance): InstanceCondition {
  const { haproxy, keepalived } = observed
  const isAnswering = haproxy.status === 'answering'
  const hasDrained = observed.hasDrained === true && haproxy.fault === fault && keepalived.heldVips.length === 0
  const { connectionsCut = 0 } = observed
  return {
    haproxy: isAnswering ? 'running' : 'stopped',
    keepalived: keepalivedWord(keepalived.status),
    serving: isAnswering && haproxy.fault === noFault && keepalived.status === 'running',
    ...(hasDrained && { drained: true }),
    ...(hasDrained && connectionsCut > 0 && { connectionsCut }),
    heldVips: [...keepalived.heldVips],
    members: tellMembers(instance, isAnswering ? (haproxy.answer?.servers ?? noServers) : noServers),
  }
}

function keepalivedWord(status: ObservedKeepalived['status']): InstanceCondition['keepalived'] {
  switch (status) {
    case 'running':
      return 'running'
    case 'stopped':
      return 'stopped'
    case 'broken':
    case 'hanging':
      return 'stale'
    default:
      return status satisfies never
  }
}

const noServers: readonly ObservedServer[] = []

interface Told {
  readonly instance: InstanceInstructions
  readonly members: Record<string, MemberStatus>
}

const told = new WeakMap<readonly ObservedServer[], Told>()

/** Each second's report is of all instances, and few haproxies have answered anew meanwhile. */
function tellMembers(instance: InstanceInstructions, servers: readonly ObservedServer[]): Record<string, MemberStatus> {
  const before = told.get(servers)
  if (before?.instance === instance) return before.members
  const members = describeMembers(instance, servers)
  if (servers !== noServers) told.set(servers, { instance, members })
  return members
}

/**
 * By member and the port that it listens on. A member that several listeners send to has the worst of its statuses; one
 * that is no longer wanted drains until it is gone.
 */
function describeMembers(
  instance: InstanceInstructions,
  servers: readonly ObservedServer[],
): Record<string, MemberStatus> {
  const byPath = new Map<string, ObservedServer>(servers.map((server) => [`${server.backend}/${server.name}`, server]))
  const wanted = wantedServers(instance)
  const members: Record<string, MemberStatus> = {}
  for (const [path, { member }] of wanted) {
    const key = `${member.id}:${member.port}`
    members[key] = worstOf(memberStatus(byPath.get(path)), members[key])
  }
  for (const { port, namedMembers = [] } of instance.listeners) {
    for (const member of namedMembers) {
      const own = servers.filter(
        ({ backend, name }) =>
          backend === backendName(port) && isNamedServer(name) && memberIdOfServer(name) === member.id,
      )
      const key = `${member.id}:${member.port}`
      members[key] = worstOf(namedStatus(own), members[key])
    }
  }
  for (const [path, server] of byPath) {
    if (!wanted.has(path) && !isNamedServer(server.name))
      members[`${memberIdOfServer(server.name)}:${server.port}`] ??= 'draining'
  }
  return members
}

function memberStatus(server: ObservedServer | undefined): MemberStatus {
  if (server === undefined) return 'unknown'
  // Whether it drains does not count: one that is wanted does so only until its first check.
  switch (server.health) {
    case 'up':
      return 'healthy'
    case 'down':
      return 'unhealthy'
    case 'unknown':
      return 'unknown'
    default:
      return server.health satisfies never
  }
}

/** Of a member by its name: the worst of the addresses that it has. */
function namedStatus(servers: readonly ObservedServer[]): MemberStatus {
  const resolved = servers.filter(({ isUnresolved }) => !isUnresolved)
  if (servers.length > 0 && resolved.length === 0) return 'unresolved'
  return fromWorst.find((status) => resolved.some((server) => memberStatus(server) === status)) ?? 'unknown'
}

const fromWorst: readonly MemberStatus[] = ['unhealthy', 'unresolved', 'unknown', 'healthy']

const worstOf = (status: MemberStatus, other: MemberStatus | undefined): MemberStatus =>
  fromWorst.find((candidate) => candidate === status || candidate === other) ?? status
