/** What migrations are planned from: a turn's view, with what belongs to a network or a balancer found once for all. */

import type { HostInstructions } from '../../../agent/contract/host-instructions.ts'
import type { StoredObject } from '../../control-plane/store.ts'
import type { InstanceValue, LoadBalancerValue } from '../../objects.ts'
import type { ObservedHosts } from '../../observed/observed-hosts.ts'
import type { JudgedHost } from '../../reconcile/judge-hosts.ts'
import { isLeaving, type Snapshot } from '../../reconcile/snapshot.ts'
import { inOrder, isUnderWay, type StoredMigration, type StoredMove } from './migration-operation.ts'

export interface MigrationTurn {
  readonly snapshot: Snapshot
  /** By host id. */
  readonly hosts: ReadonlyMap<string, JudgedHost>
  /** What each host is told from this turn on, by its name. */
  readonly statements: ReadonlyMap<string, HostInstructions>
  readonly observed: Pick<ObservedHosts, 'get'>
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface MigrationView extends MigrationTurn {
  /** By migration, in the order of the addresses that they leave. */
  readonly movesOf: ReadonlyMap<string, readonly StoredMove[]>
  /** By holder, the move that is under way with it. */
  readonly moverOf: ReadonlyMap<string, StoredMove>
  /** By network, without those that are being deleted. */
  readonly balancersOf: ReadonlyMap<string, readonly StoredObject<LoadBalancerValue>[]>
  /** By balancer, without those that are leaving. */
  readonly instancesOf: ReadonlyMap<string, readonly StoredObject<InstanceValue>[]>
}

/** @param migrations those that have not ended: moves of no others are under way */
export function createMigrationView(turn: MigrationTurn, migrations: readonly StoredMigration[]): MigrationView {
  const { snapshot } = turn
  const ids = new Set(migrations.map(({ id }) => id))
  const moves = inOrder([...snapshot.moves.values()].filter(({ value }) => ids.has(value.migrationId)))
  const balancers = [...snapshot.loadBalancers.values()].filter(({ value }) => value.deletingSince === undefined)
  const instances = [...snapshot.instances.values()].filter((instance) => !isLeaving(snapshot, instance))
  return {
    ...turn,
    movesOf: Map.groupBy(moves, ({ value }) => value.migrationId),
    moverOf: new Map(moves.filter(({ value }) => isUnderWay(value)).map((move) => [move.value.ownerId, move])),
    balancersOf: Map.groupBy(balancers, ({ value }) => value.networkId),
    instancesOf: Map.groupBy(instances, ({ value }) => value.loadBalancerId),
  }
}
