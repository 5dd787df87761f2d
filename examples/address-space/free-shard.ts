/**
 * Frees a shard: has everybody who holds an address of it move to the network's other shards, and makes another shard
 * first where these have no room. Says what will move before it does, and ends when the shard is available.
 *
 * @example
 * eval "$(bun sluice lab env | sed 's/^/export /')"; bun examples/address-space/free-shard.ts shd_… restart
 */

import * as v from 'valibot'
import { shardSchema } from '../../controller/contract/address-space.ts'
import {
  type Migration,
  type MigrationPlan,
  migrationPlanSchema,
  migrationSchema,
} from '../../controller/contract/migration.ts'
import { describePlannedMoves, planRoom } from './plan-room.ts'

const pollMilliseconds = 500

const [shardId, mode = 'overlap'] = process.argv.slice(2)
const { SLUICE_ADDR: address, SLUICE_TOKEN: token } = process.env
if (shardId === undefined || address === undefined || token === undefined) {
  console.error('usage: SLUICE_ADDR=… SLUICE_TOKEN=… free-shard.ts SHARD-ID [overlap|restart]')
  process.exit(2)
}
await freeShard(shardId)

async function freeShard(id: string): Promise<void> {
  const plan = (await askForPlan(id)) ?? (await makeRoom(id))
  console.log(describePlannedMoves(plan))
  const migration = await migrate(id)
  console.log(`${migration.id} is ${migration.status}: ${migration.movesDone} of ${migration.movesTotal} moved`)
  if (migration.status !== 'done') throw new Error(migration.reason ?? 'somebody has asked for something else')
}

/** Null: there is no room for all of them. */
async function askForPlan(id: string): Promise<MigrationPlan | null> {
  const answer = await call('POST', `/v1/shards/${id}/migrate`, { mode, dryRun: true })
  if (answer.status === 409 && isProblem(answer.body, 'no-space')) return null
  return v.parse(migrationPlanSchema, expectFine(answer))
}

async function makeRoom(id: string): Promise<MigrationPlan> {
  const shard = v.parse(shardSchema, expectFine(await call('GET', `/v1/shards/${id}`)))
  const room = planRoom(shard)
  console.log(`no room for ${shard.resourceCount} holders: another shard of ${room.sizeAddresses} addresses is made`)
  expectFine(await call('POST', '/v1/shards', room))
  const plan = await askForPlan(id)
  if (plan === null) throw new Error('others were faster than this: there is no room again')
  return plan
}

async function migrate(id: string): Promise<Migration> {
  let migration = v.parse(migrationSchema, expectFine(await call('POST', `/v1/shards/${id}/migrate`, { mode })))
  while (['running', 'cancelling', 'rolling-back'].includes(migration.status)) {
    await Bun.sleep(pollMilliseconds)
    migration = v.parse(migrationSchema, expectFine(await call('GET', `/v1/migrations/${migration.id}`)))
  }
  return migration
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(`${address}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: await response.json() }
}

function expectFine({ status, body }: Answer): unknown {
  if (status >= 400) throw new Error(`answered ${status}: ${JSON.stringify(body)}`)
  return body
}

function isProblem(body: unknown, code: string): boolean {
  return typeof body === 'object' && body !== null && 'code' in body && body.code === code
}
