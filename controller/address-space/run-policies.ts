/**
 * Does what the policies of address space ask for, through the same doors as a request of the API: shards are cut and
 * allocated, or deleted when they are empty. Touches shards, and of networks what they are told to lack.
 */

import { createObjectId } from '../access/object-id.ts'
import { createOwnRequest } from '../access/own-request.ts'
import type { Outcome, Problem } from '../contract/problem.ts'
import { type EventDraft, type StoredObject, write } from '../control-plane/store.ts'
import { type NetworkStatusValue, networkKind, networkStatusKind, type ShardValue, shardKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import { type PolicyNetwork, type PolicyOperation, planPolicies } from './plan-policies.ts'
import { readPolicy, readPolicyNetwork } from './read-policy.ts'
import { createShard, removeShard } from './shards.ts'

type Grow = Extract<PolicyOperation, { kind: 'grow' }>

/** Answers how much was done; what could not be done is tried again in the next turn. Called with the sweeps. */
export async function runPolicies(context: ControllerContext): Promise<number> {
  let done = 0
  const blocked = new Map<string, BlockedReason | null>()
  for (const operation of planPolicies(readPolicyNetworks(context), context.now())) {
    const { kind, networkId } = operation
    const outcome = await runOperation(context, operation)
    if (outcome === null) blocked.set(networkId, 'noRoom')
    else if (outcome.ok) done++
    else {
      blocked.set(networkId, reasonOf(outcome.problem))
      context.logger.warn({ kind, networkId, problem: outcome.problem }, 'a policy of address space had to wait')
    }
  }
  await tellBlocked(context, blocked)
  return done
}

type BlockedReason = NonNullable<NetworkStatusValue['blocked']>['reason']

/** Null: it may be otherwise in the next turn. */
function reasonOf({ code }: Problem): BlockedReason | null {
  if (code === 'quota-exceeded') return 'quotaExceeded'
  return code === 'no-space' ? 'noRoom' : null
}

/** Each change once: networks that can't be given a shard now, and those that could not and can, or need none any more. */
async function tellBlocked(
  context: ControllerContext,
  blocked: ReadonlyMap<string, BlockedReason | null>,
): Promise<void> {
  const { store } = context
  const before = new Map(store.snapshot(networkStatusKind).map((status) => [status.id, status]))
  for (const network of store.snapshot(networkKind)) {
    const { id } = network
    const status = before.get(id)
    const reason = blocked.has(id) ? blocked.get(id) : undefined
    const isSame = (status?.value.blocked?.reason ?? undefined) === reason
    if (reason === null || isSame || network.value.deletingSince !== undefined) continue
    const since = new Date(context.now()).toISOString()
    const value: NetworkStatusValue = { blocked: reason === undefined ? null : { reason, since } }
    const { projectId } = network.value
    const event = { type: 'policy.blocked', projectId, subject: id, data: { networkId: id, reason } }
    // Whoever was faster has told it, and what can't be written now is told in the next turn.
    await store.transact({
      writes: [write({ kind: networkStatusKind, id, expect: status?.version ?? 'absent', value })],
      events: reason === undefined ? [] : [event],
    })
  }
}

/** The networks that have a policy which does something of its own accord, with what it is decided by. */
function readPolicyNetworks({ store }: Pick<ControllerContext, 'store'>): readonly PolicyNetwork[] {
  return store.snapshot(networkKind).flatMap((network) => {
    const policy = readPolicy(store, network.id)
    const { growAtUtilization, giveBackAfterSeconds } = policy
    if (network.value.deletingSince !== undefined) return []
    if (growAtUtilization === undefined && giveBackAfterSeconds === undefined) return []
    return [readPolicyNetwork(store, network, policy)]
  })
}

async function runOperation(context: ControllerContext, operation: PolicyOperation): Promise<Outcome<unknown> | null> {
  switch (operation.kind) {
    case 'grow':
      return grow(context, operation)
    case 'giveBack':
      return giveBack(context, operation)
    case 'reportNoRoom': {
      const { networkId, utilization } = operation
      context.logger.warn({ networkId, utilization }, 'a network should grow, and no pool has room for a shard')
      return null
    }
    default:
      return operation satisfies never
  }
}

async function grow(context: ControllerContext, operation: Grow): Promise<Outcome<unknown>> {
  const { networkId, projectId, poolId, sizeAddresses, utilization } = operation
  const { seed, id } = await chooseSeed(context, operation)
  const request = { ...createOwnRequest(context, `grow ${id}`), seed }
  const describeCause = (shardId: string, cidr: string): readonly EventDraft[] => [
    {
      type: 'policy.grown',
      projectId,
      subject: networkId,
      data: { networkId, shardId, poolId, cidr, utilization },
    },
  ]
  return createShard(context, { poolId, networkId, sizeAddresses }, request, describeCause)
}

/** Each growth leads from one set of shards to another: it comes again only after shards were given back. */
const growthsMaximum = 100_000

/**
 * The seed of the new shard, which follows from those that the network has: controllers that see the same make the same
 * shard, once. Where that one was made before and is not the network's any more, it is the next one's turn.
 */
async function chooseSeed(context: ControllerContext, { networkId, projectId, shards }: Grow) {
  const newest = Math.max(...shards.map(({ createdAt }) => Date.parse(createdAt)))
  const seen = JSON.stringify([networkId, ...shards.map(({ id }) => id)])
  for (let growth = 0; growth < growthsMaximum; growth++) {
    const digest = new Bun.CryptoHasher('sha256').update(`${growth} ${seen}`).digest('hex')
    const seed = `${newest + 1}.${digest.slice(0, 32)}`
    const id = createObjectId(shardKind, projectId, seed)
    const before: StoredObject<ShardValue | null> | null = await context.store.getOrTombstone(shardKind, id)
    if (before === null || before.value?.networkId === networkId) return { seed, id }
  }
  throw new Error(`BUG: the network ${networkId} has grown ${growthsMaximum} times from the same shards`)
}

/** Only as it was seen, and only if it is empty: whoever allocates from it meanwhile keeps it. */
async function giveBack(
  context: ControllerContext,
  { networkId, shard, emptySince }: Extract<PolicyOperation, { kind: 'giveBack' }>,
): Promise<Outcome<unknown>> {
  const { id, version, value } = shard
  const { cidr, projectId } = value
  const request = { ...createOwnRequest(context, `give back ${id} ${version}`), expectedVersion: version }
  return removeShard(context, shard, request, [
    { type: 'shard.deallocated', projectId, subject: id, data: { shardId: id, networkId, cidr } },
    { type: 'policy.gave-back', projectId, subject: networkId, data: { networkId, shardId: id, cidr, emptySince } },
  ])
}
