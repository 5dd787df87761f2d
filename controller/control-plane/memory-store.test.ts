import { describe, expect, test } from 'bun:test'
import { testCarriedContract } from './carried-contract.ts'
import type { CloudEvent } from './cloud-event.ts'
import { createMemoryStore, type MemoryStoreFault } from './memory-store.ts'
import { OutcomeUnknownError, StoreUnavailableError } from './store.ts'
import { newClient, newShardId, shardKind, testStoreContract, writeShard } from './store-contract.ts'

describe('the memory store', () => {
  const events: CloudEvent[] = []
  const store = createMemoryStore({ onEvent: (event) => events.push(event) })
  testStoreContract({ store: () => store, events: () => events })
  testCarriedContract({ store: () => store })
})

describe('a fault in the memory store', () => {
  const rows: readonly (readonly [MemoryStoreFault, boolean])[] = [
    ['lostAckStored', true],
    ['lostAckDropped', false],
  ]
  for (const [fault, isStored] of rows) {
    test(`${fault}: the writer never learns that it is ${isStored ? '' : 'not '}stored`, async () => {
      const store = createMemoryStore({ fault: () => fault })
      const id = newShardId(newClient())
      const writing = writeShard(store, id, 'absent', { cidr: '', count: 0 }, { actionId: 'act' })
      await expect(writing).rejects.toBeInstanceOf(OutcomeUnknownError)
      expect((await store.get(shardKind, id))?.actionIds ?? []).toEqual(isStored ? ['act'] : [])
    })
  }

  test('unavailable: nothing is stored, and memory still answers', async () => {
    let isAway = false
    const store = createMemoryStore({ fault: () => (isAway ? 'unavailable' : 'none'), isLeaderAway: () => isAway })
    const id = newShardId(newClient())
    await writeShard(store, id, 'absent', { cidr: '', count: 0 })
    isAway = true
    expect(await writeShard(store, id, 1, null)).toMatchObject({ outcome: 'unavailable', retryAfterSeconds: 1 })
    expect(await store.get(shardKind, id)).toMatchObject({ version: 1 })
    await expect(store.get(shardKind, id, { latest: true })).rejects.toBeInstanceOf(StoreUnavailableError)
  })

  test('a closed store takes no more writes', async () => {
    const store = createMemoryStore()
    await store.close()
    const outcome = await writeShard(store, newShardId(newClient()), 'absent', { cidr: '', count: 0 })
    expect(outcome.outcome).toBe('unavailable')
    expect((await store.status()).status).toBe('unavailable')
  })
})
