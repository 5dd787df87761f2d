/**
 * Anomalies by the scoring rules of the Numenta Anomaly Benchmark, on its labelled series of servers: ours, and two of its
 * detectors made anew, each with the threshold that is best on every second file, on the others; and what NAB publishes of
 * these files. The scorer is checked against relative entropy's published score of each file. Needs no lab.
 */

import { createAnomalyDetector } from '../controller/prediction/anomalies/create-anomaly-detector.ts'
import { type LabelledSeries, publishedNames, readLabelledSeries, readProfiles } from './anomalies/files.ts'
import { findThreshold, normalize, type ScoredFile, scoreFile, type Weights } from './anomalies/nab-score.ts'
import { type Detector, relativeEntropy, windowedGaussian } from './anomalies/peers.ts'
import type { Bench } from './bench.ts'
import { seriesFolder } from './forecast/series.ts'
import { plotRows } from './plot.ts'

const detectors: Readonly<Record<string, Detector>> = {
  ours: (values) => {
    const detector = createAnomalyDetector()
    return values.map((value, row) => detector.observe({ atMs: row, value }).score)
  },
  'windowed Gaussian': windowedGaussian,
  'relative entropy': relativeEntropy,
}

interface Scored {
  readonly name: string
  readonly threshold: number
  /** On the files that it was chosen on, on the others, and on all: 0 to 100. */
  readonly tuned: number
  readonly reported: number
  readonly all: number
  readonly microsecondsPerReading: number
}

export const anomalies: Bench = {
  summary: 'anomalies on labelled real series by NAB’s rules, tuned on one half and reported on the other',

  async run({ tell }) {
    const series = readLabelledSeries()
    if (series === null) throw new Error(`there are no series in ${seriesFolder}: name their folder by SLUICE_SERIES`)
    const profiles = readProfiles()
    const results = Object.entries(profiles).map(([profile, weights]) => {
      const scored = Object.entries(detectors).map(([name, detector]) => scoreDetector(name, detector, series, weights))
      for (const one of scored) tell(`${profile}: ${describe(one)}`)
      return { profile, scored }
    })
    const standard = results.find(({ profile }) => profile === 'standard')?.scored ?? []
    const weights = profiles.standard
    if (weights === undefined) throw new Error(`${seriesFolder}/profiles.json has no standard profile`)
    const published = publishedNames.map((name) => ({ name, ...scorePublished(series, weights, name) }))
    const [ours] = standard
    const htm = published.find(({ name }) => name === 'htm')
    const checked = checkScorer(series, weights)
    if (ours === undefined || htm === undefined) throw new Error('BUG: a detector has no score')
    return {
      title: 'Anomalies by NAB’s rules',
      settings: { files: series.length, windows: countWindows(series), halves: 'every second file, by name' },
      series: [
        ...standard.flatMap(({ name, reported, tuned, microsecondsPerReading }) => [
          { name: `${name}, reported half`, unit: 'NAB score', samples: [reported], isFloor: name !== 'ours' },
          { name: `${name}, tuned half`, unit: 'NAB score', samples: [tuned], isFloor: name !== 'ours' },
          { name: `${name}, a reading`, unit: 'µs', samples: [microsecondsPerReading], isFloor: name !== 'ours' },
        ]),
        ...published.map(({ name, reported }) => ({
          name: `${name} as published, reported half`,
          unit: 'NAB score',
          samples: [reported],
          isFloor: true,
        })),
      ],
      ratios: [{ name: 'the scorer’s greatest difference from what is published of a file', value: checked }],
      aims: [
        ...standard.slice(1).map(({ name, reported }) => ({
          aim: `above ${name}, by ${reported.toFixed(1)}`,
          measured: ours.reported,
          unit: 'NAB score',
          met: ours.reported > reported,
        })),
        {
          aim: `above HTM as published, by ${htm.reported.toFixed(1)}`,
          measured: ours.reported,
          unit: 'NAB score',
          met: ours.reported > htm.reported,
        },
      ],
      notes: [
        'HTM’s figures are its authors’ own, with the threshold that is best on all 58 files of NAB, these among them; ours and the peers’ thresholds were chosen on the other half alone.',
        'The windowed Gaussian made anew is not the published one to the last digit: its threshold is where a double rounds to 1.',
      ],
      details: { results, published },
    }
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `on the half that nothing was tuned on; 0 is no detection at all, 100 each anomaly told at once; ${result.measuredAt.slice(0, 10)}`,
      unit: 'NAB score',
      rows: result.series
        .filter(({ name }) => name.endsWith('reported half'))
        .map(({ name, samples, isFloor }) => ({
          label: name.replace(', reported half', ''),
          samples,
          isFloor: isFloor ?? false,
        })),
    }),
}

const describe = ({ name, tuned, reported, all }: Scored) =>
  `${name} ${reported.toFixed(1)} (${tuned.toFixed(1)} where it was tuned, ${all.toFixed(1)} on all)`

const isTuned = (_: unknown, index: number) => index % 2 === 0
const isReported = (_: unknown, index: number) => index % 2 === 1
const countWindows = (files: readonly Pick<ScoredFile, 'windows'>[]) =>
  files.reduce((sum, { windows }) => sum + windows.length, 0)
const total = <Item>(items: readonly Item[], of: (item: Item) => number) =>
  items.reduce((sum, item) => sum + of(item), 0)

function scoreDetector(name: string, detector: Detector, series: readonly LabelledSeries[], weights: Weights): Scored {
  const startedAt = performance.now()
  const files = series.map((one) => judge(one, detector))
  const microseconds = 1000 * (performance.now() - startedAt)
  const { threshold } = findThreshold(files.filter(isTuned), weights)
  const scoreOf = (some: readonly ScoredFile[]) =>
    normalize(
      total(some, (file) => scoreFile(file, threshold, weights)),
      countWindows(some),
      weights,
    )
  return {
    name,
    threshold,
    tuned: scoreOf(files.filter(isTuned)),
    reported: scoreOf(files.filter(isReported)),
    all: scoreOf(files),
    microsecondsPerReading: microseconds / total(series, ({ rows }) => rows.length),
  }
}

const judge = ({ name, rows, windows }: LabelledSeries, detector: Detector): ScoredFile => ({
  name,
  windows,
  stampsMs: rows.map(({ atMs }) => atMs),
  scores: detector(Float64Array.from(rows, ({ value }) => value)),
})

function scorePublished(series: readonly LabelledSeries[], weights: Weights, name: (typeof publishedNames)[number]) {
  const scoreOf = (some: readonly LabelledSeries[]) =>
    normalize(
      total(some, ({ published }) => published[name]),
      countWindows(some),
      weights,
    )
  return { tuned: scoreOf(series.filter(isTuned)), reported: scoreOf(series.filter(isReported)), all: scoreOf(series) }
}

/** Relative entropy tells nothing but yes and no, so its published scores are those of any right scorer. */
function checkScorer(series: readonly LabelledSeries[], weights: Weights): number {
  const differences = series.map((one) =>
    Math.abs(scoreFile(judge(one, relativeEntropy), 0.5, weights) - one.published.relativeEntropy),
  )
  return Math.max(...differences)
}
