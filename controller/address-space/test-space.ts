/** A network's address space for tests of the allocator: shards written by hand into the store in memory. */

import { createTestContext, type TestContext } from '../access/test-context.ts'
import type { AddressPolicy } from '../contract/address-space.ts'
import type { MemoryStoreFault } from '../control-plane/memory-store.ts'
import { createClientId, createId } from '../control-plane/shard-key.ts'
import { type Write, write } from '../control-plane/store.ts'
import {
  machineKind,
  networkKind,
  type ShardOccupancyValue,
  type ShardValue,
  shardKind,
  shardOccupancyKind,
} from '../objects.ts'
import { type AddressAllocator, createAddressAllocator } from './allocator.ts'
import { createShardBitmap, encodeBitmap } from './taken-bitmap.ts'

export interface TestSpace {
  readonly context: TestContext
  readonly allocator: AddressAllocator
  readonly networkId: string
  /** In the order of the blocks. */
  readonly shardIds: readonly string[]
  newOwner(): string
  occupancyOf(shardId: string): ShardOccupancyValue
  /** Changes a shard with its record, as whoever marks one does. */
  change(shardId: string, apply: (value: ShardValue) => ShardValue): Promise<void>
  setPolicy(addressPolicy: AddressPolicy): Promise<void>
}

const attemptsMaximum = 50

/** `fault` befalls the allocators alone. */
export async function openTestSpace(
  cidrs: readonly string[],
  fault: () => MemoryStoreFault = () => 'none',
): Promise<TestSpace> {
  let isReady = false
  const context = createTestContext({ fault: () => (isReady ? fault() : 'none') })
  const { store } = context
  const projectId = createClientId('prj', context.now(), context.random)
  const newId = (prefix: string) => createId(prefix, projectId, context.now(), context.random)
  const networkId = newId(networkKind.prefix)
  const shardIds: string[] = []

  async function writeAll(describe: () => readonly Write[]): Promise<void> {
    for (let attempt = 0; attempt < attemptsMaximum; attempt++) {
      isReady = false
      const { outcome } = await store.transact({ writes: describe() })
      isReady = true
      if (outcome === 'committed') return
    }
    throw new Error('the space could not be written')
  }

  for (const cidr of cidrs) {
    const id = newId(shardKind.prefix)
    const takenBitmap = encodeBitmap(createShardBitmap(cidr))
    const shard = { name: cidr, projectId, poolId: newId('pol'), cidr, reserved: false, networkId }
    const occupancy = { takenBitmap, resourceCount: 0, lastAccessedAt: null }
    await writeAll(() => [
      write({ kind: shardKind, id, expect: 'absent', value: shard }),
      write({ kind: shardOccupancyKind, id, expect: 'absent', value: occupancy }),
    ])
    shardIds.push(id)
    context.advance(1)
  }
  isReady = true

  const findOccupancy = (shardId: string) => {
    const occupancy = store.snapshot(shardOccupancyKind).find(({ id }) => id === shardId)
    if (occupancy === undefined) throw new Error(`there is no record of ${shardId}`)
    return occupancy
  }
  return {
    context,
    allocator: createAddressAllocator(context),
    networkId,
    shardIds,
    newOwner: () => newId(machineKind.prefix),
    occupancyOf: (shardId) => findOccupancy(shardId).value,
    change: (shardId, apply) =>
      writeAll(() => {
        const shard = store.snapshot(shardKind).find(({ id }) => id === shardId)
        if (shard === undefined) throw new Error(`there is no shard ${shardId}`)
        const occupancy = findOccupancy(shardId)
        return [
          write({ kind: shardKind, id: shardId, expect: shard.version, value: apply(shard.value) }),
          write({ kind: shardOccupancyKind, id: shardId, expect: occupancy.version, value: occupancy.value }),
        ]
      }),
    setPolicy: (addressPolicy) =>
      writeAll(() => {
        const network = store.snapshot(networkKind).find(({ id }) => id === networkId)
        const value = { name: 'net', projectId, vni: 1, mtu: 1400, addressPolicy }
        return [write({ kind: networkKind, id: networkId, expect: network?.version ?? 'absent', value })]
      }),
  }
}
