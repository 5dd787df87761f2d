import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import type { Outcome } from '../contract/problem.ts'
import type { MemoryStoreFault } from '../control-plane/memory-store.ts'
import { addressKind, shardOccupancyKind } from '../objects.ts'
import { createAddressAllocator } from './allocator.ts'
import { countTaken, decodeBitmap } from './taken-bitmap.ts'
import { openTestSpace } from './test-space.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

function unwrap<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(outcome.problem.detail)
  return outcome.value
}

const problemOf = (outcome: Outcome<unknown>) => {
  if (outcome.ok) throw new Error('it was not refused')
  return outcome.problem
}

const openSpace = async (cidrs: readonly string[] = ['10.0.0.0/28', 'fd00:20::/64', 'fd00:20:0:1::/64']) => {
  const space = await openTestSpace(cidrs)
  const { allocator, networkId, shardIds } = space
  return {
    ...space,
    /** A new owner asks. */
    ask: async (wanted: { readonly shardId?: string; readonly address?: string }, ownerId = space.newOwner()) => {
      const outcome = await allocator.allocateAddresses({ networkId, owners: [{ ownerId, ...wanted }] })
      return outcome.ok ? { ok: true as const, value: outcome.value[0]?.address } : outcome
    },
    shardIdOf: (cidr: string) => shardIds[cidrs.indexOf(cidr)] ?? '',
  }
}

