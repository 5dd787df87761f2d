/** A shard's way out of a network: asked for, followed to its end, told in the log. */

import * as v from 'valibot'
import { shardSchema } from '../../controller/contract/address-space.ts'
import { type MigrationSummary, migrationSummarySchema } from '../../controller/contract/migration.ts'
import type { CallContext } from '../plugin/index.ts'
import { ApiError } from './api-error.ts'
import { type Client, findObject } from './client.ts'

type Context = Pick<CallContext, 'signal' | 'log'> & { readonly client: Client }

export interface MigrationOptions {
  readonly mode?: string
  readonly parallelism?: number
  readonly drainSeconds?: number
}

const followMilliseconds = 500
/** A shard, or the migration that empties it. */
const answerSchema = v.object({ id: v.string() })
const isMigration = ({ id }: { readonly id: string }) => id.startsWith('mig_')

/** Takes a shard away from its network: those that hold its addresses move to the network's other shards first. */
export async function detachShard(
  {
    networkId,
    shardId,
    options,
  }: { readonly networkId: string; readonly shardId: string; readonly options: MigrationOptions },
  context: Context,
): Promise<void> {
  const shard = await findObject(`/v1/shards/${shardId}`, shardSchema, context)
  if (shard === null || shard.networkId !== networkId) return
  if (shard.status === 'migrating') await followRunning(shardId, context)
  try {
    await migrate(
      Object.keys(options).length === 0
        ? { method: 'DELETE', path: `/v1/networks/${networkId}/shards/${shardId}` }
        : { method: 'POST', path: `/v1/shards/${shardId}/migrate`, body: options },
      context,
    )
  } catch (error) {
    // The migration that was followed has done it, or somebody else.
    const now = await findObject(`/v1/shards/${shardId}`, shardSchema, context)
    if (now !== null && now.networkId === networkId) throw error
  }
}

/** Gives a shard to another network, once nobody holds an address of it. */
export function moveShard(
  {
    shardId,
    toNetworkId,
    options,
  }: { readonly shardId: string; readonly toNetworkId: string; readonly options: MigrationOptions },
  context: Context,
): Promise<void> {
  return migrate({ method: 'POST', path: `/v1/shards/${shardId}/migrate`, body: { ...options, toNetworkId } }, context)
}

interface MigrationRequest {
  readonly method: 'POST' | 'DELETE'
  readonly path: string
  readonly body?: object
}

async function migrate(request: MigrationRequest, context: Context): Promise<void> {
  const { client, signal } = context
  const key = { idempotencyKey: client.createKey() }
  const { body } = await client.api.call({ ...request, ...key }, answerSchema, signal)
  if (isMigration(body)) await follow(body.id, context)
}

async function followRunning(shardId: string, context: Context): Promise<void> {
  const all = await context.client.api.listAll('/v1/migrations', migrationSummarySchema, { shardId }, context.signal)
  const running = all.find(({ finishedAt }) => finishedAt === null)
  if (running !== undefined) await follow(running.id, context)
}

/** Until it is done; rejects when it stays where it is, with what stands in its way. */
async function follow(id: string, context: Context): Promise<void> {
  const { client, signal, log } = context
  let said = ''
  for (;;) {
    const migration = await findObject(`/v1/migrations/${id}`, migrationSummarySchema, context)
    if (migration === null || migration.status === 'done') return
    const { movesDone, movesTotal, status } = migration
    const progress = `${movesDone} of ${movesTotal} have moved`
    if (progress !== said) log.info('the shard is being emptied', { migration: id, progress, status })
    said = progress
    if (!['running', 'cancelling', 'rolling-back'].includes(status)) throw refuseUnfinished(migration)
    try {
      await client.sleep(followMilliseconds, signal)
    } catch (cause) {
      throw refuseUnfinished(migration, cause)
    }
  }
}

const refuseUnfinished = ({ id, status, reason, movesDone, movesTotal }: MigrationSummary, cause?: unknown) =>
  new ApiError({
    code: cause === undefined ? 'in-use' : 'cancelled',
    title: 'The shard still has holders',
    detail: `The migration ${id} is ${status}: ${movesDone} of ${movesTotal} have moved${reason === null ? '' : `; ${reason}`}.`,
    remedy: `Follow it with \`sluice migration watch ${id}\`, put right what it names and resume it, then apply again. What has moved stays where it is.`,
  })
