/**
 * Real series of measures, from a folder that has numenta/NAB's files (`timestamp,value` rows). Reads the folder that
 * `SLUICE_SERIES` names, else `../shared/data/nab` beside the project.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs'

export interface Row {
  readonly atMs: number
  readonly value: number
}

export interface RealSeries {
  /** As labels name it: folder and file. */
  readonly name: string
  readonly rows: readonly Row[]
}

export interface EvenSeries {
  readonly name: string
  readonly beginMs: number
  readonly stepMs: number
  readonly values: Float64Array
}

export const seriesFolder =
  process.env.SLUICE_SERIES ?? new URL('../../../shared/data/nab', import.meta.url).pathname.replace(/\/$/, '')

/** Null where there is no such folder. */
export function readRealSeries(): readonly RealSeries[] | null {
  if (!existsSync(seriesFolder)) return null
  return ['realAWSCloudwatch', 'realKnownCause'].flatMap((group) =>
    readdirSync(`${seriesFolder}/${group}`)
      .filter((file) => file.endsWith('.csv'))
      .toSorted()
      .map((file) => readOne(`${group}/${file}`)),
  )
}

function readOne(name: string): RealSeries {
  const lines = readFileSync(`${seriesFolder}/${name}`, 'utf8').trim().split(/\r?\n/).slice(1)
  const rows = lines.map((line) => {
    const [stamp = '', value = ''] = line.split(',')
    return { atMs: Date.parse(`${stamp.replace(' ', 'T')}Z`), value: Number(value) }
  })
  return { name, rows }
}

/** Doubled stamps become their mean, and gaps what was before them, so that everybody can read it. */
export function makeEven({ name, rows }: RealSeries): EvenSeries {
  const apart = rows.slice(1).map(({ atMs }, i) => atMs - (rows[i]?.atMs ?? 0))
  const stepMs = apart.toSorted((a, b) => a - b)[apart.length >> 1] ?? 300_000
  const placeOf = (atMs: number) => Math.floor(atMs / stepMs)
  const stamps = rows.map(({ atMs }) => placeOf(atMs))
  const first = Math.min(...stamps)
  const length = Math.max(...stamps) - first + 1
  const sums = new Float64Array(length)
  const counts = new Float64Array(length)
  for (const { atMs, value } of rows) {
    const place = placeOf(atMs) - first
    sums[place] = (sums[place] ?? 0) + value
    counts[place] = (counts[place] ?? 0) + 1
  }
  const values = new Float64Array(length)
  for (let i = 0; i < length; i++) {
    const count = counts[i] ?? 0
    values[i] = count > 0 ? (sums[i] ?? 0) / count : (values[i - 1] ?? 0)
  }
  return { name, beginMs: first * stepMs, stepMs, values }
}
