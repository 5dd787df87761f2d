/**
 * What is next for one move: its step is written first, then its holder is made to match the step, then hosts' reports
 * prove that it is so, which lets the next step be written. Pure.
 */

import { reservationGraceMilliseconds } from '../../access/reserve.ts'
import { shapeInstance, shapeMachine } from './holder-shape.ts'
import { atStep, type StoredMigration, type StoredMove } from './migration-operation.ts'
import type { MigrationView } from './migration-view.ts'
import { answers, isConverged, isDrained, isFoundUnhealthy, isNetworkConverged, isUp } from './move-evidence.ts'
import {
  type BalancedMove,
  describeSight,
  describeUnderWay,
  type FoundHolder,
  failurePatienceSeconds,
  findHolder,
  findUnhealthy,
  hasAddresses,
  holds,
  type InstanceMove,
  isDrainOver,
  isOutOfBalancers,
  isOverdue,
  listBalancers,
  type MachineMove,
  type MovePlan,
  type MoveUnderWay,
  readdressMembers,
  secondsSince,
  shapeFirst,
  stepSecondsOf,
} from './move-plan.ts'
import { planReturn } from './plan-return.ts'

export function planMove(view: MigrationView, migration: StoredMigration, move: StoredMove): MovePlan {
  const { step, to } = move.value
  const holder = findHolder(view, move.value)
  switch (step) {
    case 'done':
    case 'undone':
    case 'gone':
      return rest
    case 'failed':
      return holder === undefined ? stepTo(view, move, 'gone') : rest
    case 'waiting':
      return planWaiting(view, migration, move, holder)
    case 'adding':
    case 'switching':
    case 'draining':
    case 'replacing':
    case 'removing':
    case 'returning':
      break
    default:
      return step satisfies never
  }
  if (holder === undefined) return stepTo(view, move, 'gone')
  if (to === null) throw new Error(`BUG: the move ${move.id} is at ${step} without an address to go to`)
  if (holder.leavingSince !== null) return waitToLeave(view, migration, holder.leavingSince)
  if (step !== 'returning' && migration.value.wanted === 'rollback') {
    return stepTo(view, move, 'returning', { returnsAs: 'undone' })
  }
  if (holder.kind === 'machine') {
    const underWay = describeUnderWay(view, migration, move, holder.object, to)
    return step === 'returning' ? planReturn({ kind: 'machine', underWay }) : planMachine(underWay)
  }
  const underWay = describeUnderWay(view, migration, move, holder.object, to)
  return step === 'returning' ? planReturn({ kind: 'instance', underWay }) : planInstance(underWay)
}

/** The step with which a move begins. */
export const firstStepOf = ({ value }: StoredMove) => (value.mode === 'restart' ? 'draining' : 'adding')

const rest: MovePlan = { kind: 'rest' }

const stepTo = (
  { now }: Pick<MigrationView, 'now'>,
  { value }: StoredMove,
  step: StoredMove['value']['step'],
  parts: Parameters<typeof atStep>[3] = {},
): MovePlan => ({ kind: 'step', value: atStep(value, step, now, parts) })

function planWaiting(
  view: MigrationView,
  migration: StoredMigration,
  move: StoredMove,
  holder: FoundHolder | undefined,
): MovePlan {
  if (holder === undefined) {
    // One that is being created takes its address before it is written.
    if (stepSecondsOf(view, move) * 1000 > reservationGraceMilliseconds) return stepTo(view, move, 'gone')
    return { kind: 'wait', reason: 'It is not there yet.', isStuck: false }
  }
  if (holder.leavingSince !== null) return waitToLeave(view, migration, holder.leavingSince)
  const mover = view.moverOf.get(move.value.ownerId)
  if (mover === undefined) return holds(holder, move.value.from.address) ? rest : stepTo(view, move, 'done')
  const other = view.snapshot.migrations.get(mover.value.migrationId) ?? migration
  const isStuck = isOverdue(other, stepSecondsOf(view, mover))
  return { kind: 'wait', reason: 'Another migration is moving it.', isStuck }
}

