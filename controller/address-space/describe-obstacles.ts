/** What stands in the way of freeing a block, in words: of each block of that size, and of the pool as a whole. Pure. */

import { type Problem, refuse } from '../contract/problem.ts'
import type { Defragmentation } from '../contract/space.ts'
import type { PoolValue } from '../objects.ts'
import { formatBlock, sizeOf } from './cidr.ts'
import type { BlockedCandidate, Obstacle } from './defragment/plan-defragmentation.ts'
import type { ViewedShard } from './space-view.ts'

type InTheWay = Defragmentation['inTheWay'][number]

const candidatesShownMaximum = 100
const candidatesNamedMaximum = 5

export function describeInTheWay(candidates: readonly BlockedCandidate[], shards: readonly ViewedShard[]): InTheWay[] {
  const byId = new Map(shards.map((shard) => [shard.id, shard]))
  const networkNames = new Map(shards.map(({ networkId, networkName }) => [networkId, networkName]))
  const nameOfShard = (id: string) => {
    const shard = byId.get(id)
    return shard === undefined ? id : `'${shard.name}' (${formatBlock(shard.block)})`
  }
  const nameOfNetwork = (id: string) => `'${networkNames.get(id) ?? id}'`
  return candidates.slice(0, candidatesShownMaximum).map(({ block, obstacles }) => ({
    block: formatBlock(block),
    obstacles: obstacles.map((obstacle) => describeObstacle(obstacle, nameOfShard, nameOfNetwork)),
  }))
}

function describeObstacle(
  obstacle: Obstacle,
  nameOfShard: (id: string) => string,
  nameOfNetwork: (id: string) => string,
): InTheWay['obstacles'][number] {
  const { kind } = obstacle
  switch (obstacle.kind) {
    case 'reserved':
      return ofShard(kind, obstacle.shardId, `the shard ${nameOfShard(obstacle.shardId)} is reserved`)
    case 'migrating':
      return ofShard(kind, obstacle.shardId, `the shard ${nameOfShard(obstacle.shardId)} is migrating`)
    case 'heldByOthers': {
      const message = `the shard ${nameOfShard(obstacle.shardId)} has addresses that are held for what can't be moved from here`
      return ofShard(kind, obstacle.shardId, message)
    }
    case 'largerShard':
      return ofShard(kind, obstacle.shardId, `it is but a part of the shard ${nameOfShard(obstacle.shardId)}`)
    case 'noRoom': {
      const { networkId, holders, room } = obstacle
      const message = `the network ${nameOfNetwork(networkId)} has room for ${room} elsewhere, and ${holders} would have to move`
      return { kind, shardId: null, networkId, message }
    }
    default:
      return obstacle satisfies never
  }
}

const ofShard = (kind: Obstacle['kind'], shardId: string, message: string) => ({
  kind,
  shardId,
  networkId: null,
  message,
})

export function refuseImpossible(
  pool: PoolValue,
  sizeAddresses: number,
  candidates: readonly BlockedCandidate[],
  shards: readonly ViewedShard[],
): { readonly ok: false; readonly problem: Problem } {
  const named = describeInTheWay(candidates.slice(0, candidatesNamedMaximum), shards).map(
    ({ block, obstacles }) => `${block}: ${obstacles.map(({ message }) => message).join('; ')}`,
  )
  const rest = candidates.length - named.length
  const more = rest > 0 ? `, and ${rest} more blocks` : ''
  const larger = candidates.flatMap(({ block, obstacles }) =>
    obstacles.some(({ kind }) => kind === 'largerShard') ? [sizeOf(block)] : [],
  )
  return refuse({
    code: 'no-space',
    title: 'No such block can be freed',
    detail: `The pool '${pool.name}' (${pool.cidr}) has no block of ${sizeAddresses} addresses that could be freed: ${named.join(', ')}${more}.`,
    remedy:
      larger.length > 0
        ? `Ask for ${Math.min(...larger)} addresses, as a shard in the way has, or allocate more shards to the networks first.`
        : 'Allocate more shards to the networks that are short of room, release what is reserved, or wait for migrations.',
    errors: named.map((message) => ({ field: 'sizeAddresses', message })),
  })
}
