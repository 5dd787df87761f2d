import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import type { Outcome } from '../contract/problem.ts'
import type { MemoryStoreFault } from '../control-plane/memory-store.ts'
import { createId } from '../control-plane/shard-key.ts'
import type { Store } from '../control-plane/store.ts'
import { addressKind, instanceKind, machineKind, shardOccupancyKind } from '../objects.ts'
import { createAddressAllocator } from './allocator.ts'
import { countTaken, decodeBitmap } from './taken-bitmap.ts'
import { openTestSpace } from './test-space.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

function unwrap<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(outcome.problem.detail)
  return outcome.value
}

const problemOf = (outcome: Outcome<unknown>) => (outcome.ok ? null : outcome.problem)

describe('an address is allocated', () => {
  test('the first is the one after the gateway', async () => {
    const { allocator, networkId, newOwner } = await openTestSpace(['10.0.0.0/28'])
    expect(unwrap(await allocator.allocateAddress({ networkId, ownerId: newOwner() })).address).toBe('10.0.0.2')
  })

  test('an owner that asks again is given the same', async () => {
    const { allocator, networkId, newOwner } = await openTestSpace(['10.0.0.0/28'])
    const ownerId = newOwner()
    const first = unwrap(await allocator.allocateAddress({ networkId, ownerId }))
    expect(unwrap(await allocator.allocateAddress({ networkId, ownerId }))).toEqual(first)
    const twice = await Promise.all([1, 2].map(() => allocator.allocateAddress({ networkId, ownerId })))
    expect(twice.map(unwrap)).toEqual([first, first])
  })

  test('those who ask at once share one transaction', async () => {
    const { context, allocator, networkId, newOwner } = await openTestSpace(['10.0.0.0/24'])
    let transactions = 0
    context.store.subscribe(() => transactions++)
    const all = await Promise.all(
      Array.from({ length: 64 }, () => allocator.allocateAddress({ networkId, ownerId: newOwner() })),
    )
    expect(new Set(all.map((outcome) => unwrap(outcome).address)).size).toBe(64)
    expect(transactions).toBeLessThanOrEqual(2)
  })

  test('a chosen one, and nobody else after', async () => {
    const { allocator, networkId, newOwner } = await openTestSpace(['10.0.0.0/28'])
    const chosen = { networkId, address: '10.0.0.9' }
    expect(unwrap(await allocator.allocateAddress({ ...chosen, ownerId: newOwner() })).address).toBe('10.0.0.9')
    expect(problemOf(await allocator.allocateAddress({ ...chosen, ownerId: newOwner() }))?.code).toBe('in-use')
  })

  const refused: readonly (readonly [string, string, string])[] = [
    ['the network address', '10.0.0.0', 'network address'],
    ['the gateway', '10.0.0.1', 'gateway address'],
    ['the broadcast address', '10.0.0.15', 'broadcast address'],
    ['one of no shard', '10.0.1.2', 'is in no shard'],
  ]
  for (const [what, address, words] of refused) {
    test(`never ${what}`, async () => {
      const { allocator, networkId, newOwner } = await openTestSpace(['10.0.0.0/28'])
      const problem = problemOf(await allocator.allocateAddress({ networkId, ownerId: newOwner(), address }))
      expect(problem?.detail).toContain(words)
      expect(problem?.errors?.[0]?.field).toBe('address')
    })
  }

  test('the next shard gives when the first is full, and then the refusal names them all', async () => {
    const { allocator, networkId, newOwner, shardIds } = await openTestSpace(['10.0.0.0/28', '10.0.1.0/28'])
    const all = await Promise.all(
      Array.from({ length: 26 }, () => allocator.allocateAddress({ networkId, ownerId: newOwner() })),
    )
    const byShard = Map.groupBy(all.map(unwrap), ({ shardId }) => shardId)
    expect(shardIds.map((id) => byShard.get(id)?.length)).toEqual([13, 13])
    const problem = problemOf(await allocator.allocateAddress({ networkId, ownerId: newOwner() }))
    expect(problem?.code).toBe('no-space')
    expect(problem?.detail).toContain('10.0.0.0/28, 10.0.1.0/28')
    expect(problem?.remedy).toContain('another shard')
  })

  test('what was given back is given again, and is counted no more', async () => {
    const { context, allocator, networkId, newOwner, shardIds } = await openTestSpace(['10.0.0.0/28'])
    const ownerId = newOwner()
    await allocator.allocateAddress({ networkId, ownerId })
    const countOf = async () => (await context.store.get(shardOccupancyKind, shardIds[0] ?? ''))?.value.resourceCount
    expect(await countOf()).toBe(1)
    unwrap(await allocator.releaseAddresses(ownerId))
    unwrap(await allocator.releaseAddresses(ownerId))
    expect(await countOf()).toBe(0)
    expect(unwrap(await allocator.allocateAddress({ networkId, ownerId: newOwner() })).address).toBe('10.0.0.2')
  })

  test('a shard that was made a moment ago gives, though nobody has heard of it yet', async () => {
    const { context, networkId, newOwner } = await openTestSpace(['10.0.0.0/28'])
    let isEmpty = true
    const store: Store = {
      ...context.store,
      snapshot: (kind, clientId) => (isEmpty ? [] : context.store.snapshot(kind, clientId)),
      subscribe: () => () => undefined,
    }
    const allocator = createAddressAllocator({ store, now: context.now })
    isEmpty = false
    expect(unwrap(await allocator.allocateAddress({ networkId, ownerId: newOwner() })).address).toBe('10.0.0.2')
  })

  test('who loses races waits for up to twice as long each time, and gives up at last', async () => {
    const { context, networkId, newOwner } = await openTestSpace(['10.0.0.0/28'])
    let races = 3
    const waits: number[] = []
    const store: Store = {
      ...context.store,
      transact: async (transaction) =>
        races-- > 0 ? { outcome: 'conflict', conflicts: [] } : await context.store.transact(transaction),
    }
    const allocator = createAddressAllocator({
      store,
      now: context.now,
      random: (bytes) => new Uint8Array(bytes).fill(128),
      sleep: async (milliseconds) => void waits.push(milliseconds),
    })
    expect(unwrap(await allocator.allocateAddress({ networkId, ownerId: newOwner() })).address).toBe('10.0.0.2')
    expect(waits).toEqual([1, 2, 4])
    races = Number.POSITIVE_INFINITY
    const problem = problemOf(await allocator.allocateAddress({ networkId, ownerId: newOwner() }))
    expect(problem).toMatchObject({ code: 'unavailable', retryAfterSeconds: 1 })
    expect(Math.max(...waits)).toBe(16)
    races = 0
    expect(unwrap(await allocator.allocateAddress({ networkId, ownerId: newOwner() })).address).toBe('10.0.0.3')
  })

  test('a network without a shard says so', async () => {
    const { allocator, networkId, newOwner } = await openTestSpace([])
    const problem = problemOf(await allocator.allocateAddress({ networkId, ownerId: newOwner() }))
    expect(problem?.detail).toBe('The network has no shard.')
  })
})

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('allocate' as const), allocator: fc.nat(2), owner: fc.nat(19) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('release' as const), allocator: fc.nat(2), owner: fc.nat(19) }),
  },
)
const faultOf = fc.constantFrom<MemoryStoreFault>('none', 'none', 'none', 'lostAckStored', 'lostAckDropped')

