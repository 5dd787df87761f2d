/**
 * The room of measures, open: it follows the stream of points into the head, writes blocks in turns, and answers. Touches
 * the bus by the streams of points and blocks.
 */

import { jetstream } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import {
  batchPointsMaximum,
  encodePoints,
  type Point,
  pointIntervalSeconds,
  pointStream,
  pointSubject,
  pointSubjects,
} from '../../../agent/contract/points.ts'
import { sleep, watchConnection } from '../../control-plane/connection-watch.ts'
import { followStream } from '../../control-plane/follow-stream.ts'
import type { ControllerContext } from '../../services.ts'
import { openBlockStore } from './block-store.ts'
import { createHead } from './head.ts'
import { createMetricsKeeper, type MetricsKeeper } from './keep-metrics.ts'
import { createMetricsService, type MetricsService } from './metrics-service.ts'
import { measureShards } from './own-points.ts'
import { ensurePointStream } from './points-stream.ts'
import { createSeriesLimit } from './series-limit.ts'
import { tellCulprits } from './tell-culprits.ts'

export interface MetricsRoom {
  readonly service: MetricsService
  /** Writes blocks, and measures what only a controller sees, until the signal aborts and the last turn has ended. */
  write(signal: AbortSignal): Promise<void>
  /** Ends what is under way; what is in no block yet is read from the stream of points again. */
  close(): Promise<void>
}

export interface MetricsRoomOptions {
  readonly context: Pick<ControllerContext, 'store' | 'now' | 'logger'>
  /** Of the account in which the controller keeps what is its own, and of that in which hosts speak. */
  readonly connection: NatsConnection
  readonly hostsConnection: NatsConnection
  readonly replicas: number
}

const turnMilliseconds = 15_000
const publishMilliseconds = 5000
/** Writing blocks takes a fifth of the controller's time at most: requests come between. */
const restFactor = 4
const restMillisecondsMaximum = 500

export async function openMetricsRoom(options: MetricsRoomOptions): Promise<MetricsRoom> {
  const { context, connection, hostsConnection, replicas } = options
  await ensurePointStream(hostsConnection, replicas)
  const blocks = await openBlockStore(connection, replicas)
  const limit = createSeriesLimit()
  const head = createHead(limit)
  const stopping = new AbortController()
  const rest = (milliseconds: number) =>
    sleep(Math.min(restFactor * milliseconds, restMillisecondsMaximum), stopping.signal)
  const keeper = await createMetricsKeeper({ blocks, head, now: context.now, logger: context.logger, rest })
  const caughtUp = Promise.withResolvers<void>()
  const following = followPoints(options, keeper, stopping.signal, caughtUp.resolve)
  let writers = 0
  const turning = keepTurning(options, stopping.signal, turnMilliseconds, async () => {
    if (writers === 0) await keeper.follow()
  })
  return {
    service: createMetricsService(context, { blocks, head, keeper, caughtUp: caughtUp.promise }),
    async write(signal) {
      writers++
      const flushing = keepTurning(options, signal, turnMilliseconds, async () => {
        await keeper.flush(() => !signal.aborted && watchConnection(connection).isConnected())
        await tellCulprits(context, limit.takeCulprits())
      })
      const measuring = keepTurning(options, signal, 1000 * pointIntervalSeconds, async () => {
        await publishPoints(hostsConnection, measureShards(context, context.now()))
      })
      await Promise.all([flushing, measuring])
      writers--
    },
    async close() {
      stopping.abort()
      await Promise.all([following, turning])
    },
  }
}

async function publishPoints(connection: NatsConnection, points: readonly Point[]): Promise<void> {
  const stream = jetstream(connection, { timeout: publishMilliseconds })
  for (let i = 0; i < points.length; i += batchPointsMaximum) {
    await stream.publish(pointSubject({ kind: 'controller' }), encodePoints(points.slice(i, i + batchPointsMaximum)))
  }
}

/** From where blocks end, for ever; a stream that was lost is read from its beginning. */
async function followPoints(
  { context, hostsConnection }: MetricsRoomOptions,
  keeper: MetricsKeeper,
  signal: AbortSignal,
  onCaughtUp: () => void,
): Promise<void> {
  while (!signal.aborted) {
    const time = new Date(keeper.replayFrom)
    try {
      for await (const item of followStream({
        connection: hostsConnection,
        stream: pointStream,
        filterSubject: pointSubjects,
        start: keeper.replayFrom === 0 ? { kind: 'sequence', sequence: 1 } : { kind: 'time', time },
        signal,
      })) {
        if (item.kind === 'message') keeper.take(item)
        if (item.kind === 'caughtUp') onCaughtUp()
      }
    } catch (trouble) {
      context.logger.warn({ err: trouble }, 'the stream of points was lost; it is read anew')
    }
  }
}

/** One turn at a time, while the bus is there, until the signal aborts; the next one tries again what failed. */
async function keepTurning(
  { context, connection }: MetricsRoomOptions,
  signal: AbortSignal,
  milliseconds: number,
  turn: () => Promise<void>,
): Promise<void> {
  const watch = watchConnection(connection)
  while (!signal.aborted) {
    await sleep(milliseconds, signal)
    if (signal.aborted || !watch.isConnected()) continue
    try {
      await turn()
    } catch (cause) {
      context.logger.warn({ err: cause }, 'a turn over measures failed; the next one tries it again')
    }
  }
}
