/**
 * What hosts' reports prove of a move: that what was wanted is so, on the hosts that it concerns. A report counts when it
 * answers the generation that the host is told from this turn on. Pure.
 */

import type { HostInstructions } from '../../../agent/contract/host-instructions.ts'
import type { AddressReport, MemberStatus } from '../../../agent/contract/host-report.ts'
import { reportIntervalSeconds } from '../../../agent/contract/subjects.ts'
import type { StoredObject } from '../../control-plane/store.ts'
import type { LoadBalancerValue } from '../../objects.ts'
import { findInstanceReport, findMachineReport } from '../../observed/report-index.ts'
import type { MigrationView } from './migration-view.ts'

export type HolderSight =
  /** Its host has been deleted: nothing of it runs anywhere. */
  | { readonly kind: 'nobody' }
  /** Silent, not heard yet, or at work on it. */
  | { readonly kind: 'unseen'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string }
  | {
      readonly kind: 'converged'
      readonly addresses: readonly AddressReport[]
      /** When the report came in, milliseconds since the epoch. */
      readonly reportedAt: number
    }

interface Holder {
  readonly kind: 'machine' | 'instance'
  readonly id: string
  readonly hostId: string
}

export function lookAtHolder(view: MigrationView, holder: Holder): HolderSight {
  const host = view.hosts.get(holder.hostId)
  if (host === undefined || host.hearing.kind === 'gone') return { kind: 'nobody' }
  if (host.hearing.kind !== 'heard') return { kind: 'unseen', reason: `Its host ${host.name} is not heard of.` }
  const { report } = host.hearing
  const told = generationOf(view.statements.get(host.name), holder)
  const found = holder.kind === 'machine' ? findMachineReport(report, holder.id) : findInstanceReport(report, holder.id)
  const isAnswered = told !== undefined && found !== undefined && found.generation >= told && report.generation >= told
  if (!isAnswered || found.status === 'applying') return { kind: 'unseen', reason: `${host.name} is changing it.` }
  if (found.status === 'failed') return { kind: 'failed', reason: found.reason ?? `${host.name} gives no reason.` }
  const reportedAt = view.observed.get(host.name)?.receivedAt ?? 0
  return { kind: 'converged', addresses: found.addresses ?? [], reportedAt }
}

function generationOf(statement: HostInstructions | undefined, { kind, id }: Holder): number | undefined {
  if (statement === undefined) return undefined
  const told = kind === 'machine' ? findById(statement.machines, id) : findById(statement.instances, id)
  return told?.generation
}

/** It has what it was told to have, or nothing of it is left anywhere. */
export const isConverged = ({ kind }: HolderSight) => kind === 'converged' || kind === 'nobody'

/** The address is there, and has answered a probe from its network. */
export const answers = (sight: HolderSight, address: string) =>
  sight.kind === 'nobody' ||
  (sight.kind === 'converged' && sight.addresses.some((one) => one.address === address && one.answers))

/** It is there, as far as its host tells: of holders of one address it need not say whether that answers. */
export const isUp = (sight: HolderSight, address: string) =>
  sight.kind === 'nobody' ||
  (sight.kind === 'converged' && !sight.addresses.some((one) => one.address === address && !one.answers))

/** Nobody is connected to the address any more, by a report that was made wholly after `since`. */
export function isDrained(sight: HolderSight, address: string, since: number): boolean {
  if (sight.kind === 'nobody') return true
  if (sight.kind !== 'converged' || sight.reportedAt <= since + reportIntervalSeconds * 1000) return false
  return sight.addresses.some((one) => one.address === address && one.connections === 0)
}

/** Every host that has the network, and is heard of, has it as it is to be from this turn on. */
export function isNetworkConverged(view: MigrationView, networkId: string): boolean {
  return [...view.hosts.values()].every(({ name, hearing }) => {
    const statement = view.statements.get(name)
    const told = statement === undefined ? undefined : findById(statement.networks, networkId)
    // One that is silent learns it when it is heard again.
    if (told === undefined || hearing.kind === 'silent' || hearing.kind === 'gone') return true
    if (hearing.kind === 'unheard') return false
    const found = findById(hearing.report.networks, networkId)
    return found !== undefined && found.generation >= told.generation && found.status === 'converged'
  })
}

/**
 * What the instances of a balancer that serve say of a member: one list of statuses for each. Null: one of them has yet
 * to take in what it is told.
 */
export function askBalancer(
  view: MigrationView,
  loadBalancer: StoredObject<LoadBalancerValue>,
  memberId: string,
): readonly (readonly MemberStatus[])[] | null {
  const said: (readonly MemberStatus[])[] = []
  for (const { id, value } of view.instancesOf.get(loadBalancer.id) ?? []) {
    const hearing = view.hosts.get(value.hostId)?.hearing
    if (hearing?.kind === 'unheard') return null
    const report = hearing?.kind === 'heard' ? findInstanceReport(hearing.report, id) : undefined
    // One that does not serve takes in the whole of what it is told before it does.
    if (report?.serving !== true) continue
    if (!isConverged(lookAtHolder(view, { kind: 'instance', id, hostId: value.hostId }))) return null
    said.push(statusesOf(report.members, memberId))
  }
  return said
}

/** True when some instance that serves finds a member not healthy, whatever it has been told meanwhile. */
export function isFoundUnhealthy(
  view: MigrationView,
  loadBalancer: StoredObject<LoadBalancerValue>,
  memberId: string,
): boolean {
  return (view.instancesOf.get(loadBalancer.id) ?? []).some(({ id, value }) => {
    const hearing = view.hosts.get(value.hostId)?.hearing
    const report = hearing?.kind === 'heard' ? findInstanceReport(hearing.report, id) : undefined
    return report?.serving === true && !isHealthy(statusesOf(report.members, memberId))
  })
}

export const isHealthy = (statuses: readonly MemberStatus[]) =>
  statuses.length > 0 && statuses.every((status) => status === 'healthy')

function statusesOf(members: Readonly<Record<string, MemberStatus>>, memberId: string): readonly MemberStatus[] {
  return Object.entries(members).flatMap(([key, status]) => (key.startsWith(`${memberId}:`) ? [status] : []))
}

/** Lists stay the very same while they say the same, and so do these. */
const indexes = new WeakMap<object, ReadonlyMap<string, unknown>>()

function findById<Entry extends { readonly id: string }>(entries: readonly Entry[], id: string): Entry | undefined {
  const known = indexes.get(entries)
  if (known !== undefined) return (known as ReadonlyMap<string, Entry>).get(id)
  const index = new Map(entries.map((entry) => [entry.id, entry]))
  indexes.set(entries, index)
  return index.get(id)
}
