/**
 * Feeds forecasts with the requests that are measured of each balancer that is scaled: once with what is kept of the last
 * weeks, then with each minute as it is over. So forecasts have no state of their own to keep: whoever begins knows what
 * the others know. Reads the store and the room of measures.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createOwnRequest } from '../../access/own-request.ts'
import { loadBalancerKind } from '../../objects.ts'
import type { MetricsService } from '../../observed/metrics/metrics-service.ts'
import type { ControllerContext } from '../../services.ts'
import { type ExpectedLoads, forecastStepMs } from './expected-loads.ts'

export interface MeasuresFollower {
  /** Reads what has come since the last turn; what can't be read is read by the next one. */
  turn(): Promise<void>
}

type FollowerContext = Pick<ControllerContext, 'store' | 'now' | 'random'>

const minuteMs = 60_000
const turnMs = minuteMs
/** Two weeks and a day: a week's rhythm is known once it was seen twice. */
const pastMs = 15 * 24 * 60 * minuteMs
/** Until hosts have told what was so in a minute. */
const settleMs = 20_000

export function createMeasuresFollower(
  context: FollowerContext,
  metrics: Pick<MetricsService, 'ask'>,
  expectedLoads: ExpectedLoads,
): MeasuresFollower {
  /** Of each balancer, milliseconds since the epoch. */
  const readUntil = new Map<string, number>()

  async function follow(id: string, now: number): Promise<void> {
    const known = readUntil.get(id)
    const stepMs = known === undefined ? forecastStepMs : minuteMs
    const from = known ?? floorTo(now - pastMs, stepMs)
    const to = floorTo(now - settleMs, stepMs)
    if (to <= from) return
    const range = { from: new Date(from).toISOString(), to: new Date(to).toISOString(), step: `${stepMs / 1000}s` }
    const request = createOwnRequest(context, `forecast ${id}`)
    const answer = await metrics.ask({ object: id, measure: 'requestsPerSecond', ...range }, request)
    if (!answer.ok) return
    for (const [i, value] of (answer.value.series[0]?.values ?? []).entries()) {
      if (value !== null) expectedLoads.observe(id, { atMs: from + i * stepMs, value })
    }
    readUntil.set(id, to)
  }

  return {
    async turn() {
      const ids = context.store
        .snapshot(loadBalancerKind)
        .flatMap(({ id, value }) => (value.autoScaling === false ? [] : [id]))
      expectedLoads.keep(new Set(ids))
      for (const id of readUntil.keys()) if (!ids.includes(id)) readUntil.delete(id)
      const now = context.now()
      for (const id of ids) await follow(id, now)
    },
  }
}

const floorTo = (atMs: number, stepMs: number) => Math.floor(atMs / stepMs) * stepMs

/** In every controller, as long as it runs: whichever decides next knows what the others know. */
export function keepFollowing(follower: MeasuresFollower, logger: Pick<Logger, 'warn'>) {
  const stopping = new AbortController()
  const { signal } = stopping
  const following = (async () => {
    while (!signal.aborted) {
      try {
        await follower.turn()
      } catch (cause) {
        logger.warn({ err: cause }, 'forecasts wait for measures')
      }
      await sleep(turnMs, undefined, { signal }).catch(() => {})
    }
  })()
  return {
    async close() {
      stopping.abort()
      await following
    },
  }
}
