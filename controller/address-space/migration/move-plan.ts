/** What may become of one move in a turn, and the little that planning it forth and back has in common. Pure. */

import type { MemberStatus } from '../../../agent/contract/host-report.ts'
import type { StoredObject, Write } from '../../control-plane/store.ts'
import type { InstanceValue, LoadBalancerValue, MachineValue, MoveValue } from '../../objects.ts'
import { isLeaving } from '../../reconcile/snapshot.ts'
import { type Held, listMembersOf, shapeMembers } from './holder-shape.ts'
import type { Settlement, StoredMigration, StoredMove } from './migration-operation.ts'
import type { MigrationView } from './migration-view.ts'
import { askBalancer, type HolderSight, isHealthy, lookAtHolder } from './move-evidence.ts'

export type MovePlan =
  /** It has not begun, or has ended. */
  | { readonly kind: 'rest' }
  /** `isStuck`: for longer than a step may take, so that nothing waits for it any more. */
  | { readonly kind: 'wait'; readonly reason: string; readonly isStuck: boolean }
  | { readonly kind: 'shape'; readonly writes: readonly Write[] }
  | { readonly kind: 'step'; readonly value: MoveValue }
  | { readonly kind: 'settle'; readonly settlement: Settlement }

/** A move that is under way, with its holder. */
export interface MoveUnderWay<Value> {
  readonly view: MigrationView
  readonly migration: StoredMigration
  readonly move: StoredMove
  readonly holder: StoredObject<Value>
  readonly sight: HolderSight
  readonly from: Held
  readonly to: Held
  /** How long it has been at its step. */
  readonly stepSeconds: number
}

export type MachineMove = MoveUnderWay<MachineValue>
export type InstanceMove = MoveUnderWay<InstanceValue>

/** What a step may take, besides a whole drain. */
export const stepSecondsMaximum = 60

/** A host that fails tries again by itself: it is given so long. */
export const failurePatienceSeconds = 5

/** `leavingSince`: it is being deleted, RFC 3339; null: it is not. */
export type FoundHolder =
  | { readonly kind: 'machine'; readonly object: StoredObject<MachineValue>; readonly leavingSince: string | null }
  | { readonly kind: 'instance'; readonly object: StoredObject<InstanceValue>; readonly leavingSince: string | null }

export function findHolder({ snapshot }: Pick<MigrationView, 'snapshot'>, move: MoveValue): FoundHolder | undefined {
  if (move.ownerKind === 'machine') {
    const object = snapshot.machines.get(move.ownerId)
    return object && { kind: 'machine', object, leavingSince: object.value.deletingSince ?? null }
  }
  const object = snapshot.instances.get(move.ownerId)
  if (object === undefined) return undefined
  const balancer = snapshot.loadBalancers.get(object.value.loadBalancerId)
  const since = object.value.deletingSince ?? balancer?.value.deletingSince ?? object.updatedAt
  return { kind: 'instance', object, leavingSince: isLeaving(snapshot, object) ? since : null }
}

/** It has just this one address and nothing else is about to change about that. */
export function holdsJust(holder: FoundHolder, address: string): boolean {
  if (holder.kind === 'instance') {
    const { networkAddress, formerNetworkAddress } = holder.object.value
    return networkAddress === address && formerNetworkAddress === undefined
  }
  const { addresses, restartsForAddress, drained } = holder.object.value
  return hasAddresses(addresses, [{ address }]) && restartsForAddress !== true && drained !== true
}

export function holds(holder: FoundHolder, address: string): boolean {
  if (holder.kind === 'machine') return holder.object.value.addresses.some((one) => one.address === address)
  const { networkAddress, formerNetworkAddress } = holder.object.value
  return networkAddress === address || formerNetworkAddress?.address === address
}

export const hasAddresses = (
  addresses: readonly { readonly address: string }[],
  wanted: readonly { readonly address: string }[],
) => addresses.length === wanted.length && addresses.every(({ address }, i) => address === wanted[i]?.address)

