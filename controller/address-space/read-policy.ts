/**
 * The policy of address space that holds for a network, what it is decided by, and whether a shard may join the network
 * by it. Reads the store.
 */

import { refuseField } from '../access/problems.ts'
import type { AddressPolicy } from '../contract/address-space.ts'
import type { Problem } from '../contract/problem.ts'
import type { Store, StoredObject } from '../control-plane/store.ts'
import {
  type NetworkValue,
  networkKind,
  poolKind,
  poolOccupancyKind,
  projectKind,
  shardKind,
  shardOccupancyKind,
} from '../objects.ts'
import { effectivePolicy, findPolicyFault } from './address-policy.ts'
import type { PolicyNetwork } from './plan-policies.ts'

type Reader = Pick<Store, 'snapshot'>

/** From memory at this very moment; of a network that is not there: no policy. */
export function readPolicy(store: Reader, networkId: string): AddressPolicy {
  const network = store.snapshot(networkKind, networkId).find(({ id }) => id === networkId)
  if (network === undefined) return {}
  const { projectId, addressPolicy } = network.value
  const project = store.snapshot(projectKind, projectId).find(({ id }) => id === projectId)
  return effectivePolicy(addressPolicy, project?.value.addressPolicy)
}

/** What a policy is decided by, were it the network's. */
export function readPolicyNetwork(
  store: Reader,
  network: StoredObject<NetworkValue>,
  policy: AddressPolicy,
): PolicyNetwork {
  const occupancies = new Map(store.snapshot(shardOccupancyKind, network.id).map(({ id, value }) => [id, value]))
  const cuts = new Map(store.snapshot(poolOccupancyKind, network.id).map(({ id, value }) => [id, value.cuts]))
  const shards = store.snapshot(shardKind, network.id).flatMap((shard) => {
    const occupancy = occupancies.get(shard.id)
    return shard.value.networkId === network.id && occupancy !== undefined ? [{ shard, occupancy }] : []
  })
  const pools = store.snapshot(poolKind, network.id).flatMap(({ id, value }) => {
    if (value.projectId !== network.value.projectId) return []
    return [{ id, cidr: value.cidr, cuts: (cuts.get(id) ?? []).map(({ cidr }) => cidr) }]
  })
  return { network, policy, shards, pools }
}

/**
 * Why a policy can't be kept in a project, by its field; null: it can. A network's own may leave it to its project's,
 * `over`, which pools shards come from.
 */
export function checkPolicy(
  store: Reader,
  projectId: string,
  policy: AddressPolicy | undefined,
  over: AddressPolicy | undefined = undefined,
): Problem | null {
  if (policy === undefined) return null
  const pools = store
    .snapshot(poolKind, projectId)
    .flatMap(({ id, value }) => (value.projectId === projectId ? [{ id, cidr: value.cidr }] : []))
  const fault = findPolicyFault(policy, pools, effectivePolicy(policy, over).poolIds)
  if (fault === null) return null
  const remedy = 'Correct that field of the policy, or leave it out.'
  return refuseField(fault.field, fault.message, remedy).problem
}

/**
 * As `checkPolicy`, for a project's own, over which its networks' own are kept: what one of these says may not be kept any
 * more with it.
 */
export function checkProjectPolicy(
  store: Reader,
  projectId: string,
  policy: AddressPolicy | undefined,
): Problem | null {
  if (policy === undefined) return null
  const fault = checkPolicy(store, projectId, policy)
  if (fault !== null) return fault
  for (const { value } of store.snapshot(networkKind, projectId)) {
    if (value.projectId !== projectId) continue
    const ofNetwork = checkPolicy(store, projectId, value.addressPolicy, policy)
    if (ofNetwork === null) continue
    const message = `contradicts that of the network '${value.name}': ${ofNetwork.detail}`
    return refuseField('addressPolicy', message, "Correct that network's policy first, or this one.", 'conflict')
      .problem
  }
  return null
}

/** Why the network's policy keeps a shard from being allocated to it; null: it does not. */
export function checkAttachment(
  store: Reader,
  networkId: string,
  shard: { readonly id: string; readonly poolId: string },
): Problem | null {
  const { maximumShards, poolIds } = readPolicy(store, networkId)
  const title = "The network's policy does not allow it"
  if (poolIds !== undefined && !poolIds.includes(shard.poolId)) {
    const names = new Map(store.snapshot(poolKind, networkId).map(({ id, value }) => [id, value.name]))
    const allowed = poolIds.map((id) => `'${names.get(id) ?? id}'`).join(', ')
    return {
      code: 'conflict',
      title,
      detail: `Shards of the network ${networkId} come from the pools ${allowed} alone.`,
      remedy: 'Use a shard of these pools, or change poolIds in the address policy.',
      errors: [{ field: 'poolId', message: `is not one of the pools ${allowed}` }],
    }
  }
  if (maximumShards === undefined) return null
  const others = store
    .snapshot(shardKind, networkId)
    .filter(({ id, value }) => value.networkId === networkId && id !== shard.id)
  if (others.length < maximumShards) return null
  return {
    code: 'conflict',
    title,
    detail: `The network ${networkId} may have ${maximumShards} shards, and has ${others.length}.`,
    remedy: 'Deallocate one first, or raise maximumShards in the address policy.',
    errors: [{ field: 'networkId', message: `has ${others.length} shards of ${maximumShards}` }],
  }
}
