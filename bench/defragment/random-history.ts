/**
 * A pool as a random history leaves it: shards cut by best fit and given back, machines that come and go. Pure: the same
 * chance makes the same history.
 */

import { type Block, findBestFit, listFreeBlocks, prefixLengthOf, sizeOf } from '../../controller/address-space/cidr.ts'
import type { SpaceShard } from '../../controller/address-space/defragment/space-shard.ts'
import { addressesNeverGiven } from '../../controller/address-space/taken-bitmap.ts'
import type { Chance } from '../../test/simulation/random.ts'

export interface HistoryEnd {
  readonly area: Block
  readonly shards: readonly SpaceShard[]
  /** Of a block that is not free, though at least as much is free in all, in pool and shards. */
  readonly wantedAddresses: number
}

interface GrownShard {
  readonly id: string
  readonly block: Block
  readonly networkId: string
  holders: number
}

export const historySettings = {
  poolPrefixLength: 20,
  networks: 4,
  shardSizes: [16, 32, 64, 128, 256, 512],
  steps: 400,
  reservedShare: 0.03,
} as const

/** Null: this history has left room for everything. */
export function createRandomHistory(chance: Chance): HistoryEnd | null {
  const area = { first: 10 * 2 ** 24, prefixLength: historySettings.poolPrefixLength }
  let shards: GrownShard[] = []
  // First the networks grow, then they shrink: what is left lies scattered.
  for (let step = 0; step < historySettings.steps; step++) {
    const growth = step < historySettings.steps / 2 ? 0.75 : 0.42
    const networkId = `network-${chance.below(historySettings.networks)}`
    if (chance.happens(growth)) shards = grow(area, shards, networkId, chance)
    else shards = shrink(shards, networkId, chance)
  }
  const finished = shards.map((shard): SpaceShard => {
    const status = chance.happens(historySettings.reservedShare) ? 'reserved' : 'in-use'
    return { ...shard, status, freeAddresses: roomOf(shard) }
  })
  const wantedAddresses = chooseWanted(area, finished)
  return wantedAddresses === null ? null : { area, shards: finished, wantedAddresses }
}

const roomOf = ({ block, holders }: Pick<GrownShard, 'block' | 'holders'>) =>
  sizeOf(block) - addressesNeverGiven - holders

/** Some machines come; the network gets another shard when it has no room for them. */
function grow(area: Block, shards: readonly GrownShard[], networkId: string, chance: Chance): GrownShard[] {
  let coming = 1 + chance.below(40)
  const grown = [...shards]
  for (const shard of grown) {
    if (shard.networkId !== networkId) continue
    const taken = Math.min(coming, roomOf(shard))
    shard.holders += taken
    coming -= taken
  }
  if (coming === 0) return grown
  const sizeAddresses = chance.pick(historySettings.shardSizes) ?? 16
  const taken = grown.map(({ block }) => block)
  const block = findBestFit(area, taken, prefixLengthOf(sizeAddresses))
  if (block === null) return grown
  const holders = Math.min(coming, sizeAddresses - addressesNeverGiven)
  return [...grown, { id: `shard-${block.first}-${block.prefixLength}`, block, networkId, holders }]
}

/** Machines of one shard go; one that is empty is given back. */
function shrink(shards: readonly GrownShard[], networkId: string, chance: Chance): GrownShard[] {
  const shard = chance.pick(shards.filter((one) => one.networkId === networkId))
  if (shard === undefined) return [...shards]
  shard.holders -= Math.min(shard.holders, 1 + chance.below(16))
  return shards.filter((one) => one !== shard || one.holders > 0)
}

/** The smallest size of which there is no free block, if that much is free at all. */
function chooseWanted(area: Block, shards: readonly SpaceShard[]): number | null {
  const free = listFreeBlocks(
    area,
    shards.map(({ block }) => block),
  ).map(sizeOf)
  const wanted = 2 * Math.max(8, ...free)
  const inShards = shards.reduce((sum, { freeAddresses }) => sum + freeAddresses, 0)
  const inAll = free.reduce((sum, size) => sum + size, inShards)
  return wanted <= 2048 && inAll >= wanted ? wanted : null
}