test('however allocators race and acknowledgements get lost, no address is held twice and the records are right', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { maxLength: 12 }), { maxLength: 12 }),
      fc.infiniteStream(faultOf),
      async (rounds, faults) => {
        const space = await openTestSpace(['10.0.0.0/28', '10.0.0.16/28'], () => faults.next().value ?? 'none')
        const { context, networkId } = space
        const allocators = [space.allocator, createAddressAllocator(context), createAddressAllocator(context)]
        const owners = Array.from({ length: 20 }, (_, i) => {
          const kind = i % 2 === 0 ? machineKind : instanceKind
          return createId(kind.prefix, networkId, context.now() + i, context.random)
        })
        for (const round of rounds) {
          // Two allocators that act for one owner at once may each give it an address; the sweep takes one back.
          const ownersOfRound = new Map(round.map((one) => [one.owner, one]))
          await Promise.all(
            [...ownersOfRound.values()].map(({ kind, allocator, owner }) => {
              const ownerId = owners[owner] ?? ''
              if (kind === 'release') return allocators[allocator]?.releaseAddresses(ownerId)
              return allocators[allocator]?.allocateAddress({ networkId, ownerId })
            }),
          )
          await new Promise((resolve) => setImmediate(resolve))
          const held = context.store.snapshot(addressKind)
          expect(new Set(held.map(({ value }) => value.address)).size).toBe(held.length)
          expect(new Set(held.map(({ value }) => value.ownerId)).size).toBe(held.length)
          for (const { id, value } of context.store.snapshot(shardOccupancyKind)) {
            const own = held.filter((address) => address.value.shardId === id)
            expect(value.resourceCount).toBe(own.length)
            expect(countTaken(decodeBitmap(value.takenBitmap))).toBe(own.length + 3)
          }
        }
      },
    ),
    { numRuns: 100 },
  )
})
