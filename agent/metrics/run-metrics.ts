/**
 * Runs the measuring of a host: a pass a tick, points to NATS, and what was dropped on the way into points and the report.
 * It touches nothing but what it is given.
 */

import { ownPlugins } from '../contract/point-names.ts'
import { type Point, pointIntervalSeconds } from '../contract/points.ts'
import { makeMeasure } from './make-measure.ts'
import type { Measure } from './measured-instance.ts'
import type { MetricsRoom } from './metrics-room.ts'
import type { PointCounts, PointSender } from './point-sender.ts'

export interface Metrics {
  /** What others have measured; it goes with the next pass. */
  collect(points: readonly Point[]): void
  stop(): Promise<void>
}

export interface MetricsOptions {
  readonly room: MetricsRoom
  readonly sender: PointSender
  /** Told the points of each pass, those of others among them. */
  readonly onPoints: (points: readonly Point[]) => void
  readonly log: (fields: Record<string, unknown>, message: string) => void
}

/** Of others, between two passes; who sends more has been refused series before. */
const collectedPointsMaximum = 200_000

export function runMetrics({ room, sender, onPoints, log }: MetricsOptions): Metrics {
  let collected: Point[] = []
  let passing: Promise<void> | undefined

  const pass = async () => {
    const points = [...(await room.measure()), ...collected]
    collected = []
    onPoints(points)
    sender.add(points)
    // The next pass doesn't wait for NATS.
    void sender.flush()
  }
  const timer = setInterval(() => {
    passing ??= pass()
      .catch((error: unknown) => {
        log({ error: String(error) }, 'BUG: the host could not be measured')
      })
      .finally(() => {
        passing = undefined
      })
  }, 1000 * pointIntervalSeconds)

  return {
    collect(points) {
      if (collected.length + points.length <= collectedPointsMaximum) collected.push(...points)
    },
    async stop() {
      clearInterval(timer)
      await passing
    },
  }
}

/** What became of points, as points. */
export const measureCounts = ({ sent, dropped, waiting }: PointCounts, series: number): Measure =>
  makeMeasure({ plugin: ownPlugins.agent }, 'agent_points', { sent, dropped, waiting, series })
