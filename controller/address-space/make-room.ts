/**
 * Room in pools and networks: shown as a picture, planned, and made on request. Reads the store; what it changes it asks
 * of the services that own it.
 */

import { refuseField } from '../access/problems.ts'
import { findVisible } from '../access/view.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import type {
  Compact,
  Compaction,
  Defragment,
  Defragmentation,
  Evacuated,
  PoolSpace,
  RoomStatus,
} from '../contract/space.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { instanceKind, networkKind, type PoolValue, poolKind } from '../objects.ts'
import type { ControllerContext, RequestInfo } from '../services.ts'
import { type Block, blockOf, contains, formatBlock, isIpv6, sizeOf } from './cidr.ts'
import { planCompaction } from './defragment/plan-compaction.ts'
import { type BlockedCandidate, planDefragmentation } from './defragment/plan-defragmentation.ts'
import type { Evacuation } from './defragment/space-shard.ts'
import { describeInTheWay, refuseImpossible } from './describe-obstacles.ts'
import { viewIpv6PoolSpace } from './ipv6-space-view.ts'
import { parseCidrField } from './parse-cidr-field.ts'
import { type EvacuationServices, type EvacuationStep, removeEmptied, runEvacuation } from './run-evacuation.ts'
import { listViewedShards, type ViewedShard, viewPoolSpace } from './space-view.ts'

export interface RoomService {
  showSpace(poolId: string, request: RequestInfo): Promise<Outcome<PoolSpace>>
  /** Frees a block of a wanted size in a pool by the fewest moves. */
  defragment(poolId: string, input: Defragment, request: RequestInfo): Promise<Outcome<Defragmentation>>
  /** Empties as many shards of a network as can be, by the fewest moves; they are available then. */
  compact(networkId: string, input: Compact, request: RequestInfo): Promise<Outcome<Compaction>>
}

type ReadContext = Pick<ControllerContext, 'store' | 'now'>

export function createRoomService(context: ReadContext, services: EvacuationServices): RoomService {
  return {
    async showSpace(poolId, request) {
      const pool = await findVisible(context, poolKind, poolId, projectIdOf, request)
      if (!pool.ok) return pool
      const view = isIpv6(pool.value.value.cidr) ? viewIpv6PoolSpace : viewPoolSpace
      return succeed(view(context, pool.value))
    },
    async defragment(poolId, input, request) {
      const pool = await findVisible(context, poolKind, poolId, projectIdOf, request)
      return pool.ok ? defragmentPool(context, services, pool.value, input, request) : pool
    },
    async compact(networkId, input, request) {
      const network = await findVisible(context, networkKind, networkId, projectIdOf, request)
      if (!network.ok) return network
      const shards = listViewedShards(context, network.value.value.projectId)
      const plan = planCompaction(networkId, shards)
      const describe = (status: RoomStatus, steps: readonly EvacuationStep[]) =>
        succeed({ networkId, ...describePlan(context, shards, plan, status, steps) })
      if (plan.evacuate.length === 0) return describe('free', [])
      if (input.dryRun) return describe('planned', [])
      const steps = await runEvacuation(services, plan.evacuate, input, request)
      return describe(statusOf(steps), steps)
    },
  }
}

const projectIdOf = ({ value }: StoredObject<{ readonly projectId: string }>) => value.projectId

