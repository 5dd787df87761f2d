/**
 * Forecasts of real series of servers, minutes to a day ahead, against AutoETS, AutoTheta, Prophet and naive ones: error
 * and cost, all asked at the same moments, each knowing only what was before. Needs no lab; the peers come by
 * scripts/setup-bench, and without them ours is measured against the naive ones alone.
 */

import { existsSync } from 'node:fs'
import type { Bench } from './bench.ts'
import {
  type Cost,
  createOnline,
  type Forecast,
  type Forecasts,
  peersPython,
  peerValuesMaximum,
  startPeers,
} from './forecast/rivals.ts'
import { type EvenSeries, makeEven, readRealSeries, seriesFolder } from './forecast/series.ts'
import { plotRows } from './plot.ts'
import type { Series } from './result.ts'

const horizons = [1, 6, 12, 72, 240]
const originsPerSeries = 10
/** Before that everybody learns. */
const learnShare = 0.3

interface Errors {
  /** By horizon, of each series the mean. */
  readonly scaled: number[][]
  readonly symmetricPercent: number[][]
  readonly pinball: number[][]
}

export const forecast: Bench = {
  summary: 'error and cost of forecasts of real series, against AutoETS, AutoTheta, Prophet and naive ones',

  async run({ options, cleanup, tell }) {
    const all = readRealSeries()?.map(makeEven)
    if (all === undefined) throw new Error(`there are no series in ${seriesFolder}: name their folder by SLUICE_SERIES`)
    const origins = options.times ?? originsPerSeries
    const peers = existsSync(peersPython) ? startPeers() : null
    if (peers !== null) cleanup.defer('the peers', () => peers.close())
    const errors = new Map<string, Errors>()
    const costs = new Map<string, Cost>()
    let bytes = 0
    for (const series of all) {
      const scale = scaleOf(series)
      if (scale === 0) continue
      const online = createOnline(series, horizons)
      const asked: { readonly at: number; readonly forecasts: Forecasts }[] = []
      for (const at of chooseOrigins(series, origins)) {
        online.tell(at)
        const told = await peers?.ask(series.values.subarray(0, at), series.stepMs, horizons)
        for (const [name, seconds] of Object.entries(told?.seconds ?? {})) addCost(costs, name, seconds, 1)
        asked.push({ at, forecasts: { ...online.ask(), ...told?.forecasts } })
      }
      addCost(costs, 'ours, an observation', online.observing.seconds, online.observing.count)
      addCost(costs, 'ours', online.asking.seconds, online.asking.count)
      bytes = Math.max(bytes, online.bytes())
      addErrors(errors, series, scale, asked)
      tell(series.name)
    }
    return describeFindings(errors, costs, bytes, origins)
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `mean absolute error a step ahead to 240, of each series, over that of the last value in its first part; ${result.measuredAt.slice(0, 10)}`,
      unit: 'scaled error',
      isLogarithmic: true,
      rows: result.series
        .filter(({ unit }) => unit === 'scaled error')
        .map(({ name, samples, isFloor }) => ({ label: name, samples, isFloor: isFloor ?? false })),
    }),
}

/** The mean step of the part in which everybody learns: the same for all. */
function scaleOf({ values }: EvenSeries): number {
  const end = Math.floor(values.length * learnShare)
  let sum = 0
  for (let i = 1; i < end; i++) sum += Math.abs((values[i] ?? 0) - (values[i - 1] ?? 0))
  return sum / (end - 1)
}

function chooseOrigins({ values }: EvenSeries, count: number): readonly number[] {
  const from = Math.floor(values.length * learnShare)
  const to = values.length - Math.max(...horizons)
  // Not at the same time of each day.
  return Array.from({ length: count }, (_, i) => from + Math.floor(((i + 0.37) * (to - from)) / count))
}

function addCost(costs: Map<string, Cost>, name: string, seconds: number, count: number): void {
  const cost = costs.get(name) ?? { seconds: 0, count: 0 }
  costs.set(name, { seconds: cost.seconds + seconds, count: cost.count + count })
}

