/** What a query asks for, as times, steps and measures; or why nothing can be said to it. Pure. */

import { refuseField } from '../../access/problems.ts'
import {
  type MetricsQuery,
  measures,
  measuresOfQuestionMaximum,
  stepSecondsMinimum,
  stepsMaximum,
} from '../../contract/metrics.ts'
import { type Outcome, succeed } from '../../contract/problem.ts'
import { type Selection, type Subject, selectSeries } from './select-series.ts'
import type { StepRange } from './steps.ts'
import { chooseTier, type Tier, tiers } from './tiers.ts'

export interface AskedRange extends StepRange {
  readonly tier: Tier
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }
const rangeSecondsDefault = 3600
/** Steps that are chosen for whoever does not say, so that there are no more of them than this. */
const niceSteps = [10, 60, 300, 3600, 6 * 3600, 86_400]
const stepsDefaultMaximum = 400
/** Nobody's clock is ahead by more. */
const aheadMilliseconds = 3600 * 1000

/** @param now milliseconds since the epoch */
export function parseRange(query: Pick<MetricsQuery, 'from' | 'to' | 'step'>, now: number): Outcome<AskedRange> {
  const to = parseTime(query.to ?? 'now', now)
  if (Number.isNaN(to)) return refuseField('to', 'is no day of any month', 'Give a time as 2030-01-31T12:00:00Z.')
  const from = query.from === undefined ? to - rangeSecondsDefault * 1000 : parseTime(query.from, now)
  if (Number.isNaN(from)) return refuseField('from', 'is no day of any month', 'Give a time as 2030-01-31T12:00:00Z.')
  if (from >= to) return refuseField('from', 'must be before to', 'Give an earlier time, as -1h.')
  if (from > now)
    return refuseField('from', 'is in the future', 'Nothing has been measured then: give an earlier time.')
  if (to > now + aheadMilliseconds) return refuseField('to', 'is in the future', 'Leave it out: it is now.')
  const kept = tiers.at(-1)?.keptSeconds ?? 0
  if (from < now - kept * 1000) {
    return refuseField(
      'from',
      `is more than ${kept / 86_400} days ago`,
      'Give a later time: nothing is kept for longer.',
    )
  }
  return parseStep(query.step, from, to, now)
}

function parseStep(step: string | undefined, from: number, to: number, now: number): Outcome<AskedRange> {
  const finest = tiers.find((tier) => from >= now - tier.keptSeconds * 1000)?.seconds ?? stepSecondsMinimum
  const rangeSeconds = (to - from) / 1000
  const seconds = step === undefined ? chooseStep(rangeSeconds, finest) : parseLength(step)
  if (seconds < stepSecondsMinimum || seconds % stepSecondsMinimum !== 0) {
    const asked = `must be a multiple of ${stepSecondsMinimum} s`
    return refuseField('step', asked, 'Give 10s, 1m, 5m, 1h or another multiple.')
  }
  if (seconds % finest !== 0) {
    const asked = `must be a multiple of ${finest} s, as what is so old is kept in windows of that length`
    return refuseField('step', asked, `Give ${finest}s, or ask for a later time.`)
  }
  const milliseconds = seconds * 1000
  const begin = Math.floor(from / milliseconds) * milliseconds
  const count = Math.ceil((to - begin) / milliseconds)
  if (count > stepsMaximum) {
    const least = Math.ceil(rangeSeconds / stepsMaximum / finest) * finest
    const asked = `makes ${count} steps of that range, and an answer may have ${stepsMaximum}`
    return refuseField('step', asked, `Give at least ${least}s, or a shorter range.`)
  }
  const tier = chooseTier(seconds, begin, now) ?? tiers.at(-1)
  if (tier === undefined) throw new Error('BUG: there are no tiers')
  return succeed({ from: begin, stepMilliseconds: milliseconds, count, tier })
}

const chooseStep = (rangeSeconds: number, finest: number): number =>
  niceSteps.find((step) => step >= finest && rangeSeconds / step <= stepsDefaultMaximum) ?? 86_400

function parseLength(text: string): number {
  const [, amount = '', unit = 's'] = /^(\d+)([smhd])?$/.exec(text) ?? []
  return Number(amount) * (unitSeconds[unit] ?? 1)
}

/** NaN: there is no such time. */
function parseTime(text: string, now: number): number {
  if (text === 'now') return now
  return text.startsWith('-') ? now - 1000 * parseLength(text.slice(1)) : Date.parse(text)
}

/** Histograms are kept of nothing, so that there are means and no percentiles. */
const percentilePattern = /^p\d+|percentile|quantile/i

export function parseMeasures(text: string, subject: Subject, by: MetricsQuery['by']): Outcome<readonly Selection[]> {
  const names = [...new Set(text.split(','))]
  if (names.length > measuresOfQuestionMaximum) {
    return refuseField('measure', `names more than ${measuresOfQuestionMaximum} measures`, 'Ask for fewer at once.')
  }
  const selections: Selection[] = []
  for (const name of names) {
    const selection = selectSeries(name, subject, by)
    if (selection === null) return refuseMeasure(name, subject, by)
    selections.push(selection)
  }
  return succeed(selections)
}

function refuseMeasure(name: string, subject: Subject, by: MetricsQuery['by']) {
  if (percentilePattern.test(name)) {
    return refuseField(
      'measure',
      `${name}: there are no histograms to take it from`,
      'Ask for latencyMilliseconds, which is a mean.',
    )
  }
  const known = Object.keys(measures).filter((one) => selectSeries(one, subject, by) !== null)
  const grouped = by === undefined ? '' : ` by ${by}`
  return refuseField('measure', `${name} is nothing that is measured of it${grouped}`, `There are ${known.join(', ')}.`)
}
