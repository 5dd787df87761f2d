/**
 * The way back of a move that can't go on, or is not wanted any more: as gently as it went, and what it is at follows from
 * its holder's spec. Pure.
 */

import { sealInstance, sealMachine, sealMembers, shapeInstance, shapeMachine } from './holder-shape.ts'
import { atStep, type Settlement } from './migration-operation.ts'
import { answers, isConverged, isDrained, isNetworkConverged } from './move-evidence.ts'
import {
  describeSight,
  findLaggard,
  findUnhealthy,
  hasAddresses,
  type InstanceMove,
  isDrainOver,
  isOutOfBalancers,
  isOverdue,
  listBalancers,
  type MachineMove,
  type MovePlan,
  readdressMembers,
  shapeFirst,
  shapeSecondsOf,
} from './move-plan.ts'

export type Returning =
  | { readonly kind: 'machine'; readonly underWay: MachineMove }
  | { readonly kind: 'instance'; readonly underWay: InstanceMove }

export function planReturn(returning: Returning): MovePlan {
  switch (returning.kind) {
    case 'machine':
      return returning.underWay.move.value.mode === 'restart'
        ? planRestart(returning.underWay)
        : planOverlap(returning.underWay)
    case 'instance':
      return planInstance(returning.underWay)
    default:
      return returning satisfies never
  }
}

/** `[to]` → `[to, from]` → `[from, to]` → `[from]`. */
function planOverlap(machineMove: MachineMove): MovePlan {
  const { view, migration, move, holder, sight, from, to, stepSeconds } = machineMove
  const { addresses } = holder.value
  const shape = (wanted: MachineMove['from'][]): MovePlan => ({
    kind: 'shape',
    writes: shapeMachine(view.snapshot, holder, { addresses: wanted }),
  })
  if (hasAddresses(addresses, [to])) return shape([to, from])
  if (hasAddresses(addresses, [to, from])) {
    if (answers(sight, from.address) && isNetworkConverged(view, move.value.networkId)) return shape([from, to])
    return isOverdue(migration, stepSeconds) ? shape([from]) : wait(machineMove, `${from.address} does not answer.`)
  }
  const unmade = shapeFirst(() => readdressMembers(machineMove, to, from))
  if (unmade !== null) return unmade
  if (hasAddresses(addresses, [from, to])) {
    return isReleasable(machineMove) ? shape([from]) : wait(machineMove, `Connections with ${to.address} go on.`)
  }
  if (!hasAddresses(addresses, [from])) return shape([from])
  return finishMachine(machineMove)
}

/** Nobody needs the new address any more, by what balancers and its host say, or for long enough. */
function isReleasable(machineMove: MachineMove): boolean {
  const { move, migration, holder, sight, to, stepSeconds } = machineMove
  // It had the new address second already when it turned back, so that nobody was ever sent there.
  if (Date.parse(holder.updatedAt) < Date.parse(move.value.stepSince)) return true
  if (isOverdue(migration, stepSeconds)) return true
  if (findLaggard(machineMove, () => true) !== null) return false
  const switchedAt = Date.parse(holder.updatedAt) + balancerFollowMilliseconds
  return isDrained(sight, to.address, switchedAt) || isDrainOver(machineMove, shapeSecondsOf(machineMove))
}

/** By then balancers have followed, and begin nothing with the address that goes. */
const balancerFollowMilliseconds = 4_000

/** `[to]` → out of its balancers → `[from]` → back in its balancers. */
function planRestart(machineMove: MachineMove): MovePlan {
  const { view, migration, holder, sight, from, to, stepSeconds } = machineMove
  const { addresses, drained, restartsForAddress } = holder.value
  const shape = (wanted: Parameters<typeof shapeMachine>[2]): MovePlan => ({
    kind: 'shape',
    writes: shapeMachine(view.snapshot, holder, wanted),
  })
  if (hasAddresses(addresses, [to])) {
    if (drained !== true) return shape({ addresses: [to], drained: true })
    const isOver =
      isOutOfBalancers(machineMove) ||
      isDrainOver(machineMove, shapeSecondsOf(machineMove)) ||
      isOverdue(migration, stepSeconds)
    if (!isOver) return wait(machineMove, `Connections with ${to.address} go on.`)
    return shape({ addresses: [from], restartsForAddress: true, drained: true })
  }
  if (!hasAddresses(addresses, [from])) return shape({ addresses: [from], restartsForAddress: true, drained: true })
  const unmade = shapeFirst(() => readdressMembers(machineMove, to, from))
  if (unmade !== null) return unmade
  if (drained !== true && restartsForAddress !== true) {
    const laggard = isOverdue(migration, stepSeconds) ? null : findUnhealthy(machineMove)
    return laggard === null ? finishMachine(machineMove) : wait(machineMove, laggard)
  }
  return isConverged(sight) ? shape({ addresses: [from] }) : wait(machineMove, 'Its interface has not come up again.')
}

/** As a machine in overlap mode: with both addresses first, and with the old one as its own when every host knows it. */
function planInstance(instanceMove: InstanceMove): MovePlan {
  const { view, migration, move, holder, sight, from, to, stepSeconds } = instanceMove
  const { networkAddress, formerNetworkAddress } = holder.value
  const shape = (network: typeof from, former: typeof from | null): MovePlan => ({
    kind: 'shape',
    writes: shapeInstance(holder, { network, former }),
  })
  if (networkAddress !== from.address) {
    if (formerNetworkAddress?.address !== from.address) return shape(to, from)
    if (answers(sight, from.address) && isNetworkConverged(view, move.value.networkId)) return shape(from, to)
    return isOverdue(migration, stepSeconds) ? shape(from, to) : wait(instanceMove, `${from.address} does not answer.`)
  }
  if (formerNetworkAddress === undefined) return finish(instanceMove, [sealInstance(holder)])
  const isOver =
    isDrained(sight, to.address, Date.parse(holder.updatedAt)) ||
    isDrainOver(instanceMove, shapeSecondsOf(instanceMove)) ||
    isOverdue(migration, stepSeconds)
  if (!isOver) return wait(instanceMove, `Connections with ${to.address} go on.`)
  return shape(from, null)
}

/** Whoever is late with a step from before it turned back would have it, or a balancer's member, at the new address. */
function finishMachine(machineMove: MachineMove): MovePlan {
  const { view, holder, from } = machineMove
  const balancers = listBalancers(machineMove).map(({ loadBalancer }) =>
    sealMembers(view.snapshot, loadBalancer, from.address),
  )
  const seals = [sealMachine(view.snapshot, holder), ...balancers]
  return finish(
    machineMove,
    seals.filter((writes) => writes.length > 0),
  )
}

/** The new address is free only when its host has said that it is gone. */
function finish(underWay: MachineMove | InstanceMove, seals: Settlement['seals']): MovePlan {
  const { view, move, sight, to } = underWay
  if (!isConverged(sight)) return wait(underWay, `${to.address} is not gone.`)
  const value = atStep(move.value, move.value.returnsAs ?? 'failed', view.now, { returnsAs: null })
  return { kind: 'settle', settlement: { move, value, releases: to, seals } }
}

function wait({ migration, sight, stepSeconds }: MachineMove | InstanceMove, lack: string): MovePlan {
  const said = describeSight(sight)
  return { kind: 'wait', reason: said ?? lack, isStuck: isOverdue(migration, stepSeconds) }
}
