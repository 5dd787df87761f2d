/**
 * What every store promises, as one suite of tests that `memory-store.test.ts` and `jetstream-store.test.ts` run
 * against theirs. Only tests use it.
 */

import { describe, expect, test } from 'bun:test'
import type { CloudEvent } from './cloud-event.ts'
import { createClientId, createId } from './shard-key.ts'
import {
  actionsKeptMaximum,
  type Change,
  defineKind,
  type Store,
  type StoredObject,
  type Transaction,
  versionsKeptMaximum,
  type Write,
  write,
} from './store.ts'

export interface Shard {
  readonly cidr: string
  readonly count: number
}

export interface Address {
  readonly owner: string
}

export const shardKind = defineKind<Shard>({ name: 'shard', prefix: 'shd', dataType: 'shard' })
export const addressKind = defineKind<Address>({ name: 'address', prefix: 'adr', dataType: 'shard' })
/** What a shard carries. */
export interface Lease {
  readonly shardId: string
  readonly number: number
}
export const leaseKind = defineKind<Lease>({
  name: 'lease',
  prefix: 'lse',
  dataType: 'shard',
  carriedBy: { kind: 'shard', carrierIdOf: ({ shardId }) => shardId },
})
const hostKind = defineKind<{ readonly name: string }>({ name: 'host', prefix: 'hst', dataType: 'host' })

export const newClient = (): string => createClientId('prj', Date.now())
export const newShardId = (clientId: string): string => createId('shd', clientId, Date.now())
export const newLeaseId = (clientId: string): string => createId('lse', clientId, Date.now())
export const newAddressId = (clientId: string): string => createId('adr', clientId, Date.now())

const waitSecondsMaximum = 20

