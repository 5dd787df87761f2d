/** The labelled series, and what NAB publishes of them. Reads the folder of series, and the figures beside it. */

import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { type RealSeries, readRealSeries, seriesFolder } from '../forecast/series.ts'
import type { ScoredFile, Weights } from './nab-score.ts'
import published from './published.json' with { type: 'json' }

export const publishedNames = ['windowedGaussian', 'relativeEntropy', 'htm'] as const
export type PublishedName = (typeof publishedNames)[number]

export interface LabelledSeries extends RealSeries {
  readonly windows: ScoredFile['windows']
  /** Raw scores under the standard profile. */
  readonly published: Readonly<Record<PublishedName, number>>
}

const labelsSchema = v.record(v.string(), v.array(v.tuple([v.string(), v.string()])))
const weightsSchema = v.object({ tpWeight: v.number(), fnWeight: v.number(), fpWeight: v.number() })
const profilesSchema = v.record(v.string(), v.object({ CostMatrix: weightsSchema }))
const publishedSchema = v.record(
  v.string(),
  v.object({ windowedGaussian: v.number(), relativeEntropy: v.number(), htm: v.number() }),
)

const readJson = (path: string): unknown => JSON.parse(readFileSync(`${seriesFolder}/${path}`, 'utf8'))

/** Null where there are no series. */
export function readLabelledSeries(): readonly LabelledSeries[] | null {
  const all = readRealSeries()
  if (all === null) return null
  const labels = v.parse(labelsSchema, readJson('labels/combined_windows.json'))
  const scores = v.parse(publishedSchema, published.scores)
  return all.flatMap((series) => {
    const own = scores[series.name]
    const windows = labels[series.name]
    if (own === undefined || windows === undefined) return []
    return [
      { ...series, published: own, windows: windows.map(([from, to]) => [parseStamp(from), parseStamp(to)] as const) },
    ]
  })
}

const parseStamp = (text: string) => Date.parse(`${text.slice(0, 19).replace(' ', 'T')}Z`)

export function readProfiles(): Readonly<Record<string, Weights>> {
  const profiles = v.parse(profilesSchema, readJson('profiles.json'))
  return Object.fromEntries(Object.entries(profiles).map(([name, { CostMatrix }]) => [name, CostMatrix]))
}
