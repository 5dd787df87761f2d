/** What a policy would do now, if it were a network's: decided as it would be done, and not done. Reads the store. */

import { findVisible } from '../access/view.ts'
import type { AddressPolicy, PolicyPreview, ProjectPolicyPreview } from '../contract/address-space.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { type NetworkValue, networkKind, projectKind } from '../objects.ts'
import type { ControllerContext, RequestInfo } from '../services.ts'
import { effectivePolicy } from './address-policy.ts'
import { type PolicyOperation, planPolicies } from './plan-policies.ts'
import { checkPolicy, checkProjectPolicy, readPolicyNetwork } from './read-policy.ts'

type ReadContext = Pick<ControllerContext, 'store' | 'now'>
type Asking = Pick<RequestInfo, 'caller'>

/** Refuses what an update of the network with that policy would be refused for. */
export async function previewPolicy(
  { store, now }: ReadContext,
  networkId: string,
  policy: AddressPolicy,
  request: Asking,
): Promise<Outcome<PolicyPreview>> {
  const network = await findVisible({ store }, networkKind, networkId, ({ value }) => value.projectId, request)
  if (!network.ok) return network
  const { projectId } = network.value.value
  const project = await store.get(projectKind, projectId)
  const fault = checkPolicy(store, projectId, policy, project?.value.addressPolicy)
  if (fault !== null) return refuse(fault)
  return succeed(describePreview({ store, now }, network.value, effectivePolicy(policy, project?.value.addressPolicy)))
}

/** Refuses what an update of the project with that policy would be refused for. */
export async function previewProjectPolicy(
  { store, now }: ReadContext,
  projectId: string,
  policy: AddressPolicy,
  request: Asking,
): Promise<Outcome<ProjectPolicyPreview>> {
  const project = await findVisible({ store }, projectKind, projectId, ({ id }) => id, request)
  if (!project.ok) return project
  const fault = checkProjectPolicy(store, projectId, policy)
  if (fault !== null) return refuse(fault)
  const networks = store.snapshot(networkKind, projectId).filter(({ value }) => value.projectId === projectId)
  return succeed({
    projectId,
    networks: networks.map((network) =>
      describePreview({ store, now }, network, effectivePolicy(network.value.addressPolicy, policy)),
    ),
  })
}

function describePreview(
  { store, now }: ReadContext,
  network: StoredObject<NetworkValue>,
  effective: AddressPolicy,
): PolicyPreview {
  const operations = planPolicies([readPolicyNetwork(store, network, effective)], now())
  return {
    networkId: network.id,
    effectiveAddressPolicy: effective,
    operations: operations.map((operation) => describeOperation(operation)),
  }
}

function describeOperation(operation: PolicyOperation): PolicyPreview['operations'][number] {
  switch (operation.kind) {
    case 'grow': {
      const { kind, poolId, sizeAddresses, utilization } = operation
      return { kind, poolId, sizeAddresses, utilization }
    }
    case 'giveBack': {
      const { kind, shard, emptySince } = operation
      return { kind, shardId: shard.id, cidr: shard.value.cidr, emptySince }
    }
    case 'reportNoRoom':
      return { kind: operation.kind, utilization: operation.utilization }
    default:
      return operation satisfies never
  }
}