describe('of a /64', () => {
  test('the first after the gateway is given, and then the next', async () => {
    const { ask, shardIdOf, occupancyOf } = await openSpace()
    const shardId = shardIdOf('fd00:20::/64')
    expect(unwrap(await ask({ shardId }))).toBe('fd00:20::2')
    expect(unwrap(await ask({ shardId }))).toBe('fd00:20::3')
    expect(occupancyOf(shardId).resourceCount).toBe(2)
  })

  test('nothing is given to who asks for neither shard nor address', async () => {
    const { ask, shardIdOf, occupancyOf } = await openSpace()
    expect(unwrap(await ask({}))).toBe('10.0.0.2')
    expect(occupancyOf(shardIdOf('fd00:20::/64')).resourceCount).toBe(0)
    const without = await openSpace(['fd00:20::/64'])
    expect(problemOf(await without.ask({})).detail).toBe('The network has no IPv4 shard: fd00:20::/64.')
  })

  test('a chosen one is given once, near the first or far from it, and again when it was released', async () => {
    const { allocator, ask, newOwner, shardIdOf, occupancyOf } = await openSpace()
    const shardId = shardIdOf('fd00:20:0:1::/64')
    for (const address of ['fd00:20:0:1::2', 'fd00:20:0:1:dead:beef:0:1']) {
      const ownerId = newOwner()
      expect(unwrap(await ask({ address }, ownerId))).toBe(address)
      expect(unwrap(await ask({ address }, ownerId))).toBe(address)
      const problem = problemOf(await ask({ address }))
      expect(problem.code).toBe('in-use')
      expect(problem.detail).toContain(`${address} is held by`)
      unwrap(await allocator.releaseAddresses(ownerId))
      expect(unwrap(await ask({ address }))).toBe(address)
    }
    expect(occupancyOf(shardId).resourceCount).toBe(2)
    expect(unwrap(await ask({ shardId }))).toBe('fd00:20:0:1::3')
  })

  test('of those who choose one at once, one has it', async () => {
    const { ask } = await openSpace()
    const all = await Promise.all(Array.from({ length: 8 }, () => ask({ address: 'fd00:20::1:0:0:7' })))
    expect(all.filter(({ ok }) => ok).length).toBe(1)
  })

  test('one that is released and chosen at once is refused, and nobody else in the batch with it', async () => {
    const { allocator, ask, newOwner } = await openSpace()
    const ownerId = newOwner()
    const address = 'fd00:20::1:0:0:7'
    unwrap(await ask({ address }, ownerId))
    const [released, chosen, other] = await Promise.all([
      allocator.releaseAddresses(ownerId),
      ask({ address }),
      ask({ address: 'fd00:20::1:0:0:8' }),
    ])
    expect([released.ok, chosen.ok, other.ok]).toEqual([true, false, true])
    expect(unwrap(await ask({ address }))).toBe(address)
  })

  test('one owner may have an address of each shard, and one of each alone', async () => {
    const { ask, newOwner, shardIdOf } = await openSpace()
    const ownerId = newOwner()
    const [one, other] = ['fd00:20::/64', 'fd00:20:0:1::/64'].map(shardIdOf)
    const wanted = [{}, { shardId: one ?? '' }, { shardId: other ?? '' }]
    const first = await Promise.all(wanted.map((each) => ask(each, ownerId)))
    expect(first.map(unwrap)).toEqual(['10.0.0.2', 'fd00:20::2', 'fd00:20:0:1::2'])
    const again = await Promise.all(wanted.map((each) => ask(each, ownerId)))
    expect(again).toEqual(first)
    expect(problemOf(await ask({ address: 'fd00:20::9' }, ownerId)).detail).toContain('one that holds fd00:20::2')
  })

  const refused: readonly (readonly [string, string])[] = [
    ['fd00:20::', 'anycast address'],
    ['fd00:20::1', 'gateway address'],
    ['fd00:20::fdff:ffff:ffff:ff80', 'anycast address'],
    ['fd00:20::fdff:ffff:ffff:ffff', 'anycast address'],
    ['fd00:21::2', 'is in no shard of the network'],
  ]
  for (const [address, words] of refused) {
    test(`${address} is never given`, async () => {
      const problem = problemOf(await (await openSpace()).ask({ address }))
      expect(problem.detail).toContain(words)
      expect(problem.errors?.[0]?.field).toBe('address')
    })
  }

  test('nothing is given while it is reserved or migrating, and nothing of a shard of another network', async () => {
    const { ask, change, shardIdOf } = await openSpace()
    const shardId = shardIdOf('fd00:20::/64')
    await change(shardId, (value) => ({ ...value, reserved: true }))
    expect(problemOf(await ask({ shardId })).detail).toBe('No address is given of fd00:20::/64 (reserved).')
    expect(problemOf(await ask({ address: 'fd00:20::9' })).code).toBe('conflict')
    await change(shardId, (value) => ({ ...value, reserved: false, migrationId: 'mig_1' }))
    expect(problemOf(await ask({ shardId })).detail).toBe('No address is given of fd00:20::/64 (migrating).')
    await change(shardId, ({ migrationId: _, ...value }) => ({ ...value, networkId: null }))
    expect(problemOf(await ask({ shardId })).errors?.[0]?.field).toBe('shardId')
  })

  test('the first 4096 are given, then it is said which could be chosen; the record stays as small', async () => {
    const { allocator, networkId, newOwner, occupancyOf, shardIdOf, ask } = await openSpace()
    const shardId = shardIdOf('fd00:20::/64')
    const { length } = JSON.stringify(occupancyOf(shardId))
    for (let left = 4094; left > 0; left -= 89) {
      const owners = Array.from({ length: 89 }, () => ({ ownerId: newOwner(), shardId }))
      unwrap(await allocator.allocateAddresses({ networkId, owners }))
    }
    const problem = problemOf(await ask({ shardId }))
    expect(problem.code).toBe('no-space')
    expect(problem.detail).toContain('Of fd00:20::/64 the first 4096 addresses are given')
    expect(unwrap(await ask({ address: 'fd00:20::1000' }))).toBe('fd00:20::1000')
    expect(JSON.stringify(occupancyOf(shardId)).length).toBeLessThan(length + 100)
  })

  test('in quarantine none is given that was just released, unless it is chosen', async () => {
    const { allocator, ask, newOwner, setPolicy, shardIdOf } = await openSpace()
    await setPolicy({ quarantineSeconds: 60 })
    const shardId = shardIdOf('fd00:20::/64')
    const ownerId = newOwner()
    unwrap(await ask({ shardId }, ownerId))
    unwrap(await allocator.releaseAddresses(ownerId))
    expect(unwrap(await ask({ shardId }))).toBe('fd00:20::3')
    expect(unwrap(await ask({ address: 'fd00:20::2' }))).toBe('fd00:20::2')
  })

  test('in sequence each shard of IPv6 goes on after its own last one, and IPv4 after its own', async () => {
    const { allocator, networkId, newOwner, setPolicy, shardIdOf } = await openSpace()
    await setPolicy({ allocationOrder: 'sequential' })
    const [one, other] = ['fd00:20::/64', 'fd00:20:0:1::/64'].map(shardIdOf)
    const wanted = [{}, { shardId: one ?? '' }, {}, { shardId: other ?? '' }, { shardId: one ?? '' }, {}]
    const ask = async () => {
      const owners = wanted.map((each) => ({ ownerId: newOwner(), ...each }))
      const held = unwrap(await allocator.allocateAddresses({ networkId, owners }))
      await allocator.releaseAddresses(owners[1]?.ownerId ?? '')
      return held.map(({ address }) => address)
    }
    expect(await ask()).toEqual(['10.0.0.2', 'fd00:20::2', '10.0.0.3', 'fd00:20:0:1::2', 'fd00:20::3', '10.0.0.4'])
    expect(await ask()).toEqual(['10.0.0.5', 'fd00:20::4', '10.0.0.6', 'fd00:20:0:1::3', 'fd00:20::5', '10.0.0.7'])
  })

  test('a range that a policy reserves is of IPv4 and keeps nothing of it', async () => {
    const { ask, setPolicy, shardIdOf } = await openSpace()
    await setPolicy({ reservedRanges: [{ first: '0.0.0.0', last: '255.255.255.255' }] })
    expect(unwrap(await ask({ shardId: shardIdOf('fd00:20::/64') }))).toBe('fd00:20::2')
  })
})

