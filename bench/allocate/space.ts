/** A project with a network of empty shards, written straight into a store, and what of it a controller sees. */

import { formatAddress, formatBlock } from '../../controller/address-space/cidr.ts'
import { createTakenBitmap, encodeBitmap } from '../../controller/address-space/taken-bitmap.ts'
import { createClientId, createId } from '../../controller/control-plane/shard-key.ts'
import { type Store, type Write, write } from '../../controller/control-plane/store.ts'
import { networkKind, poolKind, shardKind, shardOccupancyKind } from '../../controller/objects.ts'
import type { BenchSpace } from './messages.ts'

/** What a shard is when nobody says a size. */
export const shardAddresses = 1024
/** Of these, what can be held. */
export const shardCapacity = shardAddresses - 3

const prefixLength = 22
const firstAddress = 10 * 2 ** 24
/** A shard and its record are two of a transaction's writes. */
const shardsPerTransaction = 200
const waitMilliseconds = 30_000

export async function createSpace(store: Store, shards: number): Promise<BenchSpace> {
  const projectId = createClientId('prj', Date.now())
  const networkId = createId(networkKind.prefix, projectId, Date.now())
  const poolId = createId(poolKind.prefix, projectId, Date.now())
  const network = { name: 'bench', projectId, vni: 1, mtu: 1400 }
  await commit(store, [write({ kind: networkKind, id: networkId, expect: 'absent', value: network })])
  for (let i = 0; i < shards; i += shardsPerTransaction) {
    const numbers = Array.from({ length: Math.min(shardsPerTransaction, shards - i) }, (_, k) => i + k)
    await commit(
      store,
      numbers.flatMap((number) => describeShard({ number, projectId, poolId, networkId })),
    )
  }
  return { projectId, networkId, shards }
}

function describeShard(shard: {
  readonly number: number
  readonly projectId: string
  readonly poolId: string
  readonly networkId: string
}): readonly Write[] {
  const { number, ...owners } = shard
  // The number stands for the time, so that ids are in the order of the blocks.
  const id = createId(shardKind.prefix, shard.projectId, number)
  const block = { first: firstAddress + number * shardAddresses, prefixLength }
  const value = { name: formatAddress(block.first), cidr: formatBlock(block), reserved: false, ...owners }
  const takenBitmap = encodeBitmap(createTakenBitmap(block))
  return [
    write({ kind: shardKind, id, expect: 'absent', value }),
    write({
      kind: shardOccupancyKind,
      id,
      expect: 'absent',
      value: { takenBitmap, resourceCount: 0, lastAccessedAt: null },
    }),
  ]
}

async function commit(store: Store, writes: readonly Write[]): Promise<void> {
  const { outcome } = await store.transact({ writes })
  if (outcome !== 'committed') throw new Error(`a transaction on new objects was answered ${outcome}`)
}

/** Another controller has made it; memory follows. */
export async function awaitSpace(store: Store, { networkId, shards }: BenchSpace): Promise<void> {
  const isThere = () =>
    store.snapshot(networkKind, networkId).some(({ id }) => id === networkId) &&
    store.snapshot(shardOccupancyKind, networkId).length === shards
  const there = Promise.withResolvers<void>()
  const unsubscribe = store.subscribe(() => isThere() && there.resolve())
  const timer = setTimeout(
    () => there.reject(new Error(`the space was not seen in ${waitMilliseconds} ms`)),
    waitMilliseconds,
  )
  if (isThere()) there.resolve()
  await there.promise.finally(() => {
    unsubscribe()
    clearTimeout(timer)
  })
}