const waitToLeave = (view: MigrationView, migration: StoredMigration, since: string): MovePlan => ({
  kind: 'wait',
  reason: 'It is being deleted.',
  isStuck: isOverdue(migration, secondsSince(view, since)),
})

function planMachine(machineMove: MachineMove): MovePlan {
  const { view, move, holder, sight, from, to, stepSeconds } = machineMove
  const { step, mode } = move.value
  const shape = (wanted: Parameters<typeof shapeMachine>[2]) => () => shapeMachine(view.snapshot, holder, wanted)
  const followMembers = () => readdressMembers(machineMove, from, to)
  switch (step) {
    case 'adding': {
      const unmade = shapeFirst(shape({ addresses: [from, to] }))
      if (unmade !== null) return unmade
      if (!answers(sight, to.address)) return goBackOrWait(machineMove, `${to.address} does not answer.`)
      if (!isNetworkConverged(view, move.value.networkId)) {
        return goBackOrWait(machineMove, `A host has not taken ${to.address} in.`)
      }
      return stepTo(view, move, 'switching', { unhealthyMemberIds: listUnhealthy(machineMove) })
    }
    case 'switching': {
      const unmade = shapeFirst(shape({ addresses: [to, from] }), followMembers)
      if (unmade !== null) return unmade
      if (!isConverged(sight)) return goBackOrWait(machineMove, 'Its host has not switched.')
      const laggard = findUnhealthy(machineMove)
      return laggard === null ? stepTo(view, move, 'draining') : goBackOrWait(machineMove, laggard)
    }
    case 'draining': {
      if (mode === 'restart') return planRestartDrain(machineMove)
      const unmade = shapeFirst(shape({ addresses: [to, from] }), followMembers)
      if (unmade !== null) return unmade
      const isOver =
        isDrained(sight, from.address, Date.parse(move.value.stepSince)) || isDrainOver(machineMove, stepSeconds)
      return isOver
        ? stepTo(view, move, 'removing')
        : { kind: 'wait', reason: describeDrain(from.address), isStuck: false }
    }
    case 'removing': {
      const unmade = shapeFirst(shape({ addresses: [to] }))
      if (unmade !== null) return unmade
      return isConverged(sight) ? finish(machineMove) : waitForEnd(machineMove)
    }
    case 'replacing':
      return planReplacing(machineMove)
    default:
      throw new Error(`BUG: the move ${move.id} is planned at ${step}`)
  }
}

/** Its members leave the listeners, where others remain; and its lease becomes short, for those that have theirs by DHCP. */
function planRestartDrain(machineMove: MachineMove): MovePlan {
  const { view, move, holder, from, stepSeconds } = machineMove
  const drained = { addresses: [from], restartsForAddress: true, drained: true }
  const unmade = shapeFirst(() => shapeMachine(view.snapshot, holder, drained))
  if (unmade !== null) return unmade
  const isOver = isOutOfBalancers(machineMove) || isDrainOver(machineMove, stepSeconds)
  return isOver
    ? stepTo(view, move, 'replacing')
    : { kind: 'wait', reason: describeDrain(from.address), isStuck: false }
}

function planReplacing(machineMove: MachineMove): MovePlan {
  const { view, holder, sight, from, to } = machineMove
  const { addresses, drained, restartsForAddress } = holder.value
  const isReplaced = hasAddresses(addresses, [to])
  if (isReplaced && drained !== true && restartsForAddress !== true) {
    // Until it serves again nobody takes its turn, or else all of a balancer's members might be away at once.
    const laggard = findUnhealthy(machineMove)
    return laggard === null ? finish(machineMove) : goBackOrWait(machineMove, laggard)
  }
  const replaced = { addresses: [to], restartsForAddress: true, drained: true }
  const unmade = shapeFirst(
    () => shapeMachine(view.snapshot, holder, replaced),
    () => readdressMembers(machineMove, from, to),
  )
  if (unmade !== null) return unmade
  if (!isUp(sight, to.address)) return goBackOrWait(machineMove, 'Its interface has not come up again.')
  return { kind: 'shape', writes: shapeMachine(view.snapshot, holder, { addresses: [to] }) }
}

