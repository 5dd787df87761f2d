import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { migrationCreateSchema } from '../contract/migration.ts'
import type { Outcome } from '../contract/problem.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import { type Write, write } from '../control-plane/store.ts'
import { addressKind, machineKind, migrationKind, moveKind } from '../objects.ts'
import { createTestRack, type TestRack } from '../test-rack.ts'
import { addressIdOf } from './draft-space.ts'
import { writeMissingMoves } from './migrations.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

const holders = 1000

let rack: TestRack
let shardId: string
beforeEach(async () => {
  rack = await createTestRack()
  const { services, context, projectId } = rack
  const pool = get(await services.pools.create({ name: 'all', projectId, cidr: '10.0.0.0/16' }, context.request()))
  const network = get(await services.networks.create({ name: 'web', projectId, mtu: 1400 }, context.request()))
  const cut = async (name: string) =>
    get(
      await services.shards.create(
        { name, poolId: pool.id, networkId: network.id, sizeAddresses: 1024 },
        context.request(),
      ),
    ).id
  shardId = await cut('old')
  await cut('new')
  await transactAll(
    Array.from({ length: holders }, (_, i) => {
      const address = `10.0.${Math.floor((i + 2) / 256)}.${(i + 2) % 256}`
      const ownerId = createNamedId(machineKind.prefix, projectId, `machine ${i}`)
      const value = { address, shardId, projectId, ownerId, allocatedAt: '2030-01-01T00:00:00.000Z' }
      return write({ kind: addressKind, id: addressIdOf(shardId, address), expect: 'absent', value })
    }),
  )
})

function get<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`)
  return outcome.value
}

async function transactAll(writes: readonly Write[]): Promise<void> {
  for (let at = 0; at < writes.length; at += 400) await rack.store.transact({ writes: writes.slice(at, at + 400) })
}

const start = async () =>
  get(await rack.services.migrations.start(shardId, v.parse(migrationCreateSchema, {}), rack.context.request()))

describe('more holders than a transaction takes', () => {
  test('have their moves all the same, each once', async () => {
    const migration = await start()
    expect(migration.movesTotal).toBe(holders)
    expect(new Set(migration.moves.map(({ from }) => from)).size).toBe(holders)
    expect(await writeMissingMoves(rack.context, migration.id)).toBe(true)
    expect(rack.store.snapshot(moveKind).length).toBe(holders)
  })

  test('that all failed are all tried again', async () => {
    const { id } = await start()
    await transactAll(
      rack.store
        .snapshot(moveKind)
        .map((move) =>
          write({ kind: moveKind, id: move.id, expect: move.version, value: { ...move.value, step: 'failed' } }),
        ),
    )
    const migration = await rack.store.get(migrationKind, id)
    if (migration === null) throw new Error('there is no migration')
    const value = { ...migration.value, status: 'blocked' as const, reason: 'none could move' }
    await rack.store.transact({ writes: [write({ kind: migrationKind, id, expect: migration.version, value })] })
    const resumed = get(await rack.services.migrations.act(id, 'resume', rack.context.request()))
    expect(resumed).toMatchObject({ status: 'running', movesFailed: 0, reason: null })
  })
})
