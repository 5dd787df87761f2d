/**
 * The end of a migration: its shard is empty, leaves its network, and joins the one that was asked for. Where somebody
 * holds an address of it after all, who was being created when the shard was marked, that one gets a move as well.
 */

import { type ApplyOutcome, failed, overtaken } from '../../control-plane/apply-outcome.ts'
import { type EventDraft, type StoredObject, type Write, write } from '../../control-plane/store.ts'
import {
  addressKind,
  instanceKind,
  type MigrationValue,
  machineKind,
  migrationKind,
  moveKind,
  networkKind,
  type ShardValue,
  shardKind,
  shardOccupancyKind,
} from '../../objects.ts'
import { describeShardEvent } from '../cut-shard.ts'
import { resetMoves } from '../migration-moves.ts'
import { writeMissingMoves } from '../migrations.ts'
import { touch } from '../shard-occupancy.ts'
import type { StoredMigration } from './migration-operation.ts'
import { describeOutcome } from './plan-migrations.ts'
import { type MigrationMeans, transact } from './transact.ts'

type Means = Pick<MigrationMeans, 'store' | 'now'>

export async function finishMigration(means: Means, migration: StoredMigration): Promise<ApplyOutcome> {
  const { store } = means
  const { shardId } = migration.value
  // What was told of the shard before it was seen to be empty is no proof: it is asked of the leader, and held to.
  const occupancy = await store.get(shardOccupancyKind, shardId, { latest: true })
  if (occupancy !== null && occupancy.value.resourceCount > 0) return moveTheRest(means, migration)
  const shard = await store.get(shardKind, shardId)
  const value: MigrationValue = { ...migration.value, status: 'done', reason: null, finishedAt: isoNow(means) }
  const isMarked = shard !== null && shard.value.migrationId === migration.id
  const toNetworkId = isMarked ? await findTarget(means, migration.value.toNetworkId) : null
  const left = isMarked ? leaveNetwork(migration, shard, toNetworkId) : { writes: [], events: [] }
  const outcome = await transact(means, migration, {
    writes: [
      write({ kind: migrationKind, id: migration.id, expect: migration.version, value }),
      ...left.writes,
      ...touch(occupancy ?? undefined),
    ],
    events: [...left.events, ...describeOutcome(migration.id, value)],
  })
  if (outcome.kind === 'done' && toNetworkId !== null) await leaveIfGone(means, migration, toNetworkId)
  return outcome
}

const isoNow = ({ now }: Means) => new Date(now()).toISOString()

/** A network that has been deleted meanwhile gets no shard: it is available then. */
async function findTarget({ store }: Means, toNetworkId: string | null): Promise<string | null> {
  const network = toNetworkId === null ? null : await store.get(networkKind, toNetworkId, { latest: true })
  return network === null || network.value.deletingSince !== undefined ? null : network.id
}

function leaveNetwork(
  { value: { networkId } }: StoredMigration,
  { id, version, value }: StoredObject<ShardValue>,
  toNetworkId: string | null,
): { readonly writes: readonly Write[]; readonly events: readonly EventDraft[] } {
  const { migrationId: _, ...kept } = value
  const { cidr } = value
  const allocated =
    toNetworkId === null
      ? []
      : [describeShardEvent('shard.allocated', id, value, { shardId: id, networkId: toNetworkId, cidr })]
  return {
    writes: [write({ kind: shardKind, id, expect: version, value: { ...kept, networkId: toNetworkId } })],
    events: [describeShardEvent('shard.deallocated', id, value, { shardId: id, networkId, cidr }), ...allocated],
  }
}

/** Whoever deletes the network marks it first and looks for shards then: one of both sees the other. */
async function leaveIfGone(means: Means, migration: StoredMigration, networkId: string): Promise<void> {
  if ((await findTarget(means, networkId)) !== null) return
  const shard = await means.store.get(shardKind, migration.value.shardId)
  if (shard === null || shard.value.networkId !== networkId) return
  const { id, version, value } = shard
  await transact(means, migration, {
    writes: [write({ kind: shardKind, id, expect: version, value: { ...value, networkId: null } })],
    events: [describeShardEvent('shard.deallocated', id, value, { shardId: id, networkId, cidr: value.cidr })],
  })
}

/** Addresses that nobody wants are swept, which the next turn finds done. */
async function moveTheRest(means: Means, migration: StoredMigration): Promise<ApplyOutcome> {
  const { store, now } = means
  if (!(await writeMissingMoves(means, migration.id))) return failed('Its moves can not be written.')
  const wanted = new Set([
    ...store
      .snapshot(machineKind, migration.id)
      .flatMap(({ id, value }) => value.addresses.map((one) => `${id} ${one.address}`)),
    ...store.snapshot(instanceKind, migration.id).map(({ id, value }) => `${id} ${value.networkAddress}`),
  ])
  const addresses = store
    .snapshot(addressKind, migration.id)
    .filter(({ value }) => wanted.has(`${value.ownerId} ${value.address}`))
  const resets = resetMoves(migration, addresses, store.snapshot(moveKind, migration.id), now())
  if (resets.length === 0) return overtaken
  return transact(means, migration, { writes: resets.slice(0, resetsMaximum) })
}

const resetsMaximum = 400
