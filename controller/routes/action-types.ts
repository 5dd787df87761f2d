/**
 * Which change touches what: the table of action types, by the operation ids of the routes that make them. What creates
 * a thing and what deletes it touch the same kind, so both meet the same copy.
 */

import type { Kind } from '../control-plane/store.ts'
import type { ActionType } from '../control-plane/writes/perform-action.ts'
import {
  addressKind,
  breakerKind,
  hostKind,
  loadBalancerKind,
  machineKind,
  migrationKind,
  networkKind,
  poolKind,
  projectKind,
  shardKind,
  tokenKind,
} from '../objects.ts'
import { prefetchSettingKind } from '../prediction/prefetch/prefetch-setting.ts'

const creates = (kind: Kind<unknown>): ActionType => ({ kind, parameter: null, isKept: true })
const changes = (kind: Kind<unknown>, parameter = 'id'): ActionType => ({ kind, parameter, isKept: true })
/** With a secret, or without anybody who could be told later. */
const atOnce = (type: ActionType): ActionType => ({ ...type, isKept: false })

export const actionTypes: Readonly<Record<string, ActionType>> = {
  createProject: creates(projectKind),
  updateProject: changes(projectKind),
  deleteProject: changes(projectKind),
  createToken: atOnce(creates(tokenKind)),
  deleteToken: changes(tokenKind),
  createPool: creates(poolKind),
  updatePool: changes(poolKind),
  deletePool: changes(poolKind),
  defragmentPool: changes(poolKind),
  createShard: creates(shardKind),
  updateShard: changes(shardKind),
  deleteShard: changes(shardKind),
  allocateShard: changes(shardKind, 'shardId'),
  deallocateShard: changes(shardKind, 'shardId'),
  migrateShard: changes(shardKind),
  cancelMigration: changes(migrationKind),
  rollbackMigration: changes(migrationKind),
  resumeMigration: changes(migrationKind),
  allocateAddresses: creates(addressKind),
  releaseAddress: changes(addressKind),
  createNetwork: creates(networkKind),
  updateNetwork: changes(networkKind),
  deleteNetwork: changes(networkKind),
  compactNetwork: changes(networkKind),
  createMachine: creates(machineKind),
  updateMachine: changes(machineKind),
  deleteMachine: changes(machineKind),
  createLoadBalancer: creates(loadBalancerKind),
  updateLoadBalancer: changes(loadBalancerKind),
  deleteLoadBalancer: changes(loadBalancerKind),
  addMember: changes(loadBalancerKind),
  updateMember: changes(loadBalancerKind),
  removeMember: changes(loadBalancerKind),
  createHost: atOnce(creates(hostKind)),
  updateHost: changes(hostKind),
  deleteHost: changes(hostKind),
  joinHost: atOnce(creates(hostKind)),
  resetBreaker: atOnce(creates(breakerKind)),
  updatePrefetch: atOnce(creates(prefetchSettingKind)),
  // The JSON interface: a project, or an instance of a balancer with all that it needs, by their names.
  act: atOnce(creates(loadBalancerKind)),
}

/** Asked by POST, since they take a body, and change nothing. */
export const readingOperations: readonly string[] = [
  'previewAddressPolicy',
  'previewProjectAddressPolicy',
  'predictNextAction',
]

/** Paths without /v1 answer too, with an operation id of their own for the same action. */
export const actionTypeOf = (operationId: string): string => operationId.replace(/WithoutVersion$/, '')
