import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { AddressPolicy } from '../contract/address-space.ts'
import type { Outcome } from '../contract/problem.ts'
import { addressKind, type ShardValue } from '../objects.ts'
import { addressOf } from './cidr.ts'
import { allocateForMove } from './test-moves.ts'
import { openTestSpace, type TestSpace } from './test-space.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

function unwrap<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(outcome.problem.detail)
  return outcome.value
}
const problemOf = (outcome: Outcome<unknown>) => (outcome.ok ? null : outcome.problem)

const migrating = (value: ShardValue): ShardValue => ({ ...value, migrationId: 'mig_1' })
const reserved = (value: ShardValue): ShardValue => ({ ...value, reserved: true })

async function takeAny(space: TestSpace, count: number): Promise<readonly string[]> {
  const taken: string[] = []
  for (let i = 0; i < count; i++) {
    const { networkId } = space
    taken.push(unwrap(await space.allocator.allocateAddress({ networkId, ownerId: space.newOwner() })).address)
  }
  return taken
}

describe('a migrating shard', () => {
  test('gives nothing, neither any nor a chosen address, and is named', async () => {
    const space = await openTestSpace(['10.0.0.0/28', '10.0.1.0/28'])
    const [first = ''] = space.shardIds
    await space.change(first, migrating)
    expect(await takeAny(space, 1)).toEqual(['10.0.1.2'])
    const chosen = { networkId: space.networkId, ownerId: space.newOwner(), address: '10.0.0.9' }
    const problem = problemOf(await space.allocator.allocateAddress(chosen))
    expect(problem).toMatchObject({ code: 'conflict', errors: [{ field: 'address' }] })
    expect(problem?.detail).toContain('10.0.0.9 is of the shard 10.0.0.0/28, whose holders are moving away')
  })

  test('alone in its network leaves no space, and is named', async () => {
    const space = await openTestSpace(['10.0.0.0/28'])
    await space.change(space.shardIds[0] ?? '', migrating)
    const outcome = await space.allocator.allocateAddress({ networkId: space.networkId, ownerId: space.newOwner() })
    expect(problemOf(outcome)).toMatchObject({ code: 'no-space' })
    expect(problemOf(outcome)?.detail).toContain('10.0.0.0/28 (migrating)')
  })

  test('is still what its holders are answered with', async () => {
    const space = await openTestSpace(['10.0.0.0/28', '10.0.1.0/28'])
    const { networkId } = space
    const ownerId = space.newOwner()
    const held = unwrap(await space.allocator.allocateAddress({ networkId, ownerId }))
    await space.change(held.shardId, migrating)
    expect(unwrap(await space.allocator.allocateAddress({ networkId, ownerId }))).toEqual(held)
    const chosen = { networkId, ownerId, address: held.address }
    expect(unwrap(await space.allocator.allocateAddress(chosen))).toEqual(held)
  })

  test('marked while somebody allocates from it has given that before, or not at all', async () => {
    const space = await openTestSpace(['10.0.0.0/28'])
    const { networkId } = space
    const asking = [1, 2, 3].map(() => space.allocator.allocateAddress({ networkId, ownerId: space.newOwner() }))
    await space.change(space.shardIds[0] ?? '', migrating)
    const given = (await Promise.all(asking)).filter(({ ok }) => ok).length
    expect(space.context.store.snapshot(addressKind).length).toBe(given)
    expect(space.occupancyOf(space.shardIds[0] ?? '').resourceCount).toBe(given)
  })
})

