/**
 * The room of measures, open: it follows the stream of points into the head, writes blocks in turns, and answers. Touches
 * the bus by the streams of points and blocks.
 */

import type { NatsConnection } from '@nats-io/transport-node'
import { pointStream, pointSubjects } from '../../../agent/contract/points.ts'
import { watchConnection } from '../../control-plane/connection-watch.ts'
import { followStream } from '../../control-plane/follow-stream.ts'
import type { ControllerContext } from '../../services.ts'
import { openBlockStore } from './block-store.ts'
import { createHead } from './head.ts'
import { createMetricsKeeper, type MetricsKeeper } from './keep-metrics.ts'
import { createMetricsService, type MetricsService } from './metrics-service.ts'
import { ensurePointStream } from './points-stream.ts'
import { createSeriesLimit } from './series-limit.ts'

export interface MetricsRoom {
  readonly service: MetricsService
  /** Ends what is under way; what is in no block yet is read from the stream of points again. */
  close(): Promise<void>
}

export interface MetricsRoomOptions {
  readonly context: Pick<ControllerContext, 'store' | 'now' | 'logger'>
  /** Of the account in which the controller keeps what is its own, and of that in which hosts speak. */
  readonly connection: NatsConnection
  readonly hostsConnection: NatsConnection
  /** How many servers keep each stream. */
  readonly replicas?: number
  /** Whether it is this controller that writes blocks; by itself it is. */
  readonly isWriter?: () => boolean
}

const turnMilliseconds = 15_000

export async function openMetricsRoom(options: MetricsRoomOptions): Promise<MetricsRoom> {
  const { context, connection, hostsConnection, replicas = 1, isWriter = () => true } = options
  await ensurePointStream(hostsConnection, replicas)
  const blocks = await openBlockStore(connection, replicas)
  const head = createHead(createSeriesLimit())
  const keeper = await createMetricsKeeper({ blocks, head, now: context.now, logger: context.logger })
  const stopping = new AbortController()
  const caughtUp = Promise.withResolvers<void>()
  const following = followPoints(options, keeper, stopping.signal, caughtUp.resolve)
  const turning = keepTurning(async () => {
    if (!watchConnection(connection).isConnected()) return
    await (isWriter() ? keeper.flush() : keeper.follow())
  }, options)
  return {
    service: createMetricsService(context, { blocks, head, keeper, caughtUp: caughtUp.promise }),
    async close() {
      stopping.abort()
      await Promise.all([following, turning.close()])
    },
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

/** One turn at a time; the next one tries again what failed. */
function keepTurning(turn: () => Promise<void>, { context }: MetricsRoomOptions): { close(): Promise<void> } {
  let running: Promise<void> = Promise.resolve()
  let isRunning = false
  const timer = setInterval(() => {
    if (isRunning) return
    isRunning = true
    running = turn()
      .catch((cause: unknown) => context.logger.warn({ err: cause }, 'measures could not be written; tried again'))
      .finally(() => {
        isRunning = false
      })
  }, turnMilliseconds)
  return {
    async close() {
      clearInterval(timer)
      await running
    },
  }
}
