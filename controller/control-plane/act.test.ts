import { describe, expect, test } from 'bun:test'
import type { Action } from './act.ts'
import { keyedActionId } from './kept-actions.ts'
import { createMemoryStore } from './memory-store.ts'
import { actionsKeptMaximum, OutcomeUnknownError, type Store, type StoredObject, write } from './store.ts'
import {
  addressKind,
  newAddressId,
  newClient,
  newShardId,
  type Shard,
  shardKind,
  writeShard,
} from './store-contract.ts'
import { createActionQueue } from './writes/action-queue.ts'

const increment = (id: string, actionId: string): Action<Shard, never> => ({
  kind: shardKind,
  id,
  actionId,
  apply: (current) => ({ kind: 'write', value: { cidr: '', count: (current?.value.count ?? 0) + 1 } }),
})

/** By a controller of its own: what it knows of others is what is stored. */
const act = <Value, Problem>(store: Store, action: Action<Value, Problem>) =>
  createActionQueue({ store, now: () => 0, random: (bytes) => new Uint8Array(bytes) }).act(action)

const versionAndCount = (object: StoredObject<Shard | null> | null) => [object?.version, object?.value?.count]

describe('an action', () => {
  test('creates, changes and deletes what it decides from the object as it is', async () => {
    const store = createMemoryStore()
    const id = newShardId(newClient())
    expect(await act(store, increment(id, 'a'))).toMatchObject({
      outcome: 'done',
      object: { version: 1 },
      isRepeated: false,
    })
    expect(await act(store, increment(id, 'b'))).toMatchObject({ outcome: 'done', object: { value: { count: 2 } } })
    await act(store, { kind: shardKind, id, actionId: 'c', apply: () => ({ kind: 'write', value: null }) })
    expect(await store.get(shardKind, id)).toBeNull()
  })

  test('done again answers what it did the first time, whatever came since, and changes nothing', async () => {
    const store = createMemoryStore()
    const id = newShardId(newClient())
    for (const actionId of ['a', 'b', 'c']) await act(store, increment(id, actionId))
    await writeShard(store, id, 3, { cidr: 'without an action', count: 9 })
    const again = await act(store, increment(id, 'c'))
    if (again.outcome !== 'done') throw new Error(again.outcome)
    expect([again.isRepeated, ...versionAndCount(again.object)]).toEqual([true, 3, 3])
    expect(await store.get(shardKind, id)).toMatchObject({ version: 4 })
  })

  test('of a request with a key is not done again after any number of writes of others', async () => {
    const store = createMemoryStore()
    const id = newShardId(newClient())
    const keyed = keyedActionId(`${Date.now()}.abc`)
    await act(store, increment(id, keyed))
    for (let i = 0; i < 3 * actionsKeptMaximum; i++) await act(store, increment(id, `other ${i}`))
    expect(await act(store, increment(id, keyed))).toMatchObject({ outcome: 'done', isRepeated: true })
    expect(await store.get(shardKind, id)).toMatchObject({ value: { count: 3 * actionsKeptMaximum + 1 } })
  })

  test('that deleted does not delete what was created since', async () => {
    const store = createMemoryStore()
    const id = newShardId(newClient())
    const remove: Action<Shard, never> = {
      kind: shardKind,
      id,
      actionId: 'remove',
      apply: () => ({ kind: 'write', value: null }),
    }
    await act(store, increment(id, 'a'))
    await act(store, remove)
    expect(await act(store, remove)).toMatchObject({
      outcome: 'done',
      isRepeated: true,
      object: { version: 2, value: null },
    })
    await act(store, increment(id, 'b'))
    await act(store, remove)
    expect(await store.get(shardKind, id)).toMatchObject({ version: 3 })
  })

  test('that refuses or keeps writes nothing', async () => {
    const store = createMemoryStore()
    const id = newShardId(newClient())
    const problem = { code: 'quota' }
    expect(
      await act(store, { kind: shardKind, id, actionId: 'a', apply: () => ({ kind: 'refuse', problem }) }),
    ).toEqual({
      outcome: 'refused',
      problem,
    })
    expect(await act(store, { kind: shardKind, id, actionId: 'a', apply: () => ({ kind: 'keep' }) })).toEqual({
      outcome: 'done',
      object: null,
      isRepeated: false,
    })
    expect(await store.history(shardKind, id)).toEqual([])
  })

  test('writes other objects of the group along, or nothing at all', async () => {
    const store = createMemoryStore()
    const clientId = newClient()
    const [id, addressId] = [newShardId(clientId), newAddressId(clientId)]
    const take = (actionId: string): Action<Shard, never> => ({
      kind: shardKind,
      id,
      actionId,
      apply: (current) => ({
        kind: 'write',
        value: { cidr: '', count: (current?.value.count ?? 0) + 1 },
        writes: [write({ kind: addressKind, id: addressId, expect: 'absent', value: { owner: actionId } })],
      }),
    })
    expect((await act(store, take('first'))).outcome).toBe('done')
    expect(await act(store, take('second'))).toMatchObject({ outcome: 'contended', conflicts: [{ id: addressId }] })
    expect(await store.get(shardKind, id)).toMatchObject({ version: 1 })
  })

  test('is done once by each of 16 who meet on one object', async () => {
    const store = createMemoryStore()
    const id = newShardId(newClient())
    const outcomes = await Promise.all(Array.from({ length: 16 }, (_, i) => act(store, increment(id, `a${i}`))))
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 16 }, () => 'done'))
    expect(await store.get(shardKind, id)).toMatchObject({ version: 16, value: { count: 16 } })
  })

  test('is done once although 16 try the same one at the same time', async () => {
    const store = createMemoryStore()
    const id = newShardId(newClient())
    const outcomes = await Promise.all(Array.from({ length: 16 }, () => act(store, increment(id, 'same'))))
    expect(outcomes.filter((outcome) => outcome.outcome === 'done' && !outcome.isRepeated)).toHaveLength(1)
    expect(await store.get(shardKind, id)).toMatchObject({ version: 1 })
  })

  for (const [fault, count] of [
    ['lostAckStored', 1],
    ['lostAckDropped', 1],
  ] as const) {
    test(`whose outcome was unknown (${fault}) is done once when it is done again`, async () => {
      let isFirst = true
      const store = createMemoryStore({
        fault: () => {
          const now = isFirst ? fault : 'none'
          isFirst = false
          return now
        },
      })
      const id = newShardId(newClient())
      await expect(act(store, increment(id, 'a'))).rejects.toBeInstanceOf(OutcomeUnknownError)
      expect(await act(store, increment(id, 'a'))).toMatchObject({ outcome: 'done', object: { version: 1 } })
      expect(await store.get(shardKind, id)).toMatchObject({ value: { count } })
    })
  }

  test('answers unavailable when the microshard is', async () => {
    const store = createMemoryStore({ fault: () => 'unavailable' })
    expect(await act(store, increment(newShardId(newClient()), 'a'))).toMatchObject({ outcome: 'unavailable' })
  })
})
