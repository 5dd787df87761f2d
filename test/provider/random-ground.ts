/** What random objects belong to, made in a controller in memory. */

import type { RandomGround } from './random-objects.ts'
import type { ServedWorld } from './served-world.ts'

export async function createRandomGround(world: ServedWorld): Promise<RandomGround> {
  const create = async (path: string, body: object) => String((await world.create(path, body)).id)
  const projectId = await create('/v1/projects', { name: 'random', user: 'john' })
  const poolId = await create('/v1/pools', { name: 'all', projectId, cidr: '198.18.16.0/20' })
  const networkId = await create('/v1/networks', { name: 'web', projectId })
  await create('/v1/shards', { poolId, networkId, cidr: '198.18.16.0/24' })
  const machineId = await create('/v1/machines', { name: 'web-1', projectId, networkId })
  const balancer = { projectId, networkId, trafficType: 'tcp', instanceCount: 1 }
  const balancerId = await create('/v1/load-balancers', { name: 'open', listeners: [{ port: 9 }], ...balancer })
  return { projectId, poolId, networkId, machineIds: [machineId], balancerId }
}