async function defragmentPool(
  context: ReadContext,
  services: EvacuationServices,
  pool: StoredObject<PoolValue>,
  input: Defragment,
  request: RequestInfo,
): Promise<Outcome<Defragmentation>> {
  const area = parseArea(pool.value, input)
  if (!area.ok) return area
  const { sizeAddresses } = input
  const shards = listViewedShards(context, pool.value.projectId)
  const plan = planDefragmentation({ area: area.value, sizeAddresses, shards })
  if (plan.kind === 'impossible') {
    if (!input.dryRun) return refuseImpossible(pool.value, sizeAddresses, plan.candidates, shards)
    return succeed(describeImpossible(pool.id, sizeAddresses, plan.candidates, shards))
  }
  const describe = (status: RoomStatus, steps: readonly EvacuationStep[]) =>
    succeed({
      poolId: pool.id,
      sizeAddresses,
      block: formatBlock(plan.block),
      ...describePlan(context, shards, plan, status, steps),
      inTheWay: [],
    })
  if (plan.evacuate.length === 0) return describe('free', [])
  if (input.dryRun) return describe('planned', [])
  const emptied = await runEvacuation(services, plan.evacuate, input, request)
  // As long as holders are on their way the block is not free: an empty shard is worth more than a gap beside them.
  const isDone = emptied.every(({ kind }) => kind === 'emptied')
  const steps = isDone ? await removeEmptied(services, emptied, request) : emptied
  return describe(statusOf(steps), steps)
}

/** The whole pool, or the one block that was asked for. */
function parseArea(pool: PoolValue, { sizeAddresses, cidr }: Defragment): Outcome<Block> {
  if (isIpv6(pool.cidr)) {
    const message = `is ${sizeAddresses}, and the pool ${pool.cidr} is of IPv6, whose shards are /64s`
    return refuseField('sizeAddresses', message, 'There is nothing to defragment: any /64 that is free is as good.')
  }
  const whole = blockOf(pool.cidr)
  if (sizeOf(whole) < sizeAddresses) {
    const message = `is ${sizeAddresses}, and the pool ${pool.cidr} has ${sizeOf(whole)}`
    return refuseField('sizeAddresses', message, 'Ask for a block that the pool has room for when it is empty.')
  }
  if (cidr === undefined) return succeed(whole)
  const parsed = parseCidrField(cidr)
  if (!parsed.ok) return parsed
  if (sizeOf(parsed.value) !== sizeAddresses) {
    const message = `${cidr} has ${sizeOf(parsed.value)} addresses, and sizeAddresses is ${sizeAddresses}`
    return refuseField('cidr', message, 'Give a block of that size, or leave it out.')
  }
  if (contains(whole, parsed.value)) return parsed
  return refuseField('cidr', `${cidr} is not within the pool's ${pool.cidr}`, 'Choose a block of the pool.')
}

function statusOf(steps: readonly EvacuationStep[]): RoomStatus {
  if (steps.some(({ kind }) => kind === 'refused')) return 'blocked'
  return steps.some(({ kind }) => kind === 'migrating') ? 'migrating' : 'freed'
}

function describePlan(
  { store }: ReadContext,
  shards: readonly ViewedShard[],
  { evacuate, moves, addressesFreed }: Evacuation,
  status: RoomStatus,
  steps: readonly EvacuationStep[],
): Pick<Compaction, 'status' | 'moves' | 'addressesFreed' | 'evacuate'> {
  const byId = new Map(shards.map((shard) => [shard.id, shard]))
  const stepOf = new Map(steps.map((step) => [step.shardId, step]))
  const [first] = evacuate
  const instances = first === undefined ? [] : store.snapshot(instanceKind, first.shardId)
  const described = evacuate.flatMap(({ shardId, holders }): Evacuated[] => {
    const shard = byId.get(shardId)
    if (shard === undefined) return []
    const step = stepOf.get(shardId)
    return [
      {
        shardId,
        name: shard.name,
        cidr: formatBlock(shard.block),
        networkId: shard.networkId,
        networkName: shard.networkName,
        holders,
        instances: instances.filter(({ value }) => value.networkShardId === shardId).length,
        migrationId: step?.kind === 'migrating' ? step.migrationId : null,
        reason: step?.kind === 'refused' ? step.reason : null,
      },
    ]
  })
  return { status, moves, addressesFreed, evacuate: described }
}

const describeImpossible = (
  poolId: string,
  sizeAddresses: number,
  candidates: readonly BlockedCandidate[],
  shards: readonly ViewedShard[],
): Defragmentation => ({
  poolId,
  sizeAddresses,
  block: null,
  status: 'impossible',
  moves: 0,
  addressesFreed: 0,
  evacuate: [],
  inTheWay: describeInTheWay(candidates, shards),
})