describe('for a move', () => {
  async function holdFirst(cidrs: readonly string[]) {
    const space = await openTestSpace(cidrs)
    const ownerId = space.newOwner()
    const held = unwrap(await space.allocator.allocateAddress({ networkId: space.networkId, ownerId }))
    const move = { networkId: space.networkId, ownerId, fromShardId: held.shardId }
    return { space, ownerId, held, move }
  }

  test('an owner is given one more address, out of another shard, and the same when it asks again', async () => {
    const { space, ownerId, held, move } = await holdFirst(['10.0.0.0/28', '10.0.1.0/28'])
    const given = unwrap(await allocateForMove(space, move))
    expect(given).toEqual({ address: '10.0.1.2', shardId: space.shardIds[1] ?? '' })
    expect(unwrap(await allocateForMove(space, move))).toEqual(given)
    const atOnce = await Promise.all([1, 2].map(() => allocateForMove(space, move)))
    expect(atOnce.map(unwrap)).toEqual([given, given])
    expect(space.allocator.heldBy(ownerId)).toEqual([held, given])
    expect(space.shardIds.map((id) => space.occupancyOf(id).resourceCount)).toEqual([1, 1])
  })

  test('shards that migrate or are reserved give none', async () => {
    const { space, move } = await holdFirst(['10.0.0.0/28', '10.0.1.0/28', '10.0.2.0/28', '10.0.3.0/28'])
    const [, second = '', third = ''] = space.shardIds
    await space.change(second, migrating)
    await space.change(third, reserved)
    expect(unwrap(await allocateForMove(space, move)).address).toBe('10.0.3.2')
  })

  test('without another shard there is no space', async () => {
    const { space, move } = await holdFirst(['10.0.0.0/28'])
    await space.change(move.fromShardId, migrating)
    const problem = problemOf(await allocateForMove(space, move))
    expect(problem?.code).toBe('no-space')
    expect(problem?.detail).toContain('10.0.0.0/28 (migrating)')
  })

  test('one of both can be given back alone', async () => {
    const { space, ownerId, held, move } = await holdFirst(['10.0.0.0/28', '10.0.1.0/28'])
    const given = unwrap(await allocateForMove(space, move))
    unwrap(await space.allocator.releaseAddresses(ownerId, [held.address]))
    expect(space.allocator.heldBy(ownerId)).toEqual([given])
    expect(space.shardIds.map((id) => space.occupancyOf(id).resourceCount)).toEqual([0, 1])
  })
})

describe('addresses are given', () => {
  const blocks = ['10.0.0.0/28', '10.0.1.0/28', '10.0.2.0/28']

  /** Two held in the second shard, one in the third. */
  async function openUneven(addressPolicy: AddressPolicy): Promise<TestSpace> {
    const space = await openTestSpace(blocks)
    for (const address of ['10.0.1.2', '10.0.1.3', '10.0.2.2']) {
      unwrap(await space.allocator.allocateAddress({ networkId: space.networkId, ownerId: space.newOwner(), address }))
    }
    await space.setPolicy(addressPolicy)
    return space
  }

  test('from the fullest shard where they are packed', async () => {
    const space = await openUneven({ allocationOrder: 'pack' })
    expect(await takeAny(space, 12)).toEqual([...Array.from({ length: 11 }, (_, i) => `10.0.1.${i + 4}`), '10.0.2.3'])
  })

  test('from the emptiest shard where they are spread', async () => {
    const space = await openUneven({ allocationOrder: 'spread' })
    expect(await takeAny(space, 5)).toEqual(['10.0.0.2', '10.0.0.3', '10.0.2.3', '10.0.0.4', '10.0.1.4'])
  })

  test('one after the other in sequence, and from the beginning after the last', async () => {
    const space = await openTestSpace(blocks.slice(0, 2))
    await space.setPolicy({ allocationOrder: 'sequential' })
    const ownerId = space.newOwner()
    unwrap(await space.allocator.allocateAddress({ networkId: space.networkId, ownerId }))
    unwrap(await space.allocator.releaseAddresses(ownerId))
    const taken = await takeAny(space, 26)
    expect(taken[0]).toBe('10.0.0.3')
    expect(taken[12]).toBe('10.0.1.2')
    expect(taken[25]).toBe('10.0.0.2')
    expect(new Set(taken).size).toBe(26)
  })

  test('at random from all shards, each once', async () => {
    const space = await openTestSpace(blocks)
    await space.setPolicy({ allocationOrder: 'random' })
    const taken = await takeAny(space, 39)
    expect(new Set(taken).size).toBe(39)
    expect(taken).not.toEqual(taken.toSorted((a, b) => addressOf(a) - addressOf(b)))
    const outcome = await space.allocator.allocateAddress({ networkId: space.networkId, ownerId: space.newOwner() })
    expect(problemOf(outcome)?.code).toBe('no-space')
  })
})

