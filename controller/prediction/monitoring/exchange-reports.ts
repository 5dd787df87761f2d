/**
 * Tells the other controllers at the end of each window what was counted here, and takes in what they tell. What is lost on
 * the way is missing from a window, and from nothing else. Touches one subject of NATS.
 */

import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { sleep } from '../../control-plane/connection-watch.ts'
import type { MicroshardDirectory } from '../../control-plane/microshard-directory.ts'
import type { AccessCounts } from './access-counts.ts'
import {
  type AccessReport,
  accessReportSubject,
  microshardsPerReportMaximum,
  parseAccessReport,
  windowMilliseconds,
} from './access-report.ts'
import type { GatheredMeasures } from './gathered-measures.ts'

export interface ExchangeOptions {
  readonly connection: NatsConnection
  /** This controller's name, and where it is. */
  readonly controller: string
  readonly location: string | null
  readonly counts: Pick<AccessCounts, 'take'>
  readonly measures: Pick<GatheredMeasures, 'accept' | 'close'>
  readonly directory: () => MicroshardDirectory
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly logger: Pick<Logger, 'warn'>
}

export interface Exchange {
  /** Tells of the window that is over by now, and takes it in. */
  endWindow(): void
  close(): Promise<void>
}

/** `isDriven`: windows are ended by whoever calls, as where time is moved by hand. */
export function exchangeReports(options: ExchangeOptions, isDriven = false): Exchange {
  const { connection, controller, measures, now } = options
  const ending = new AbortController()
  const subscription = connection.subscribe(accessReportSubject, {
    callback: (error, message) => {
      const report = error === null ? parseAccessReport(message.string()) : null
      // What it tells itself it knows without the way over the bus.
      if (report !== null && report.controller !== controller) measures.accept(report)
    },
  })

  function endWindow(): void {
    // The counts are of the window that ended a moment ago: half a window is more than a timer is late.
    const window = Math.floor((now() - windowMilliseconds / 2) / windowMilliseconds)
    for (const report of makeReports(options, window)) {
      measures.accept(report)
      if (!connection.isClosed()) connection.publish(accessReportSubject, JSON.stringify(report))
    }
    measures.close(options.directory(), now())
  }

  async function run(): Promise<void> {
    while (!ending.signal.aborted) {
      await sleep(windowMilliseconds - (now() % windowMilliseconds), ending.signal)
      if (ending.signal.aborted) return
      try {
        endWindow()
      } catch (cause) {
        options.logger.warn({ err: cause }, 'what was accessed in a window could not be told')
      }
    }
  }

  const running = isDriven ? Promise.resolve() : run()
  return {
    endWindow,
    async close() {
      ending.abort()
      subscription.unsubscribe()
      await running
    },
  }
}

function makeReports({ counts, controller, location }: ExchangeOptions, window: number): readonly AccessReport[] {
  const { microshards, together } = counts.take()
  const parts = Math.max(1, Math.ceil(microshards.length / microshardsPerReportMaximum))
  return Array.from({ length: parts }, (_, i) => ({
    controller,
    location,
    window,
    microshards: microshards.slice(i * microshardsPerReportMaximum, (i + 1) * microshardsPerReportMaximum),
    together: i === 0 ? [...together] : [],
  }))
}