export function describeUnderWay<Value extends { readonly hostId: string }>(
  view: MigrationView,
  migration: StoredMigration,
  move: StoredMove,
  holder: StoredObject<Value>,
  to: Held,
): MoveUnderWay<Value> {
  const sight = lookAtHolder(view, { kind: move.value.ownerKind, id: holder.id, hostId: holder.value.hostId })
  return { view, migration, move, holder, sight, from: move.value.from, to, stepSeconds: stepSecondsOf(view, move) }
}

export const secondsSince = ({ now }: Pick<MigrationView, 'now'>, since: string) => (now - Date.parse(since)) / 1000

export const stepSecondsOf = (view: Pick<MigrationView, 'now'>, { value }: StoredMove) =>
  secondsSince(view, value.stepSince)

export const isOverdue = (migration: StoredMigration, stepSeconds: number) =>
  stepSeconds > stepSecondsMaximum + migration.value.drainSeconds

/** The first of several that has something to write; null: everything is so already. */
export function shapeFirst(...shapes: readonly (() => readonly Write[])[]): MovePlan | null {
  for (const shape of shapes) {
    const writes = shape()
    if (writes.length > 0) return { kind: 'shape', writes }
  }
  return null
}

/** What tells which balancers have a machine as a member. */
export type BalancedMove = Pick<MachineMove, 'view' | 'move' | 'from' | 'to'>

/** The balancers of the network that have a machine as a member, with those members. */
export function listBalancers({ view, move, from, to }: BalancedMove): readonly {
  readonly loadBalancer: StoredObject<LoadBalancerValue>
  readonly memberIds: readonly string[]
}[] {
  const { networkId, ownerId } = move.value
  return (view.balancersOf.get(networkId) ?? []).flatMap((loadBalancer) => {
    const memberIds = listMembersOf(loadBalancer, ownerId, [from.address, to.address])
    return memberIds.length === 0 ? [] : [{ loadBalancer, memberIds }]
  })
}

/** Members that name one of its addresses name the other instead: of the first balancer that has such. */
export function readdressMembers(machineMove: MachineMove, before: Held, after: Held): readonly Write[] {
  for (const { loadBalancer } of listBalancers(machineMove)) {
    const writes = shapeMembers(machineMove.view.snapshot, loadBalancer, before.address, after.address)
    if (writes.length > 0) return writes
  }
  return []
}

/** Which of its balancers is not where it should be with a member; null: all are. */
export function findLaggard(
  machineMove: MachineMove,
  isFine: (statuses: readonly MemberStatus[], memberId: string) => boolean,
): string | null {
  for (const { loadBalancer, memberIds } of listBalancers(machineMove)) {
    const { name } = loadBalancer.value
    for (const memberId of memberIds) {
      const said = askBalancer(machineMove.view, loadBalancer, memberId)
      if (said === null) return `The balancer ${name} is following.`
      if (!said.every((statuses) => isFine(statuses, memberId))) return `The balancer ${name} is not done with it.`
    }
  }
  return null
}

/** A balancer that does not find its member healthy, where it was healthy before. */
export function findUnhealthy(machineMove: MachineMove): string | null {
  const excused = machineMove.move.value.unhealthyMemberIds ?? []
  return findLaggard(machineMove, (statuses, id) => isHealthy(statuses) || excused.includes(id))
}

/** No balancer has connections with it any more. */
export const isOutOfBalancers = (machineMove: MachineMove) =>
  findLaggard(machineMove, (statuses) => !statuses.includes('draining')) === null

export const isDrainOver = ({ migration }: Pick<MoveUnderWay<unknown>, 'migration'>, seconds: number) =>
  seconds >= migration.value.drainSeconds

/** How long its spec has been as it is. */
export const shapeSecondsOf = ({ view, holder }: MoveUnderWay<unknown>) => secondsSince(view, holder.updatedAt)

export const describeSight = (sight: HolderSight): string | null =>
  sight.kind === 'unseen' || sight.kind === 'failed' ? sight.reason : null
