import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createObjectTable } from './object-table.ts'
import type { KnownObject } from './plan-transaction.ts'
import type { Page } from './store.ts'
import { newClient, newShardId, type Shard, shardKind } from './store-contract.ts'

const clientIds = Array.from({ length: 3 }, newClient)
const ids = clientIds.flatMap((clientId) => Array.from({ length: 4 }, () => newShardId(clientId)))

function describeObject(id: string, version: number, sequence: number, isAlive: boolean): KnownObject {
  const value = isAlive ? { cidr: '', count: version } : null
  const revision = { epoch: 1, sequence }
  return { kind: 'shard', id, shardKey: '', version, revision, value, createdAt: '', updatedAt: '', actionIds: [] }
}

const puts = fc.array(
  fc.record({
    id: fc.constantFrom(...ids),
    version: fc.integer({ min: 1, max: 6 }),
    sequence: fc.nat({ max: 9 }),
    isAlive: fc.boolean(),
  }),
)

describe('a table of objects', () => {
  test('shows the newest of each object in the order of ids, in whatever order they were put in', () => {
    fc.assert(
      fc.property(puts, fc.integer({ min: 1, max: 5 }), (steps, limit) => {
        const table = createObjectTable()
        const newest = new Map<string, KnownObject>()
        for (const { id, version, sequence, isAlive } of steps) {
          const object = describeObject(id, version, sequence, isAlive)
          table.put(object)
          const known = newest.get(id)
          const isNewer =
            known === undefined ||
            version > known.version ||
            (version === known.version && sequence > known.revision.sequence)
          if (isNewer) newest.set(id, object)
        }
        const expected = [...newest.values()]
          .filter(({ value }) => value !== null)
          .sort((a, b) => (a.id < b.id ? -1 : 1))
        expect(table.snapshot(shardKind) as readonly unknown[]).toEqual(expected)
        for (const clientId of clientIds) {
          const own = expected.filter(({ id }) => id.slice(4, 11) === clientId.slice(4, 11))
          expect(table.snapshot(shardKind, clientId) as readonly unknown[]).toEqual(own)
        }
        const paged: unknown[] = []
        for (let after: string | null = ''; after !== null; ) {
          const page: Page<Shard> = table.list(shardKind, { after, limit })
          paged.push(...page.items)
          after = page.next
        }
        expect(paged).toEqual(expected)
        for (const id of ids) expect(table.find('shard', id)).toEqual(newest.get(id) ?? null)
      }),
    )
  })
})
