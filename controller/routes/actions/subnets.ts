/**
 * A subnet of the JSON interface is a network with a pool and a shard of that CIDR, all three named by it. Found, or
 * made by the same services as REST uses; taken away with the project.
 */

import { contains, isIpv6, parseBlock } from '../../address-space/cidr.ts'
import type { Network, Shard } from '../../contract/address-space.ts'
import { type Outcome, succeed } from '../../contract/problem.ts'
import type { RequestInfo, Services } from '../../services.ts'
import { listAll } from '../status-routes.ts'

type SpaceServices = Pick<Services, 'pools' | 'shards' | 'networks'>

export interface FoundSubnet {
  readonly networkId: string
  /** Takes away what was made for it, newest first: for a creation that is refused afterwards. */
  readonly undo: () => Promise<void>
}

/** Finds the project's network that has this block, or makes network, pool and shard; what is there already is used. */
export async function findOrCreateSubnet(
  services: SpaceServices,
  projectId: string,
  cidr: string,
  request: RequestInfo,
): Promise<Outcome<FoundSubnet>> {
  const made: ((own: RequestInfo) => Promise<unknown>)[] = []
  // Each step is an action of its own: several may change one object, one after the other.
  const undo = async () => {
    for (const [i, step] of made.toReversed().entries()) await step(subRequest(request, `undo-${i}`))
  }
  const found = await findOrCreate(services, projectId, cidr, request, (step) => made.push(step))
  if (found.ok) return succeed({ networkId: found.value, undo })
  await undo()
  return found
}

type Remember = (undo: (request: RequestInfo) => Promise<unknown>) => void

async function findOrCreate(
  services: SpaceServices,
  projectId: string,
  cidr: string,
  request: RequestInfo,
  remember: Remember,
): Promise<Outcome<string>> {
  const shards = await listAll(services.shards, request, { projectId })
  if (!shards.ok) return shards
  const shard = shards.value.find((candidate) => containsBlock(candidate.cidr, cidr))
  if (shard?.networkId !== undefined && shard.networkId !== null) return succeed(shard.networkId)
  const network = await findOrCreateNetwork(services, projectId, cidr, request, remember)
  if (!network.ok) return network
  const networkId = network.value.id
  if (shard === undefined) {
    const created = await createShard(services, { projectId, networkId, cidr }, request, remember)
    return created.ok ? succeed(networkId) : created
  }
  const attached = await services.shards.allocate(networkId, shard.id, request)
  if (!attached.ok) return attached
  remember((own) => services.shards.deallocate(networkId, shard.id, own))
  return succeed(networkId)
}

async function findOrCreateNetwork(
  { networks }: SpaceServices,
  projectId: string,
  cidr: string,
  request: RequestInfo,
  remember: Remember,
): Promise<Outcome<Network>> {
  const named = await networks.list({ projectId, name: cidr }, request)
  if (!named.ok) return named
  const [known] = named.value.items
  if (known !== undefined) return succeed(known)
  const created = await networks.create({ projectId, name: cidr, mtu: 1400 }, request)
  if (created.ok) remember((own) => networks.remove(created.value.id, own))
  return created
}

async function createShard(
  { pools, shards }: SpaceServices,
  wanted: { readonly projectId: string; readonly networkId: string; readonly cidr: string },
  request: RequestInfo,
  remember: Remember,
): Promise<Outcome<Shard>> {
  const { projectId, networkId, cidr } = wanted
  const all = await listAll(pools, request, { projectId })
  if (!all.ok) return all
  const known = all.value.find((pool) => containsBlock(pool.cidr, cidr))
  const pool = known === undefined ? await pools.create({ projectId, name: cidr, cidr }, request) : succeed(known)
  if (!pool.ok) return pool
  if (known === undefined) remember((own) => pools.remove(pool.value.id, own))
  const shard = await shards.create({ name: cidr, poolId: pool.value.id, cidr, networkId }, request)
  if (!shard.ok) return shard
  remember((own) => shards.remove(shard.value.id, own))
  remember((own) => shards.deallocate(networkId, shard.value.id, own))
  return shard
}

/** The block by which a network is known here: the shard that bears its name, else its first of IPv4. */
export async function findSubnet(
  services: SpaceServices,
  networkId: string,
  request: RequestInfo,
): Promise<Outcome<string | null>> {
  const network = await services.networks.show(networkId, request)
  if (!network.ok) return network
  const shards = await services.shards.list({ networkId }, request)
  if (!shards.ok) return shards
  const { items } = shards.value
  return succeed(
    (items.find(({ cidr }) => cidr === network.value.name) ?? items.find(({ cidr }) => !isIpv6(cidr)))?.cidr ?? null,
  )
}

/** Takes away every subnet of a project that was made here and that nothing uses; what is used refuses to go. */
export async function removeSubnets(
  services: SpaceServices,
  projectId: string,
  request: RequestInfo,
): Promise<Outcome<true>> {
  const networks = await listAll(services.networks, request, { projectId })
  const shards = await listAll(services.shards, request, { projectId })
  const pools = await listAll(services.pools, request, { projectId })
  if (!networks.ok) return networks
  if (!shards.ok) return shards
  if (!pools.ok) return pools
  for (const shard of shards.value.filter(({ name, cidr }) => name === cidr)) {
    const network = networks.value.find(({ id, name }) => id === shard.networkId && name === shard.cidr)
    const pool = pools.value.find(({ id, name, cidr }) => id === shard.poolId && name === cidr && cidr === shard.cidr)
    if (network === undefined || pool === undefined) continue
    const removed = await removeSubnet(services, { network, shard, poolId: pool.id }, request)
    if (!removed.ok) return removed
  }
  return succeed(true)
}

async function removeSubnet(
  services: SpaceServices,
  subnet: { readonly network: Network; readonly shard: Shard; readonly poolId: string },
  request: RequestInfo,
): Promise<Outcome<boolean>> {
  const { network, shard, poolId } = subnet
  const deallocated = await services.shards.deallocate(network.id, shard.id, request)
  if (!deallocated.ok) return deallocated
  const own = subRequest(request, 'remove')
  const steps = [
    () => services.shards.remove(shard.id, own),
    () => services.pools.remove(poolId, own),
    () => services.networks.remove(network.id, own),
  ]
  for (const step of steps) {
    const removed = await step()
    if (!removed.ok && removed.problem.code !== 'not-found') return removed
  }
  return succeed(true)
}

/** A change of its own within one request; If-Match is for none of them. */
export function subRequest(request: RequestInfo, words: string): RequestInfo {
  const { expectedVersion: _, ...rest } = request
  return { ...rest, actionId: `${request.actionId} ${words}` }
}

/** Whether one block lies in another; a malformed one lies nowhere, and its service says what is wrong with it. */
function containsBlock(outer: string, inner: string): boolean {
  const [whole, part] = [parseBlock(outer), parseBlock(inner)]
  return whole.kind === 'block' && part.kind === 'block' && contains(whole.block, part.block)
}