/**
 * An instance has both addresses, and begins with the new one when every host knows it: what it sent before would not be
 * answered, and it would find its members down.
 */
function planInstance(instanceMove: InstanceMove): MovePlan {
  const { view, move, holder, sight, from, to, stepSeconds } = instanceMove
  const { step } = move.value
  switch (step) {
    case 'adding': {
      const unmade = shapeFirst(() => shapeInstance(holder, { network: from, former: to }))
      if (unmade !== null) return unmade
      if (!answers(sight, to.address)) return goBackOrWait(instanceMove, `${to.address} does not answer.`)
      if (!isNetworkConverged(view, move.value.networkId)) {
        return goBackOrWait(instanceMove, `A host has not taken ${to.address} in.`)
      }
      return stepTo(view, move, 'draining')
    }
    case 'draining': {
      const unmade = shapeFirst(() => shapeInstance(holder, { network: to, former: from }))
      if (unmade !== null) return unmade
      const isOver =
        isDrained(sight, from.address, Date.parse(move.value.stepSince)) || isDrainOver(instanceMove, stepSeconds)
      return isOver
        ? stepTo(view, move, 'removing')
        : { kind: 'wait', reason: describeDrain(from.address), isStuck: false }
    }
    case 'removing': {
      const unmade = shapeFirst(() => shapeInstance(holder, { network: to, former: null }))
      if (unmade !== null) return unmade
      return isConverged(sight) ? finish(instanceMove) : waitForEnd(instanceMove)
    }
    default:
      throw new Error(`BUG: the move ${move.id} of an instance is planned at ${step}`)
  }
}

const describeDrain = (address: string) => `Connections with ${address} go on.`

/** Its old address went in a write of its own, after all steps that had it: nobody gives it back by mistake. */
const finish = ({ view, move, from }: MachineMove | InstanceMove): MovePlan => ({
  kind: 'settle',
  settlement: { move, value: atStep(move.value, 'done', view.now, { reason: null }), releases: from, seals: [] },
})

/** Everybody is at the new address: to go back would only take the more of a host that fails or is silent. */
const waitForEnd = ({ migration, sight, from, stepSeconds }: MachineMove | InstanceMove): MovePlan => ({
  kind: 'wait',
  reason: describeSight(sight) ?? `${from.address} is not gone.`,
  isStuck: isOverdue(migration, stepSeconds),
})

/** A step that does not get its proof in time, or whose host fails at it, goes back. */
function goBackOrWait<Value>(underWay: MoveUnderWay<Value>, lack: string): MovePlan {
  const { view, migration, move, sight, stepSeconds } = underWay
  const reason = describeSight(sight) ?? lack
  const hasFailed = sight.kind === 'failed' && stepSeconds > failurePatienceSeconds
  if (!hasFailed && !isOverdue(migration, stepSeconds)) return { kind: 'wait', reason, isStuck: false }
  const said = `It stayed at ${move.value.step}: ${reason}`
  return stepTo(view, move, 'returning', { returnsAs: 'failed', reason: said })
}

/** A move that is about to begin: members that are not healthy as it is are not waited for at the new address. */
export function noteUnhealthy(view: MigrationView, move: StoredMove): StoredMove {
  if (move.value.ownerKind !== 'machine') return move
  const { from } = move.value
  const unhealthyMemberIds = listUnhealthy({ view, move, from, to: from })
  return { ...move, value: { ...move.value, unhealthyMemberIds } }
}

function listUnhealthy(balanced: BalancedMove): readonly string[] {
  return listBalancers(balanced).flatMap(({ loadBalancer, memberIds }) =>
    memberIds.filter((memberId) => isFoundUnhealthy(balanced.view, loadBalancer, memberId)),
  )
}
