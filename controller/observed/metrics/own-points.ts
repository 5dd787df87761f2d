/** What the controller itself measures of objects, as points: how full shards are. Reads the store. */

import { ownPlugins, shardName } from '../../../agent/contract/point-names.ts'
import { type Point, pointIntervalSeconds } from '../../../agent/contract/points.ts'
import { sizeOfCidr } from '../../address-space/cidr.ts'
import { shardKind, shardOccupancyKind } from '../../objects.ts'
import type { ControllerContext } from '../../services.ts'

/** Of each shard that is on a network. `now`: milliseconds since the epoch. */
export function measureShards({ store }: Pick<ControllerContext, 'store'>, now: number): Point[] {
  const taken = new Map(store.snapshot(shardOccupancyKind).map(({ id, value }) => [id, value.resourceCount]))
  const timeSeconds = Math.floor(now / 1000)
  return store.snapshot(shardKind).flatMap(({ id, value: { projectId, networkId, cidr } }): Point[] => {
    if (networkId === null) return []
    return [
      {
        host: 'controller',
        plugin: ownPlugins.shard,
        pluginInstance: shardName({ projectId, networkId, shardId: id }),
        type: 'shard_addresses',
        typeInstance: '',
        timeSeconds,
        intervalSeconds: pointIntervalSeconds,
        values: [sizeOfCidr(cidr), taken.get(id) ?? 0],
      },
    ]
  })
}
