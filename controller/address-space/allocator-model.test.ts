import { expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { type AddressPolicy, allocationOrders } from '../contract/address-space.ts'
import type { MemoryStoreFault } from '../control-plane/memory-store.ts'
import { createId, createNamedId } from '../control-plane/shard-key.ts'
import { addressKind, externalOwnerPrefix, instanceKind, isExternalOwner, machineKind, shardKind } from '../objects.ts'
import { createAddressAllocator } from './allocator.ts'
import { isOpen } from './allocator-space.ts'
import { addressOf, blockOf, formatAddress } from './cidr.ts'
import { countTaken, decodeBitmap, isTaken } from './taken-bitmap.ts'
import { allocateForMove } from './test-moves.ts'
import { openTestSpace, type TestSpace } from './test-space.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

const policyArbitrary = fc
  .record({
    allocationOrder: fc.constantFrom(undefined, ...allocationOrders),
    quarantineSeconds: fc.constantFrom(0, 0, 50),
    hasRange: fc.boolean(),
    hasPins: fc.boolean(),
  })
  .map(
    ({ allocationOrder, quarantineSeconds, hasRange, hasPins }): AddressPolicy => ({
      ...(allocationOrder !== undefined && { allocationOrder }),
      quarantineSeconds,
      ...(hasRange && { reservedRanges: [{ first: '10.0.0.12', last: '10.0.0.21' }] }),
      ...(hasPins && {
        pinnedAddresses: [
          { address: '10.0.0.3', machineName: 'm0' },
          { address: '10.0.0.40', machineName: 'm2' },
        ],
      }),
    }),
  )
const requestArbitrary = fc.record({
  kind: fc.constantFrom('any', 'any', 'chosen', 'move', 'many', 'release', 'releaseOne'),
  allocator: fc.nat(2),
  owner: fc.nat(15),
  number: fc.nat(47),
})
const roundArbitrary = fc.record({
  policy: fc.option(policyArbitrary),
  marks: fc.option(
    fc.array(fc.constantFrom('none', 'none', 'migrating', 'reserved', 'gone'), { minLength: 3, maxLength: 3 }),
  ),
  advanceSeconds: fc.constantFrom(0, 1, 60),
  requests: fc.array(requestArbitrary, { maxLength: 12 }),
})
const faultArbitrary = fc.constantFrom<MemoryStoreFault>('none', 'none', 'none', 'lostAckStored', 'lostAckDropped')
const base = addressOf('10.0.0.0')

/** What is true of the space before a round, by which everything given in it is judged. */
function look(space: TestSpace, policy: AddressPolicy) {
  const { store, now } = space.context
  const shards = store.snapshot(shardKind)
  const holders = new Map(store.snapshot(addressKind).map(({ value }) => [value.address, value.ownerId]))
  const gone = shards.filter(({ value }) => value.networkId === null).map(({ id }) => id)
  const quarantined = shards.flatMap(({ id, value }) =>
    (space.occupancyOf(id).quarantined ?? [])
      .filter(({ until }) => Date.parse(until) > now())
      .map(({ offset }) => formatAddress(blockOf(value.cidr).first + offset)),
  )
  const ranges = policy.reservedRanges ?? []
  const isReserved = (address: string) =>
    ranges.some(({ first, last }) => addressOf(first) <= addressOf(address) && addressOf(address) <= addressOf(last))
  return { holders, gone: new Set(gone), quarantined: new Set(quarantined), isReserved }
}

function checkRecords(space: TestSpace): void {
  const held = space.context.store.snapshot(addressKind)
  expect(new Set(held.map(({ value }) => value.address)).size).toBe(held.length)
  for (const { id, value } of space.context.store.snapshot(shardKind)) {
    const own = held.filter((address) => address.value.shardId === id)
    const { takenBitmap, resourceCount, externalCount = 0, quarantined = [] } = space.occupancyOf(id)
    const bitmap = decodeBitmap(takenBitmap)
    const offsets = [
      ...own.map((address) => addressOf(address.value.address) - blockOf(value.cidr).first),
      ...quarantined.map(({ offset }) => offset),
    ]
    expect(resourceCount).toBe(own.length)
    expect(externalCount).toBe(own.filter((address) => isExternalOwner(address.value.ownerId)).length)
    expect(new Set(offsets).size).toBe(offsets.length)
    expect(offsets.every((offset) => isTaken(bitmap, offset))).toBe(true)
    expect(countTaken(bitmap)).toBe(offsets.length + 3)
  }
}

/** As whoever starts a migration, reserves a shard, takes it from its network, or puts all of that right. */
const markShard = (space: TestSpace, index: number, mark: string) =>
  space.change(space.shardIds[index] ?? '', ({ migrationId: _, ...value }) => ({
    ...value,
    reserved: mark === 'reserved',
    networkId: mark === 'gone' ? null : space.networkId,
    ...(mark === 'migrating' && { migrationId: 'mig_1' }),
  }))

interface Request {
  readonly kind: string
  readonly owner: number
  readonly ownerId: string
  readonly number: number
}

async function ask(space: TestSpace, allocator: TestSpace['allocator'], request: Request): Promise<void> {
  const { networkId, shardIds } = space
  const { kind, owner, ownerId, number } = request
  const fromShardId = shardIds[number % shardIds.length] ?? ''
  const machineName = owner % 2 === 0 ? { machineName: `m${owner}` } : {}
  switch (kind) {
    case 'any':
      await allocator.allocateAddress({ networkId, ownerId, ...machineName })
      return
    case 'chosen':
      await allocator.allocateAddress({ networkId, ownerId, ...machineName, address: formatAddress(base + number) })
      return
    case 'move': {
      const outcome = await allocateForMove(space, { networkId, ownerId, fromShardId })
      if (outcome.ok) expect(outcome.value.shardId).not.toBe(fromShardId)
      return
    }
    case 'many': {
      const owners = Array.from({ length: 1 + (number % 6) }, (_, i) => ({
        ownerId: createNamedId(externalOwnerPrefix, networkId, ownerId, String(i)),
        holder: ownerId,
      }))
      const countHolders = () => {
        const held = new Set(space.context.store.snapshot(addressKind).map(({ value }) => value.ownerId))
        return owners.filter((one) => held.has(one.ownerId)).length
      }
      const before = countHolders()
      const outcome = await allocator.allocateAddresses({ networkId, owners })
      expect(countHolders()).toBe(outcome.ok ? owners.length : before)
      if (outcome.ok && number % 2 === 0) {
        for (const one of owners) await allocator.releaseAddresses(one.ownerId)
      }
      return
    }
    case 'releaseOne':
      await allocator.releaseAddresses(
        ownerId,
        allocator
          .heldBy(ownerId)
          .slice(0, 1)
          .map(({ address }) => address),
      )
      return
    default:
      await allocator.releaseAddresses(ownerId)
  }
}

test('whatever is asked of racing allocators, nothing is given twice, nor what a policy or a mark withholds', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(roundArbitrary, { maxLength: 10 }),
      fc.infiniteStream(faultArbitrary),
      async (rounds, faults) => {
        const space = await openTestSpace(
          ['10.0.0.0/28', '10.0.0.16/28', '10.0.0.32/28'],
          () => faults.next().value ?? 'none',
        )
        const { context } = space
        const allocators = [space.allocator, createAddressAllocator(context), createAddressAllocator(context)]
        const owners = Array.from({ length: 16 }, (_, i) => {
          const { prefix } = i % 2 === 0 ? machineKind : instanceKind
          return createId(prefix, space.networkId, context.now() + i, context.random)
        })
        let policy: AddressPolicy = {}
        for (const round of rounds) {
          policy = round.policy ?? policy
          await space.setPolicy(policy)
          context.advance(round.advanceSeconds * 1000)
          const before = look(space, policy)
          // Two allocators that act for one owner at once may each give it an address; the sweep takes one back.
          const requests = new Map(
            round.requests.map((one) => [one.owner, { ...one, ownerId: owners[one.owner] ?? '' }]),
          )
          await Promise.all([
            ...[...requests.values()].map((one) => ask(space, allocators[one.allocator] ?? space.allocator, one)),
            ...(round.marks ?? []).map((mark, i) => markShard(space, i, mark)),
          ])
          await new Promise((resolve) => setImmediate(resolve))
          checkRecords(space)
          const shards = new Map(context.store.snapshot(shardKind).map((shard) => [shard.id, shard]))
          for (const { value, revision } of context.store.snapshot(addressKind)) {
            const { address, ownerId, shardId } = value
            const formerHolder = before.holders.get(address)
            if (formerHolder === ownerId) continue
            const request = requests.get(owners.indexOf(ownerId))
            const isChosen = request?.kind === 'chosen' && formatAddress(base + request.number) === address
            const pin = policy.pinnedAddresses?.find((one) => one.address === address)
            const isPinned = pin !== undefined && `m${request?.owner}` === pin.machineName
            const shard = shards.get(shardId)
            const isShut = shard === undefined || !isOpen(shard.value) || shard.value.networkId === null
            // In the order in which the store has them: before it was marked, or not at all.
            if (isShut) expect(revision.sequence).toBeLessThan(shard?.revision.sequence ?? 0)
            expect(pin === undefined || isPinned).toBe(true)
            if (isChosen || isPinned) continue
            expect(before.quarantined.has(address)).toBe(false)
            expect(before.isReserved(address)).toBe(false)
            const isQuarantining = (policy.quarantineSeconds ?? 0) > 0 && !before.gone.has(shardId)
            expect(formerHolder !== undefined && isQuarantining).toBe(false)
          }
        }
        for (const allocator of allocators) allocator.close()
      },
    ),
    { numRuns: 150 },
  )
})
