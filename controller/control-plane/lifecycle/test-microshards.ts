/** The service of microshards over a directory in memory, whose operations nobody drives. Only tests use it. */

import { createMemoryDirectory } from '../directory/memory-directory.ts'
import type { StoreNode } from '../directory/nodes.ts'
import type { MicroshardDirectory } from '../microshard-directory.ts'
import type { ShardKey } from '../shard-key.ts'
import { dataTypeOfAction } from './action-data-type.ts'
import { createMicroshardsService, type MicroshardsService } from './microshards.ts'

export const testNode: StoreNode = { name: 'node-1', address: '127.0.0.1:4222', location: null, isAlive: true }

export function createTestMicroshards(
  options: {
    readonly directory?: MicroshardDirectory
    readonly nodes?: readonly StoreNode[]
    readonly writes?: ReadonlyMap<ShardKey, number>
    readonly objects?: ReadonlyMap<ShardKey, number>
  } = {},
): MicroshardsService & { readonly directory: ReturnType<typeof createMemoryDirectory> } {
  const directory = createMemoryDirectory(options.directory)
  const service = createMicroshardsService({
    directory,
    nodes: { list: async () => options.nodes ?? [testNode] },
    loads: { list: () => options.writes ?? new Map() },
    countByKey: () => options.objects ?? new Map(),
    measure: async () => new Map(),
    dataTypeOf: (action) => dataTypeOfAction(action, []),
    now: () => 0,
  })
  return { ...service, directory }
}
