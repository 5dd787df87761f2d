/** Puts together what splits, merges and migrates microshards, for a store on JetStream. It connects to nothing itself. */

import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { listMicroshardStreams, measureMicroshards } from '../directory/microshard-streams.ts'
import type { StoreNodes } from '../directory/nodes.ts'
import type { JetStreamStore } from '../jetstream-store.ts'
import { streamName } from '../message.ts'
import { announceOperation, describeOperationEvent } from './announce-operation.ts'
import { createLifecycleStreams } from './jetstream-streams.ts'
import { keepPlacement, type PlacementOptions } from './keep-placement.ts'
import { keepWeights } from './keep-weights.ts'
import { createKeyLoads } from './key-loads.ts'
import { createMicroshardsService, type MicroshardsService } from './microshards.ts'
import { driveOperations } from './operations-loop.ts'
import { listEntries } from './view-directory.ts'

export interface Lifecycle {
  readonly service: MicroshardsService
  /** Drives operations until the signal aborts. */
  drive(signal: AbortSignal): Promise<void>
}

export interface LifecycleOptions {
  readonly store: JetStreamStore
  /** The microshards' first; then others whose streams lie on the same servers. */
  readonly connections: readonly [NatsConnection, ...NatsConnection[]]
  readonly replicas: number
  readonly nodes: StoreNodes
  readonly logger: Pick<Logger, 'warn'>
  readonly placement?: Pick<PlacementOptions, 'settleMilliseconds' | 'turnMilliseconds'>
  /** Which of a client's things an action touches. */
  readonly dataTypeOf: (action: string) => string
}

const followMilliseconds = 10_000

export function openLifecycle(options: LifecycleOptions): Lifecycle {
  const { store, replicas, logger, connections } = options
  const [connection] = connections
  const { directory } = store
  const loads = createKeyLoads(() => performance.now())
  store.subscribe((changes) => loads.note(changes))
  const streams = createLifecycleStreams({ connection, replicas })
  const service = createMicroshardsService({
    directory,
    nodes: options.nodes,
    loads,
    countByKey: () => store.table.countByKey(),
    measure: () => measureMicroshards(connection),
    dataTypeOf: options.dataTypeOf,
    now: Date.now,
  })

  /** Streams that no operation names any more: one who made or dropped them was cut off. */
  async function dropForgotten(): Promise<void> {
    const found = await listMicroshardStreams(connection)
    // Read afterwards: whatever is made now is named before it is there.
    const current = await directory.refresh()
    const { nextMicroshard, operations } = current
    const named = new Set(listEntries(current).map(({ id }) => streamName(id)))
    for (const id of operations.flatMap(({ discarded }) => discarded)) named.add(streamName(id))
    for (let number = 1; number < nextMicroshard; number++) {
      const id = String(number)
      if (found.has(streamName(id)) && !named.has(streamName(id))) await streams.drop(id)
    }
  }

  return {
    service,
    async drive(signal) {
      await dropForgotten().catch((trouble: unknown) =>
        logger.warn({ err: trouble }, 'streams that nobody needs are left; the next who drives tries again'),
      )
      const placing = keepPlacement(
        {
          ...options.placement,
          directory,
          connections,
          replicas,
          logger,
          nodes: options.nodes,
          move: (id, node) => service.moveMicroshard(id, node),
          now: () => performance.now(),
        },
        signal,
      )
      const weighing = keepWeights({ directory, logger, begin: (seed) => service.reshardNext(seed) }, signal)
      await driveOperations({
        directory,
        streams,
        logger,
        signal,
        now: Date.now,
        whenFollowed: async (starts) => void (await store.reach(starts, followMilliseconds)),
        announce: (operation, version) =>
          announceOperation(connection, describeOperationEvent(operation, version, Date.now())),
      })
      await Promise.all([placing, weighing])
    },
  }
}
