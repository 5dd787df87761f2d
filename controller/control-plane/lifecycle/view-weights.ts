/** The weights of keys as callers see them. Pure. */

import type { KeyWeightsView } from '../../contract/microshard.ts'
import { type MicroshardDirectory, newestLayout } from '../microshard-directory.ts'
import type { ShardKey } from '../shard-key.ts'
import { listUnsharded, measureReshard } from './plan-reshard.ts'
import { suggestWeights } from './suggest-weights.ts'

type Counts = ReadonlyMap<ShardKey, number>

/** `writes` and `objects` by shard key; where nothing was written lately, objects are what is measured. */
export function viewWeights(directory: MicroshardDirectory, writes: Counts, objects: Counts): KeyWeightsView {
  const newest = newestLayout(directory)
  return {
    ...newest,
    isDryRun: false,
    status: listUnsharded(directory).length === 0 ? 'settled' : 'resharding',
    microshards: directory.microshards.length,
    remaining: measureReshard(directory, objects),
    suggestion: suggestWeights(writes.size > 0 ? writes : objects),
  }
}
