/**
 * What load each balancer will have by the time that one more instance could serve: a forecaster for each, in memory, fed
 * with the requests that are measured of it. It says something only where its forecasts have been good; every controller
 * keeps its own, and one that begins reads what is kept.
 */

import { scalingMetrics } from '../../contract/scaling.ts'
import { createForecaster } from '../../prediction/forecast/create-forecaster.ts'
import {
  type Expectation,
  type Forecaster,
  isWorthUsing,
  type Observation,
} from '../../prediction/forecast/forecaster.ts'
import type { LoadLevels } from './decide-scaling.ts'

/** Of the requests a second of a whole balancer. */
export interface LoadForecast extends Expectation {
  /** Milliseconds since the epoch. */
  readonly atMs: number
  /** It has earned to count. */
  readonly isUsed: boolean
}

export interface ExpectedLoads {
  /** Requests a second of all its instances together. */
  observe(loadBalancerId: string, observation: Observation): void
  /** Null: nobody can say. Of what counts, and else of all, the greatest. */
  foresee(loadBalancerId: string, now: number): LoadForecast | null
  /** Forgets all but these. */
  keep(loadBalancerIds: ReadonlySet<string>): void
}

export const forecastStepMs = 300_000
/** An instance takes seconds to minutes until it serves, and a name's answer may be used for some more. */
const leadsMs = [0, forecastStepMs / 2, forecastStepMs]
/** No longer than that: half an hour without measures, and nothing is expected. */
const horizonsMs = [1, 2, 3, 6].map((steps) => steps * forecastStepMs)

export function createExpectedLoads(): ExpectedLoads {
  const forecasters = new Map<string, Forecaster>()
  return {
    observe(id, observation) {
      const forecaster = forecasters.get(id) ?? createForecaster({ stepMs: forecastStepMs, horizonsMs })
      forecasters.set(id, forecaster)
      forecaster.observe(observation)
    },
    foresee(id, now) {
      const forecasts = leadsMs.flatMap((leadMs): LoadForecast[] => {
        const expectation = forecasters.get(id)?.expect(now, leadMs)
        if (expectation === undefined) return []
        return [{ ...expectation, atMs: now + leadMs, isUsed: isWorthUsing(expectation) }]
      })
      const used = forecasts.filter(({ isUsed }) => isUsed)
      const [greatest = null] = (used.length > 0 ? used : forecasts).toSorted((a, b) => b.value - a.value)
      return greatest
    },
    keep(ids) {
      for (const id of [...forecasters.keys()]) if (!ids.has(id)) forecasters.delete(id)
    },
  }
}

/**
 * Connections and processors are expected to grow as requests do; latency need not. Undefined: no more is expected than
 * there is, or nobody can say.
 */
export function expectLevels(levels: LoadLevels, forecast: LoadForecast | null): LoadLevels | undefined {
  const { requestsPerSecond = 0 } = levels
  if (forecast === null || !forecast.isUsed || forecast.value <= requestsPerSecond) return undefined
  const growth = requestsPerSecond > 0 ? forecast.value / requestsPerSecond : 1
  return {
    ...Object.fromEntries(
      scalingMetrics.flatMap((metric) => {
        const level = levels[metric]
        return level === undefined || metric === 'latencyMilliseconds' ? [] : [[metric, level * growth]]
      }),
    ),
    requestsPerSecond: forecast.value,
  }
}