describe('an address in quarantine', () => {
  async function openQuarantined() {
    const space = await openTestSpace(['10.0.0.0/28'])
    await space.setPolicy({ quarantineSeconds: 60 })
    const ownerId = space.newOwner()
    unwrap(await space.allocator.allocateAddress({ networkId: space.networkId, ownerId }))
    unwrap(await space.allocator.releaseAddresses(ownerId))
    return { space, shardId: space.shardIds[0] ?? '' }
  }

  test('is not given until it is over, and is counted as held by nobody', async () => {
    const { space, shardId } = await openQuarantined()
    expect(space.occupancyOf(shardId)).toMatchObject({ resourceCount: 0, quarantined: [{ offset: 2 }] })
    expect(await takeAny(space, 1)).toEqual(['10.0.0.3'])
    space.context.advance(60_000)
    expect(await takeAny(space, 1)).toEqual(['10.0.0.2'])
    expect(space.occupancyOf(shardId).quarantined).toBeUndefined()
  })

  test('can be chosen', async () => {
    const { space, shardId } = await openQuarantined()
    const chosen = { networkId: space.networkId, ownerId: space.newOwner(), address: '10.0.0.2' }
    expect(unwrap(await space.allocator.allocateAddress(chosen)).address).toBe('10.0.0.2')
    expect(space.occupancyOf(shardId).quarantined).toBeUndefined()
  })

  test('is told of when there is nothing else', async () => {
    const { space } = await openQuarantined()
    await takeAny(space, 12)
    const outcome = await space.allocator.allocateAddress({ networkId: space.networkId, ownerId: space.newOwner() })
    expect(problemOf(outcome)?.detail).toContain('In quarantine: 1.')
  })
})

describe('an address that is kept', () => {
  const ask = (space: TestSpace, request: { readonly address?: string; readonly machineName?: string }) =>
    space.allocator.allocateAddress({ networkId: space.networkId, ownerId: space.newOwner(), ...request })

  test('in a reserved range is given only when it is chosen', async () => {
    const space = await openTestSpace(['10.0.0.0/28'])
    await space.setPolicy({ reservedRanges: [{ first: '10.0.0.0', last: '10.0.0.9' }] })
    expect(await takeAny(space, 5)).toEqual(['10.0.0.10', '10.0.0.11', '10.0.0.12', '10.0.0.13', '10.0.0.14'])
    const problem = problemOf(await ask(space, {}))
    expect(problem?.code).toBe('no-space')
    expect(problem?.detail).toContain('Kept by the address policy: 8.')
    expect(unwrap(await ask(space, { address: '10.0.0.4' })).address).toBe('10.0.0.4')
  })

  test('for a machine is given to that one, and to no other', async () => {
    const space = await openTestSpace(['10.0.0.0/28'])
    await space.setPolicy({ pinnedAddresses: [{ address: '10.0.0.2', machineName: 'web-1' }] })
    expect(unwrap(await ask(space, { machineName: 'web-2' })).address).toBe('10.0.0.3')
    const problem = problemOf(await ask(space, { machineName: 'web-2', address: '10.0.0.2' }))
    expect(problem).toMatchObject({ code: 'conflict', errors: [{ field: 'address' }] })
    expect(problem?.detail).toContain("10.0.0.2 is kept for the machine 'web-1'")
    expect(unwrap(await ask(space, { machineName: 'web-1' })).address).toBe('10.0.0.2')
  })

  test('for a machine and held by another is refused, and the holder is named', async () => {
    const space = await openTestSpace(['10.0.0.0/28'])
    await takeAny(space, 1)
    await space.setPolicy({ pinnedAddresses: [{ address: '10.0.0.2', machineName: 'web-1' }] })
    const problem = problemOf(await ask(space, { machineName: 'web-1' }))
    expect(problem?.code).toBe('in-use')
    expect(problem?.detail).toContain('10.0.0.2 is held by')
  })
})
