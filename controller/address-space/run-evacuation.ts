/**
 * Empties the shards of a plan: those that nobody holds an address of leave their networks at once, the others by a
 * migration each. Writes nothing itself: it asks the services that do. What is refused is said of the shard, and stops
 * none of the others; the next run goes on from there.
 */

import type { Outcome } from '../contract/problem.ts'
import type { Compact } from '../contract/space.ts'
import type { MigrationService, RequestInfo, Services } from '../services.ts'
import type { EvacuatedShard } from './defragment/space-shard.ts'

export interface EvacuationServices {
  readonly shards: Pick<Services['shards'], 'deallocate' | 'remove'>
  readonly migrations: Pick<MigrationService, 'start'>
}

export type EvacuationStep =
  | { readonly kind: 'migrating'; readonly shardId: string; readonly migrationId: string }
  /** On no network any more. */
  | { readonly kind: 'emptied'; readonly shardId: string }
  | { readonly kind: 'deleted'; readonly shardId: string }
  | { readonly kind: 'refused'; readonly shardId: string; readonly reason: string }

/** How the migrations go. */
export type EvacuationManner = Pick<Compact, 'mode' | 'parallelism' | 'drainSeconds'>

/**
 * A step for each shard, in their order. The empty ones leave first, so that nobody moves into them.
 * @example await runEvacuation(services, plan.evacuate, { mode: 'overlap', parallelism: 8, drainSeconds: 30 }, request)
 */
export async function runEvacuation(
  services: EvacuationServices,
  evacuate: readonly EvacuatedShard[],
  manner: EvacuationManner,
  request: RequestInfo,
): Promise<readonly EvacuationStep[]> {
  const steps = new Map<string, EvacuationStep>()
  for (const shard of evacuate) {
    if (shard.holders === 0) steps.set(shard.shardId, await leaveNetwork(services, shard, request))
  }
  for (const shard of evacuate) {
    if (shard.holders > 0) steps.set(shard.shardId, await migrate(services, shard, manner, request))
  }
  return evacuate.flatMap(({ shardId }) => steps.get(shardId) ?? [])
}

/** Gives emptied shards back to their pool. */
export async function removeEmptied(
  services: EvacuationServices,
  steps: readonly EvacuationStep[],
  request: RequestInfo,
): Promise<readonly EvacuationStep[]> {
  const removed: EvacuationStep[] = []
  for (const step of steps) {
    if (step.kind !== 'emptied') {
      removed.push(step)
      continue
    }
    const { shardId } = step
    const gone = await services.shards.remove(shardId, ofStep(request, 'delete', shardId))
    // One that somebody else has deleted meanwhile is as it should be.
    const isGone = gone.ok || gone.problem.code === 'not-found'
    removed.push(isGone ? { kind: 'deleted', shardId } : refused(shardId, gone))
  }
  return removed
}

async function leaveNetwork(
  { shards }: EvacuationServices,
  { shardId, networkId }: EvacuatedShard,
  request: RequestInfo,
): Promise<EvacuationStep> {
  if (networkId === null) return { kind: 'emptied', shardId }
  const left = await shards.deallocate(networkId, shardId, ofStep(request, 'deallocate', shardId))
  return left.ok ? { kind: 'emptied', shardId } : refused(shardId, left)
}

async function migrate(
  { migrations }: EvacuationServices,
  { shardId }: EvacuatedShard,
  { mode, parallelism, drainSeconds }: EvacuationManner,
  request: RequestInfo,
): Promise<EvacuationStep> {
  const input = { mode, parallelism, drainSeconds, dryRun: false }
  const started = await migrations.start(shardId, input, ofStep(request, 'migrate', shardId))
  return started.ok ? { kind: 'migrating', shardId, migrationId: started.value.id } : refused(shardId, started)
}

/** One request makes several objects and changes several shards: each has an id and a seed of its own, repeatably. */
const ofStep = (request: RequestInfo, verb: string, shardId: string): RequestInfo => ({
  ...request,
  actionId: `${request.actionId} ${verb} ${shardId}`,
  seed: `${request.seed} ${shardId}`,
})

const refused = (shardId: string, outcome: Extract<Outcome<unknown>, { ok: false }>): EvacuationStep => ({
  kind: 'refused',
  shardId,
  reason: outcome.problem.detail,
})