function addErrors(
  errors: Map<string, Errors>,
  { values }: EvenSeries,
  scale: number,
  asked: readonly { readonly at: number; readonly forecasts: Forecasts }[],
): void {
  const empty = (): number[][] => horizons.map(() => [])
  for (const name of Object.keys(asked[0]?.forecasts ?? {})) {
    const ofRival = errors.get(name) ?? { scaled: empty(), symmetricPercent: empty(), pinball: empty() }
    errors.set(name, ofRival)
    for (const [i, steps] of horizons.entries()) {
      const pairs = asked.map(({ at, forecasts }) => ({
        actual: values[at - 1 + steps] ?? 0,
        forecast: forecasts[name]?.[i] ?? { value: Number.NaN, low: Number.NaN, high: Number.NaN },
      }))
      const mean = (of: (actual: number, forecast: Forecast) => number) =>
        pairs.reduce((sum, { actual, forecast: one }) => sum + of(actual, one), 0) / pairs.length
      ofRival.scaled[i]?.push(mean((actual, { value }) => Math.abs(actual - value)) / scale)
      ofRival.symmetricPercent[i]?.push(
        100 * mean((actual, { value }) => (2 * Math.abs(actual - value)) / (Math.abs(actual) + Math.abs(value) || 1)),
      )
      ofRival.pinball[i]?.push(
        mean((actual, { low, high }) => (pinball(actual, low, 0.1) + pinball(actual, high, 0.9)) / 2) / scale,
      )
    }
  }
}

const pinball = (actual: number, bound: number, share: number) =>
  actual >= bound ? share * (actual - bound) : (1 - share) * (bound - actual)

const meanOf = (samples: readonly number[]) => samples.reduce((sum, one) => sum + one, 0) / samples.length
const geometricMean = (samples: readonly number[]) => Math.exp(meanOf(samples.map(Math.log)))

function describeFindings(errors: Map<string, Errors>, costs: Map<string, Cost>, bytes: number, origins: number) {
  const rivals = [...errors].flatMap(([name, { scaled, symmetricPercent, pinball: bounds }]) =>
    horizons.flatMap((steps, i): Series[] => {
      const isFloor = name !== 'ours'
      return [
        { name: `${name}, ${steps} ahead`, unit: 'scaled error', samples: scaled[i] ?? [], isFloor },
        { name: `${name}, ${steps} ahead, symmetric`, unit: '%', samples: symmetricPercent[i] ?? [], isFloor },
        { name: `${name}, ${steps} ahead, bounds`, unit: 'scaled pinball loss', samples: bounds[i] ?? [], isFloor },
      ]
    }),
  )
  const others = [...errors.keys()].filter((name) => name !== 'ours')
  /** Of one series after another, so that none counts more than another. */
  const ratio = (name: string, i: number) => {
    const pairs = (errors.get('ours')?.scaled[i] ?? []).map((own, j) => own / (errors.get(name)?.scaled[i]?.[j] ?? own))
    return geometricMean(pairs.filter((one) => one > 0 && Number.isFinite(one)))
  }
  return {
    title: 'Forecasts of real load',
    settings: { horizons, origins, learnShare, peerValuesMaximum },
    series: [
      ...rivals,
      ...[...costs].map(([name, { seconds, count }]) => ({
        name: `${name}: cost`,
        unit: 'µs',
        samples: [(1e6 * seconds) / count],
        isFloor: !name.startsWith('ours'),
      })),
      { name: 'ours: memory', unit: 'KiB', samples: [bytes / 1024] },
    ],
    ratios: others.flatMap((name) =>
      horizons.map((steps, i) => ({ name: `error to ${name}, ${steps} ahead`, value: ratio(name, i) })),
    ),
    aims: others.map((name) => {
      const measured = geometricMean(horizons.map((_, i) => ratio(name, i)))
      return { aim: `a smaller error than ${name}, over all horizons`, measured, unit: '×', met: measured < 1 }
    }),
    notes: [
      ...(others.includes('Prophet') ? [] : ['The peers in Python were not there: scripts/setup-bench installs them.']),
      `Peers are given the last ${peerValuesMaximum} values and are fitted anew each time; ours learns each value once, and what it costs is told of both.`,
      'AutoETS and AutoTheta are without a season: with one of 288 steps they take minutes a fit.',
    ],
  }
}