/** Waits until a condition holds, looking at it again and again. Throws when it does not in time. */
export async function waitUntil(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 1000 * waitSecondsMaximum
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not within ${waitSecondsMaximum} s: ${what}`)
    await Bun.sleep(2)
  }
}

/** Creates, changes or deletes one shard, and returns the outcome's name. */
export function writeShard(
  store: Store,
  id: string,
  expectedVersion: Write['expect'],
  value: Shard | null,
  rest: Omit<Transaction, 'writes'> = {},
) {
  return store.transact({ writes: [write({ kind: shardKind, id, expect: expectedVersion, value })], ...rest })
}

export async function createShards(store: Store, clientId: string, count: number): Promise<readonly string[]> {
  const ids = Array.from({ length: count }, () => newShardId(clientId))
  const writes = ids.map((id, i) => write({ kind: shardKind, id, expect: 'absent', value: { cidr: '', count: i } }))
  expect((await store.transact({ writes })).outcome).toBe('committed')
  return ids.sort()
}

const plain = { cidr: '10.0.0.0/22', count: 0 }

export interface ContractHarness {
  readonly store: () => Store
  /** All events that have come out so far, in order. */
  readonly events: () => readonly CloudEvent[]
}

export function testStoreContract(harness: ContractHarness): void {
  const { store } = harness

  describe('an object', () => {
    test('is read back as it was written, at once, by every way of reading', async () => {
      const clientId = newClient()
      const id = newShardId(clientId)
      const outcome = await writeShard(store(), id, 'absent', plain, { actionId: 'act-1', traceparent: '00-a-b-01' })
      if (outcome.outcome !== 'committed') throw new Error(JSON.stringify(outcome))
      const [written] = outcome.objects
      expect(written).toMatchObject({ kind: 'shard', id, version: 1, value: plain, actionIds: ['act-1'] })
      expect(written).toMatchObject({ traceparent: '00-a-b-01', createdAt: written?.updatedAt ?? '' })
      const object = written as StoredObject<Shard>
      expect(store().snapshot(shardKind, clientId)).toEqual([object])
      expect(await store().get(shardKind, id)).toEqual(object)
      expect(await store().get(shardKind, id, { latest: true })).toEqual(object)
      expect(await store().list(shardKind, { clientId })).toEqual({ items: [object], next: null })
      expect(await store().history(shardKind, id)).toEqual([object])
    })

    test('that was never written is null, and has no history', async () => {
      const id = newShardId(newClient())
      expect(await store().get(shardKind, id)).toBeNull()
      expect(await store().get(shardKind, id, { latest: true })).toBeNull()
      expect(await store().getOrTombstone(shardKind, id)).toBeNull()
      expect(await store().history(shardKind, id)).toEqual([])
    })

    test('counts its versions through a tombstone and beyond', async () => {
      const id = newShardId(newClient())
      await writeShard(store(), id, 'absent', plain, { actionId: 'made' })
      await writeShard(store(), id, 1, null, { actionId: 'deleted' })
      expect(await store().get(shardKind, id)).toBeNull()
      expect(await store().get(shardKind, id, { latest: true })).toBeNull()
      expect(store().snapshot(shardKind, id)).toEqual([])
      expect(await store().getOrTombstone(shardKind, id)).toMatchObject({
        version: 2,
        value: null,
        actionIds: ['made', 'deleted'],
      })
      await writeShard(store(), id, 'absent', { ...plain, count: 3 })
      expect(await store().get(shardKind, id)).toMatchObject({ version: 3, value: { count: 3 } })
      const versions = (await store().history(shardKind, id)).map(({ version, value }) => [
        version,
        value?.count ?? null,
      ])
      expect(versions).toEqual([
        [1, 0],
        [2, null],
        [3, 3],
      ])
    })

    test('keeps its last versions and its last action ids, and when it was created', async () => {
      const id = newShardId(newClient())
      const writes = versionsKeptMaximum + 4
      for (let i = 0; i < writes; i++) {
        const outcome = await writeShard(store(), id, i === 0 ? 'absent' : i, plain, { actionId: `act-${i}` })
        expect(outcome.outcome).toBe('committed')
      }
      const history = await store().history(shardKind, id)
      expect(history.map(({ version }) => version)).toEqual(
        Array.from({ length: versionsKeptMaximum }, (_, i) => writes - versionsKeptMaximum + 1 + i),
      )
      const object = await store().get(shardKind, id)
      expect(object?.actionIds).toEqual(
        Array.from({ length: actionsKeptMaximum }, (_, i) => `act-${writes - actionsKeptMaximum + i}`),
      )
      expect(new Set(history.map(({ createdAt }) => createdAt)).size).toBe(1)
    })

    test('is what JSON keeps of the value, and nobody can change it in memory', async () => {
      const id = newShardId(newClient())
      const value = { cidr: 'a', count: 1, gone: undefined } as Shard
      await writeShard(store(), id, 'absent', value)
      const object = await store().get(shardKind, id)
      expect(Object.keys(object?.value ?? {})).toEqual(['cidr', 'count'])
      expect(() => Object.assign(object?.value ?? {}, { count: 2 })).toThrow(TypeError)
    })
  })

  describe('a conflict', () => {
    const rows: readonly (readonly [string, readonly (Shard | null)[], Write['expect'], number | null])[] = [
      ['an update of what was never written', [], 1, null],
      ['a creation of what exists', [plain], 'absent', 1],
      ['an update at an older version', [plain, plain], 1, 2],
      ['an update at a version that is still to come', [plain], 2, 1],
      ['an update of a tombstone at its version', [plain, null], 2, null],
      ['a deletion of a tombstone', [plain, null], 1, null],
    ]
    for (const [what, before, expectedVersion, actualVersion] of rows) {
      test(`is the answer to ${what}, with both versions, and nothing is written`, async () => {
        const id = newShardId(newClient())
        for (const [i, value] of before.entries()) await writeShard(store(), id, i === 0 ? 'absent' : i, value)
        const history = await store().history(shardKind, id)
        expect(await writeShard(store(), id, expectedVersion, { ...plain, count: 9 })).toEqual({
          outcome: 'conflict',
          conflicts: [{ kind: 'shard', id, expectedVersion, actualVersion }],
        })
        expect(await store().history(shardKind, id)).toEqual(history)
      })
    }

    test('names each object that stood in the way, and leaves all others alone', async () => {
      const clientId = newClient()
      const [first = '', second = '', third = ''] = await createShards(store(), clientId, 3)
      await writeShard(store(), second, 1, plain)
      const addressId = newAddressId(clientId)
      const outcome = await store().transact({
        writes: [
          write({ kind: shardKind, id: first, expect: 1, value: { ...plain, count: 7 } }),
          write({ kind: shardKind, id: second, expect: 1, value: null }),
          write({ kind: addressKind, id: addressId, expect: 'absent', value: { owner: 'm' } }),
          write({ kind: shardKind, id: third, expect: 'absent', value: plain }),
        ],
        events: [{ type: 'shard.changed', projectId: clientId, subject: first, data: null }],
      })
      expect(outcome).toEqual({
        outcome: 'conflict',
        conflicts: [
          { kind: 'shard', id: second, expectedVersion: 1, actualVersion: 2 },
          { kind: 'shard', id: third, expectedVersion: 'absent', actualVersion: 1 },
        ],
      })
      expect(await store().get(shardKind, first, { latest: true })).toMatchObject({ version: 1 })
      expect(await store().get(addressKind, addressId, { latest: true })).toBeNull()
    })

    test('befalls all but one of 16 writers who expect the same version', async () => {
      const id = newShardId(newClient())
      await writeShard(store(), id, 'absent', plain)
      for (let version = 1; version <= 20; version++) {
        const outcomes = await Promise.all(
          Array.from({ length: 16 }, (_, i) => writeShard(store(), id, version, { ...plain, count: i })),
        )
        const winners = outcomes.flatMap((outcome, i) => (outcome.outcome === 'committed' ? [i] : []))
        expect(winners).toHaveLength(1)
        expect(outcomes.filter(({ outcome }) => outcome === 'conflict')).toHaveLength(15)
        expect(await store().get(shardKind, id)).toMatchObject({
          version: version + 1,
          value: { count: winners[0] ?? -1 },
        })
      }
    })
  })

  describe('a list', () => {
    test('comes in pages in the order of ids, which writes in between do not upset', async () => {
      const clientId = newClient()
      const ids = await createShards(store(), clientId, 50)
      const doomed = ids.filter((_, i) => i % 7 === 3)
      const seen: string[] = []
      let after: string | undefined
      for (let turn = 0; turn < ids.length; turn++) {
        const page = await store().list(shardKind, { clientId, limit: 7, ...(after === undefined ? {} : { after }) })
        seen.push(...page.items.map(({ id }) => id))
        if (page.next === null) break
        after = page.next
        const id = doomed[turn] ?? ''
        if (id !== '') await writeShard(store(), id, 1, null)
        await createShards(store(), clientId, 1)
      }
      expect(seen).toEqual([...seen].sort())
      expect(new Set(seen).size).toBe(seen.length)
      const stayed = ids.filter((id) => !doomed.includes(id))
      expect(seen.filter((id) => stayed.includes(id))).toEqual(stayed)
    })

    test('goes on after an id that is deleted in the meantime', async () => {
      const clientId = newClient()
      const ids = await createShards(store(), clientId, 4)
      const page = await store().list(shardKind, { clientId, limit: 2 })
      await writeShard(store(), page.next ?? '', 1, null)
      const rest = await store().list(shardKind, { clientId, after: page.next ?? '' })
      expect(rest.items.map(({ id }) => id)).toEqual(ids.slice(2))
    })

    test("shows one client's objects of one kind only, and crosses the ring for all clients'", async () => {
      const clients = Array.from({ length: 12 }, newClient)
      for (const clientId of clients) await createShards(store(), clientId, 2)
      const own = await store().list(shardKind, { clientId: clients[0] ?? '' })
      expect(own.items).toHaveLength(2)
      expect(store().snapshot(addressKind, clients[0])).toEqual([])
      const all = store()
        .snapshot(shardKind)
        .map(({ id }) => id)
      expect(all).toEqual([...all].sort())
      for (const clientId of clients)
        for (const { id } of store().snapshot(shardKind, clientId)) expect(all).toContain(id)
    })
  })

  describe('a subscriber', () => {
    test('hears whole transactions, each change once and in order, with memory as new as they are', async () => {
      const clientId = newClient()
      const [first = '', second = ''] = [newShardId(clientId), newShardId(clientId)].sort()
      const heard: (readonly Change[])[] = []
      const behind: Change[] = []
      const cancel = store().subscribe((changes) => {
        const own = changes.filter(({ object }) => object.id === first || object.id === second)
        if (own.length > 0) heard.push(own)
        for (const change of own) {
          const known = store()
            .snapshot(shardKind, clientId)
            .find(({ id }) => id === change.object.id)
          if (change.object.value !== null && (known?.version ?? 0) < change.object.version) behind.push(change)
        }
      })
      const both = (expected: Write['expect'], count: number) =>
        store().transact({
          writes: [first, second].map((id) =>
            write({ kind: shardKind, id, expect: expected, value: { ...plain, count } }),
          ),
          events: [{ type: 'shard.changed', projectId: clientId, subject: first, data: count }],
        })
      await both('absent', 0)
      for (let version = 1; version < 10; version++) await both(version, version)
      await writeShard(store(), first, 10, null)
      await waitUntil(() => heard.length >= 11, 'the subscriber hears of the last transaction')
      cancel()
      await writeShard(store(), second, 10, null)
      const told = heard.map((changes) =>
        changes.map(({ object, endOfTransaction }) => [object.id, object.version, endOfTransaction]),
      )
      const expected = Array.from({ length: 10 }, (_, i) => [
        [first, i + 1, false],
        [second, i + 1, true],
      ])
      expect(told).toEqual([...expected, [[first, 11, true]]])
      expect(behind).toEqual([])
    })
  })

  describe('events', () => {
    test('come out once each, in the order of their transactions, and only if these were committed', async () => {
      const clientId = newClient()
      const id = newShardId(clientId)
      const event = (data: number) => ({ type: 'shard.changed', projectId: clientId, subject: id, data })
      await writeShard(store(), id, 'absent', plain, { events: [event(0), event(1)], traceparent: '00-a-b-01' })
      await writeShard(store(), id, 'absent', plain, { events: [event(-1)] })
      await writeShard(store(), id, 1, plain, { events: [event(2)] })
      const own = () => harness.events().filter(({ projectid }) => projectid === clientId)
      await waitUntil(() => own().length >= 3, 'the events come out')
      expect(own().map(({ data }) => data)).toEqual([0, 1, 2])
      const { id: eventId, time, ...rest } = own()[0] as CloudEvent
      expect(eventId).toStartWith('evt_')
      expect(Date.parse(time)).toBeGreaterThan(0)
      expect(rest).toEqual({
        specversion: '1.0',
        source: 'sluice',
        type: 'shard.changed',
        subject: id,
        datacontenttype: 'application/json',
        data: 0,
        traceparent: '00-a-b-01',
        projectid: clientId,
      })
    })
  })

  describe("a programmer's mistake is thrown and writes nothing:", () => {
    const clientId = newClient()
    const id = newShardId(clientId)
    const create = write({ kind: shardKind, id, expect: 'absent', value: plain })
    const rows: readonly (readonly [string, Transaction, string])[] = [
      ['no write', { writes: [] }, 'without a write'],
      ['one object twice', { writes: [create, create] }, 'twice'],
      [
        'two entity groups',
        { writes: [create, write({ kind: shardKind, id: newShardId(newClient()), expect: 'absent', value: plain })] },
        'one entity group',
      ],
      [
        'two data types of one client',
        {
          writes: [
            create,
            write({ kind: hostKind, id: createId('hst', clientId, 0), expect: 'absent', value: { name: 'a' } }),
          ],
        },
        'one entity group',
      ],
      ['an id of another kind', { writes: [{ ...create, id: newAddressId(clientId) }] }, 'not an id of kind shard'],
      ['too many writes', { writes: Array.from({ length: 501 }, () => create) }, 'the limit is 500'],
      [
        'too large a value',
        { writes: [{ ...create, value: { cidr: 'x'.repeat(1_000_000), count: 1 } }] },
        'bytes as JSON',
      ],
      [
        'an event type in the wrong form',
        { writes: [create], events: [{ type: 'Changed', projectId: clientId, subject: id, data: 1 }] },
        'not an event type',
      ],
    ]
    for (const [what, transaction, message] of rows) {
      test(what, async () => {
        await expect(store().transact(transaction)).rejects.toThrow(message)
        expect(await store().get(shardKind, id, { latest: true })).toBeNull()
      })
    }
  })
}
