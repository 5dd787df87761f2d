/** What a policy would do now, if it were a network's: decided as it would be done, and not done. Reads the store. */

import { findVisible } from '../access/view.ts'
import type { AddressPolicy, PolicyPreview } from '../contract/address-space.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import { networkKind, projectKind } from '../objects.ts'
import type { ControllerContext, RequestInfo } from '../services.ts'
import { effectivePolicy } from './address-policy.ts'
import { type PolicyOperation, planPolicies } from './plan-policies.ts'
import { checkPolicy, readPolicyNetwork } from './read-policy.ts'

/** Refuses what an update of the network with that policy would be refused for. */
export async function previewPolicy(
  { store, now }: Pick<ControllerContext, 'store' | 'now'>,
  networkId: string,
  policy: AddressPolicy,
  request: Pick<RequestInfo, 'caller'>,
): Promise<Outcome<PolicyPreview>> {
  const network = await findVisible({ store }, networkKind, networkId, ({ value }) => value.projectId, request)
  if (!network.ok) return network
  const { projectId } = network.value.value
  const project = await store.get(projectKind, projectId)
  const fault = checkPolicy(store, projectId, policy, project?.value.addressPolicy)
  if (fault !== null) return refuse(fault)
  const effective = effectivePolicy(policy, project?.value.addressPolicy)
  const operations = planPolicies([readPolicyNetwork(store, network.value, effective)], now())
  return succeed({
    networkId,
    effectiveAddressPolicy: effective,
    operations: operations.map((operation) => describeOperation(operation)),
  })
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