const step = fc.record({
  kind: fc.constantFrom('allocate' as const, 'allocate' as const, 'choose' as const, 'release' as const),
  allocator: fc.nat(1),
  owner: fc.nat(7),
  /** Near the first address, where bits are, and far from it. */
  choice: fc.constantFrom('fd00:20::2', 'fd00:20::3', 'fd00:20::1:0:0:2', 'fd00:20::1:0:0:3'),
})
const faultOf = fc.constantFrom<MemoryStoreFault>('none', 'none', 'none', 'lostAckStored', 'lostAckDropped')

test('however allocators race and acknowledgements get lost, no address is held twice and the records are right', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { maxLength: 8 }), { maxLength: 10 }),
      fc.infiniteStream(faultOf),
      async (rounds, faults) => {
        const space = await openTestSpace(['fd00:20::/64'], () => faults.next().value ?? 'none')
        const { context, networkId, shardIds } = space
        const [shardId = ''] = shardIds
        const allocators = [space.allocator, createAddressAllocator(context)]
        const ownerIds = Array.from({ length: 8 }, () => space.newOwner())
        for (const round of rounds) {
          const answers = await Promise.all(
            [...new Map(round.map((one) => [one.owner, one])).values()].map(
              async ({ kind, allocator, owner, choice }) => {
                const ownerId = ownerIds[owner] ?? ''
                if (kind === 'release') return void (await allocators[allocator]?.releaseAddresses(ownerId))
                const wanted = kind === 'choose' ? { address: choice } : { shardId }
                const outcome = await allocators[allocator]?.allocateAddresses({
                  networkId,
                  owners: [{ ownerId, ...wanted }],
                })
                return outcome?.ok === true ? { ownerId, address: outcome.value[0]?.address } : undefined
              },
            ),
          )
          await new Promise((resolve) => setImmediate(resolve))
          const held = context.store.snapshot(addressKind)
          expect(new Set(held.map(({ value }) => value.address)).size).toBe(held.length)
          expect(new Set(held.map(({ value }) => value.ownerId)).size).toBe(held.length)
          for (const answer of answers) {
            if (answer === undefined) continue
            expect(held.find(({ value }) => value.address === answer.address)?.value.ownerId).toBe(answer.ownerId)
          }
          const record = context.store.snapshot(shardOccupancyKind).find(({ id }) => id === shardId)?.value
          expect(record?.resourceCount).toBe(held.length)
          const near = held.filter(({ value }) => !value.address.includes('::1:0:0:'))
          expect(countTaken(decodeBitmap(record?.takenBitmap ?? ''))).toBe(near.length + 2)
        }
        for (const allocator of allocators) allocator.close()
      },
    ),
    { numRuns: 100 },
  )
})

test('whoever reserves a shard or takes it from its network while addresses are asked for, none is given after', async () => {
  const shutting = fc.record({
    /** Beside the requests, or before any of them. */
    isBeside: fc.boolean(),
    how: fc.constantFrom('reserved' as const, 'detached' as const, 'migrating' as const, 'open' as const),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(shutting, fc.array(step, { minLength: 1, maxLength: 6 })), { maxLength: 8 }),
      async (rounds) => {
        const { context, allocator, networkId, shardIds, newOwner, change } = await openTestSpace(['fd00:20::/64'])
        const [shardId = ''] = shardIds
        const shut = (how: (typeof rounds)[number][0]['how']) =>
          change(shardId, ({ migrationId: _, ...value }) => ({
            ...value,
            reserved: how === 'reserved',
            networkId: how === 'detached' ? null : networkId,
            ...(how === 'migrating' && { migrationId: 'mig_1' }),
          }))
        const countHeld = () => context.store.snapshot(addressKind).length
        for (const [{ isBeside, how }, requests] of rounds) {
          if (!isBeside) await shut(how)
          const before = countHeld()
          const asking = requests.map(({ kind, choice }) => {
            const wanted = kind === 'choose' ? { address: choice } : { shardId }
            return allocator.allocateAddresses({ networkId, owners: [{ ownerId: newOwner(), ...wanted }] })
          })
          const [answers] = await Promise.all([Promise.all(asking), isBeside ? shut(how) : null])
          const given = answers.filter(({ ok }) => ok).length
          expect(countHeld() - before).toBe(given)
          if (!isBeside && how !== 'open') expect(given).toBe(0)
          const record = context.store.snapshot(shardOccupancyKind).find(({ id }) => id === shardId)?.value
          expect(record?.resourceCount).toBe(countHeld())
        }
        allocator.close()
      },
    ),
    { numRuns: 100 },
  )
})
