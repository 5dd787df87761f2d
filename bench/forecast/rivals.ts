/**
 * Who is compared: ours, the last value, that of a day before, and peers in Python. Each is told values one by one, in
 * their order, and asked between: nobody ever has what comes later. Runs the peers' process.
 */

import * as v from 'valibot'
import { createForecaster } from '../../controller/prediction/forecast/create-forecaster.ts'
import type { EvenSeries } from './series.ts'

export interface Forecast {
  readonly value: number
  readonly low: number
  readonly high: number
}

/** By rival, a forecast for each horizon. */
export type Forecasts = Readonly<Record<string, readonly Forecast[]>>

/** Values that a peer is given at most: it fits them all anew each time. */
export const peerValuesMaximum = 1000
const daySeconds = 86_400

export interface Cost {
  seconds: number
  count: number
}

/** Ours learns each value once; naive ones have bounds from how far off they were in the window. */
export function createOnline({ beginMs, stepMs, values }: EvenSeries, horizons: readonly number[]) {
  const horizonsMs = horizons.map((steps) => steps * stepMs)
  const forecaster = createForecaster({ stepMs, least: Number.NEGATIVE_INFINITY })
  const observing: Cost = { seconds: 0, count: 0 }
  const asking: Cost = { seconds: 0, count: 0 }
  let next = 0
  return {
    observing,
    asking,
    bytes: () => forecaster.save().byteLength,
    /** Tells the values before `until`. */
    tell(until: number) {
      const startedAt = performance.now()
      observing.count += until - next
      for (; next < until; next++) forecaster.observe({ atMs: beginMs + next * stepMs, value: values[next] ?? 0 })
      observing.seconds += (performance.now() - startedAt) / 1000
    },
    /** At the moment at which the last step is over. */
    ask(): Forecasts {
      const known = values.subarray(0, next)
      const startedAt = performance.now()
      const now = beginMs + next * stepMs
      const ours = horizonsMs.map((horizonMs) => forecaster.expect(now, horizonMs - stepMs))
      asking.seconds += (performance.now() - startedAt) / 1000
      asking.count += horizons.length
      const naive = horizons.map((steps) => forecastNaively(known, steps, 0))
      const dayBefore = horizons.map((steps) => forecastNaively(known, steps, Math.round((daySeconds * 1000) / stepMs)))
      return {
        ours: ours.map((expectation, i) => expectation ?? naive[i] ?? nothing),
        'last value': naive,
        'a day before': dayBefore,
      }
    },
  }
}

const nothing: Forecast = { value: 0, low: 0, high: 0 }

function forecastNaively(known: Float64Array, steps: number, season: number): Forecast {
  const back = season === 0 ? steps : Math.ceil(steps / season) * season
  const at = (place: number) => (season === 0 ? known[place] : known[place + steps - back]) ?? known[place] ?? 0
  const value = at(known.length - 1)
  const errors: number[] = []
  for (let place = Math.max(back, known.length - peerValuesMaximum); place + steps < known.length; place++) {
    errors.push((known[place + steps] ?? 0) - at(place))
  }
  errors.sort((a, b) => a - b)
  const quantile = (share: number) => errors[Math.floor(share * errors.length)] ?? 0
  return { value, low: value + quantile(0.1), high: value + quantile(0.9) }
}

const answerSchema = v.record(
  v.string(),
  v.object({ seconds: v.number(), value: v.array(v.number()), low: v.array(v.number()), high: v.array(v.number()) }),
)

export interface Peers {
  ask(
    known: Float64Array,
    stepMs: number,
    horizons: readonly number[],
  ): Promise<{ readonly forecasts: Forecasts; readonly seconds: Readonly<Record<string, number>> }>
  close(): Promise<void>
}

export const peersPython = new URL('../../dist/bench/python/bin/python', import.meta.url).pathname

export function startPeers(): Peers {
  const child = Bun.spawn([peersPython, '-u', new URL('peers.py', import.meta.url).pathname], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'ignore',
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  })
  const reader = child.stdout.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  async function readLine(): Promise<string> {
    for (;;) {
      const end = rest.indexOf('\n')
      if (end >= 0) {
        const line = rest.slice(0, end)
        rest = rest.slice(end + 1)
        return line
      }
      const { done, value } = await reader.read()
      if (done) throw new Error('the peers’ process ended: scripts/setup-bench installs what it needs')
      rest += decoder.decode(value)
    }
  }
  return {
    async ask(known, stepMs, horizons) {
      const values = [...known.subarray(-peerValuesMaximum)]
      child.stdin.write(`${JSON.stringify({ values, stepSeconds: stepMs / 1000, horizons })}\n`)
      await child.stdin.flush()
      const answers = Object.entries(v.parse(answerSchema, JSON.parse(await readLine())))
      return {
        forecasts: Object.fromEntries(
          answers.map(([name, { value, low, high }]) => [
            name,
            value.map((one, i) => ({ value: one, low: low[i] ?? one, high: high[i] ?? one })),
          ]),
        ),
        seconds: Object.fromEntries(answers.map(([name, { seconds }]) => [name, seconds])),
      }
    },
    async close() {
      await child.stdin.end()
      await child.exited
    },
  }
}
