/** How much room the holders of a shard need, and what is printed before they move. Pure. */

import { type Shard, type ShardCreate, shardSizes } from '../../controller/contract/address-space.ts'
import type { MigrationPlan } from '../../controller/contract/migration.ts'

/** Never given to anyone: the network's own, the gateway's, the broadcast address. */
const addressesNeverGiven = 3
const movesShown = 10

/** The smallest shard of the same pool and network that takes all holders of this one by itself. */
export function planRoom(shard: Pick<Shard, 'poolId' | 'networkId' | 'resourceCount'>): ShardCreate {
  const { poolId, networkId, resourceCount } = shard
  const sizeAddresses = shardSizes.find((size) => size - addressesNeverGiven >= resourceCount)
  if (networkId === null) throw new Error('the shard is on no network: nobody holds an address of it')
  if (sizeAddresses === undefined) throw new Error(`${resourceCount} holders are more than one shard takes`)
  return { poolId, networkId, sizeAddresses }
}

export function describePlannedMoves({ moves, secondsMaximum }: MigrationPlan): string {
  const shown = moves.slice(0, movesShown).map(({ name, from, to, breaksConnections }) => {
    const note = breaksConnections ? '  (its connections break)' : ''
    return `  ${name}  ${from} → ${to}${note}`
  })
  const more = moves.length > movesShown ? [`  and ${moves.length - movesShown} more`] : []
  return [`${moves.length} move, in at most ${secondsMaximum} s`, ...shown, ...more].join('\n')
}
