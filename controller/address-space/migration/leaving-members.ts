/**
 * Who may leave its balancers to restart for its address: no more than half of a balancer's members are away at a time, so
 * that the others serve meanwhile. Counts within one turn, and changes nothing.
 */

import type { StoredMove } from './migration-operation.ts'
import type { MigrationView } from './migration-view.ts'
import { listBalancers } from './move-plan.ts'

export interface LeavingMembers {
  /** Counts it among those who are away, unless there are as many already as may be. */
  admit(move: StoredMove): boolean
}

/** `underWay`: those who move now. */
export function createLeavingMembers(view: MigrationView, underWay: readonly StoredMove[]): LeavingMembers {
  const away = new Map<string, number>()
  const balancersOf = (move: StoredMove) => {
    const { ownerKind, mode, from, to } = move.value
    // In overlap mode, and as an instance, a holder leaves nobody.
    if (ownerKind !== 'machine' || mode !== 'restart') return []
    return listBalancers({ view, move, from, to: to ?? from }).map(({ loadBalancer }) => loadBalancer)
  }
  const count = (balancers: ReturnType<typeof balancersOf>) => {
    for (const { id } of balancers) away.set(id, (away.get(id) ?? 0) + 1)
  }
  for (const move of underWay) count(balancersOf(move))
  return {
    admit(move) {
      const balancers = balancersOf(move)
      const isFull = balancers.some(({ id, value }) => (away.get(id) ?? 0) >= awayMaximum(value.members.length))
      if (!isFull) count(balancers)
      return !isFull
    },
  }
}

/** The only one has nobody to stand in for it. */
const awayMaximum = (members: number) => Math.max(1, Math.floor(members / 2))
