import { expect, test } from 'bun:test'
import { createTestContext } from '../access/test-context.ts'
import { createClientId, createId } from '../control-plane/shard-key.ts'
import { transactionWritesMaximum, write } from '../control-plane/store.ts'
import { type MigrationValue, type MoveValue, migrationKind, moveKind } from '../objects.ts'
import { migrationKeptMilliseconds, sweepMigrations } from './sweep-migrations.ts'

function openHistory() {
  const context = createTestContext()
  const projectId = createClientId('prj', context.now(), context.random)
  const newId = (prefix: string) => createId(prefix, projectId, context.now(), context.random)
  const isoNow = () => new Date(context.now()).toISOString()
  return {
    context,
    count: () => [migrationKind, moveKind].map((kind) => context.store.snapshot<unknown>(kind).length),
    async add(moves: number, hasEnded: boolean): Promise<string> {
      const migrationId = newId(migrationKind.prefix)
      const networkId = newId('net')
      const migration: MigrationValue = {
        projectId,
        shardId: newId('shd'),
        networkId,
        toNetworkId: null,
        mode: 'overlap',
        parallelism: 16,
        drainSeconds: 30,
        wanted: 'run',
        status: hasEnded ? 'done' : 'blocked',
        reason: null,
        startedAt: isoNow(),
        finishedAt: hasEnded ? isoNow() : null,
      }
      const move: MoveValue = {
        migrationId,
        projectId,
        networkId,
        ownerId: newId('mch'),
        ownerKind: 'machine',
        name: 'web',
        mode: 'overlap',
        from: { address: '198.18.16.2', shardId: migration.shardId },
        to: null,
        step: 'done',
        stepSince: isoNow(),
        returnsAs: null,
        reason: null,
        startedAt: isoNow(),
        finishedAt: isoNow(),
      }
      await context.store.transact({
        writes: [write({ kind: migrationKind, id: migrationId, expect: 'absent', value: migration })],
      })
      for (let left = moves; left > 0; left -= transactionWritesMaximum) {
        const writes = Array.from({ length: Math.min(left, transactionWritesMaximum) }, () =>
          write({ kind: moveKind, id: newId(moveKind.prefix), expect: 'absent' as const, value: move }),
        )
        await context.store.transact({ writes })
      }
      return migrationId
    },
  }
}

test('a migration is forgotten with its moves once it ended long ago, and no other', async () => {
  const { context, add, count } = openHistory()
  await add(3, true)
  await add(2, false)
  expect(await sweepMigrations(context)).toBe(0)
  context.advance(migrationKeptMilliseconds + 1)
  await add(1, true)
  expect(await sweepMigrations(context)).toBe(1)
  expect(count()).toEqual([2, 3])
})

test('of more moves than one transaction takes none is left', async () => {
  const { context, add, count } = openHistory()
  await add(2 * transactionWritesMaximum, true)
  context.advance(migrationKeptMilliseconds + 1)
  expect(await sweepMigrations(context)).toBe(1)
  expect(count()).toEqual([0, 0])
})
