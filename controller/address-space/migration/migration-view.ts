/** What migrations are planned from: a turn's view, with what belongs to a network or a balancer found once for all. */

import type { HostInstructions } from '../../../agent/contract/host-instructions.ts'
import type { StoredObject } from '../../control-plane/store.ts'
import type { InstanceValue, LoadBalancerValue } from '../../objects.ts'
import type { ObservedHosts } from '../../observed/observed-hosts.ts'
import type { JudgedHost } from '../../reconcile/judge-hosts.ts'
import { isLeaving, type Snapshot } from '../../reconcile/snapshot.ts'

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
  /** By network, without those that are being deleted. */
  readonly balancersOf: ReadonlyMap<string, readonly StoredObject<LoadBalancerValue>[]>
  /** By balancer, without those that are leaving. */
  readonly instancesOf: ReadonlyMap<string, readonly StoredObject<InstanceValue>[]>
}

export function createMigrationView(turn: MigrationTurn): MigrationView {
  const { snapshot } = turn
  const balancers = [...snapshot.loadBalancers.values()].filter(({ value }) => value.deletingSince === undefined)
  const instances = [...snapshot.instances.values()].filter((instance) => !isLeaving(snapshot, instance))
  return {
    ...turn,
    balancersOf: Map.groupBy(balancers, ({ value }) => value.networkId),
    instancesOf: Map.groupBy(instances, ({ value }) => value.loadBalancerId),
  }
}
