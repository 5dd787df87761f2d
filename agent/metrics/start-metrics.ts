/**
 * Runs the measuring of a host: a pass a tick, what a collectd sends along with it, points to NATS, and what was dropped on
 * the way into points and the report. It touches nothing but through its parts.
 */

import type { AgentCollectdSettings } from '../contract/collectd/settings.ts'
import type { AgentSettings } from '../contract/enrolment.ts'
import type { PointsReport } from '../contract/host-report.ts'
import { ownPlugins } from '../contract/point-names.ts'
import { createPointSender, type PointMessage } from '../contract/point-sender.ts'
import { batchPointsMaximum, type Point, type PointOrigin, pointIntervalSeconds } from '../contract/points.ts'
import type { WholeAnswer } from '../haproxy/sample-load.ts'
import type { Room } from '../room.ts'
import { createClockGuard } from './clock-guard.ts'
import { type CollectdReceiver, measureIntake, startCollectdReceiver } from './collectd-receiver.ts'
import { makeMeasure } from './make-measure.ts'
import type { Measure } from './measured-instance.ts'
import { createMetricsRoom } from './metrics-room.ts'

export interface Metrics {
  /** Learns from each turn of the loop what is there. */
  readonly room: Room
  onTurn(milliseconds: number): void
  report(): PointsReport
  stop(): Promise<void>
}

export interface MetricsOptions {
  readonly settings: AgentSettings
  readonly collectd: AgentCollectdSettings | undefined
  readonly takeWholeAnswers: () => readonly WholeAnswer[]
  /** Rejects unless they are stored; undefined where nobody keeps points. */
  readonly sendPoints: ((message: PointMessage) => Promise<void>) | undefined
  readonly log: (fields: Record<string, unknown>, message: string) => void
}

export function startMetrics(options: MetricsOptions): Metrics {
  const { settings, log } = options
  const origin: PointOrigin = { kind: 'host', host: settings.host }
  let collected: Point[] = []
  let receiver: CollectdReceiver | undefined
  let explosion: PointsReport['explosion']
  let passing: Promise<void> | undefined
  let isStopped = false

  const sender = createPointSender({
    idPrefix: `${settings.host}.${crypto.randomUUID().slice(0, 8)}`,
    send: options.sendPoints ?? (() => Promise.resolve()),
    now: () => performance.now(),
    log,
  })
  const measurePoints = (): Measure[] => {
    const { sent, dropped, waiting } = sender.counts()
    const values = { sent, dropped, waiting, series: receiver?.intake.seriesCount() ?? 0 }
    const own = makeMeasure({ plugin: ownPlugins.agent }, 'agent_points', values)
    return receiver === undefined ? [own] : [own, ...measureIntake(receiver.intake)]
  }
  const room = createMetricsRoom({
    host: settings.host,
    runFolder: settings.runFolder,
    place: {
      devices: [...new Set([settings.uplinkDevice, settings.underlayDevice])],
      stateFolder: settings.stateFolder,
    },
    takeWholeAnswers: options.takeWholeAnswers,
    measurePoints,
    unixSeconds: () => Date.now() / 1000,
  })

  const guard = createClockGuard({
    unixSeconds: () => Date.now() / 1000,
    steadySeconds: () => performance.now() / 1000,
  })
  let wasAhead = true
  const leaveOutEarlier = (measured: readonly Point[]): readonly Point[] => {
    const isAhead = guard.isAhead()
    if (wasAhead && !isAhead) log({}, 'the clock was set back: what is measured is left out until it is where it was')
    wasAhead = isAhead
    return isAhead ? measured : []
  }

  const collect = (points: readonly Point[]) => {
    for (const point of points) collected.push(point)
    if (collected.length < batchPointsMaximum) return
    // A whole message at once: to pack many at a time would keep packets waiting for longer than a socket holds them.
    sender.add(origin, collected)
    collected = []
  }
  /** Somebody else may have the port now, and not later. */
  const listen = async () => {
    if (options.collectd === undefined || receiver !== undefined || isStopped) return
    try {
      receiver = await startCollectdReceiver({
        host: settings.host,
        settings: options.collectd,
        onPoints: collect,
        log,
      })
    } catch (error) {
      log({ error: String(error) }, 'no collectd can send to this agent now; trying again')
    }
  }
  const noticeExplosions = () => {
    for (const { series, culprit, culpritSeries } of receiver?.intake.takeExplosions() ?? []) {
      explosion = { at: new Date().toISOString(), series, culprit, culpritSeries }
      log({ error: `${culprit} has ${culpritSeries} of ${series}` }, 'a collectd has more series than it may')
    }
  }
  const pass = async () => {
    await listen()
    const measured = leaveOutEarlier(await room.measure())
    const points = [...measured, ...collected]
    collected = []
    noticeExplosions()
    receiver?.tell(measured)
    sender.add(origin, points)
    // The next pass doesn't wait for NATS.
    void sender.flush()
  }
  const takePass = () => {
    passing ??= pass()
      .catch((error: unknown) => {
        log({ error: String(error) }, 'BUG: the host could not be measured')
      })
      .finally(() => {
        passing = undefined
      })
  }
  const listening = listen()
  const timer = setInterval(takePass, 1000 * pointIntervalSeconds)

  return {
    room,
    onTurn: room.onTurn,
    report: () => ({
      ...sender.counts(),
      refused: { ...receiver?.intake.counts().drops },
      ...(explosion !== undefined && { explosion }),
    }),
    async stop() {
      isStopped = true
      clearInterval(timer)
      await listening
      await passing
      await receiver?.stop()
    },
  }
}
