/**
 * Scaling ahead of load: real days in one go, in virtual time, by the true decision with and without its forecasts, by one
 * that knows what comes, and by fixed fleets. Needs no lab, and is the same in each run.
 */

import * as v from 'valibot'
import { autoScalingSchema } from '../controller/contract/scaling.ts'
import type { Bench } from './bench.ts'
import { plotRows } from './plot.ts'
import type { Series } from './result.ts'
import { readDays, readProcessorDays } from './scaling/loads.ts'
import { followTarget, foreseeAll, foreseeByForecast, keepFleet } from './scaling/policies.ts'
import { type Policy, type Replayed, type ReplaySettings, replayInPieces } from './scaling/replay.ts'

const daySeconds = 86_400
const begin = 2
const daysMaximum = 8
const autoScaling = v.parse(autoScalingSchema, { minimum: 1, maximum: 8, targets: { requestsPerSecond: 100 } })
const common = { targetPerSecond: 100, capacityPerSecond: 150, maximum: 8, shrinkSeconds: 45 }
/** In a namespace: three until it serves, ten for a name's answer. In a machine that boots: two minutes. */
const grows = [13, 120]

interface Run {
  readonly name: string
  readonly days: readonly Replayed[]
}

interface Case {
  readonly load: string
  readonly growSeconds: number
  readonly reactive: Run
  readonly ahead: Run
  readonly knowing: Run
  /** The smallest that has no more requests over target. */
  readonly fleet: Run
}

export const scalingAhead: Bench = {
  summary: 'requests over target and instance-hours of real days, with and without forecasts, in virtual time',

  async run({ options, tell }) {
    const days = Math.min(daysMaximum, options.times ?? daysMaximum)
    const loads = [
      { load: 'without a rhythm', arrivals: joinDays(readDays().slice(0, days)) },
      { load: 'with a rhythm', arrivals: joinDays(readProcessorDays().slice(0, days)) },
    ]
    const cases = loads.flatMap(({ load, arrivals }) =>
      grows.map((growSeconds) => {
        const one = compare(load, arrivals, growSeconds)
        tell(describeCase(one))
        return one
      }),
    )
    return {
      title: 'Scaling ahead of load',
      settings: { ...common, grows, begin, autoScaling, days },
      series: cases.flatMap(seriesOf),
      ratios: cases.flatMap(({ load, growSeconds, reactive, ahead }) => [
        { name: `${load}, ${growSeconds} s: over target to reactive`, value: overOf(ahead) / overOf(reactive) },
        { name: `${load}, ${growSeconds} s: instance-hours to reactive`, value: hoursOf(ahead) / hoursOf(reactive) },
      ]),
      aims: cases.map(({ load, growSeconds, reactive, ahead }) => ({
        aim: `${load}, ${growSeconds} s: no more over target than reactive`,
        measured: overOf(ahead) / overOf(reactive),
        unit: '×',
        met: overOf(ahead) <= overOf(reactive),
      })),
      notes: [
        'Without a rhythm: a load balancer’s requests (NAB, elb_request_count). With one: an auto-scaled group’s processors (NAB, cpu_utilization_asg_misconfiguration), taken as requests.',
        'Days follow each other, and the first is learned on like the others. Who knows what comes is told the greatest minute by the time that one more could serve.',
      ],
      details: cases,
    }
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `requests over target of each day; ${result.measuredAt.slice(0, 10)}`,
      unit: '% of requests',
      rows: result.series
        .filter(({ unit }) => unit === '% of requests')
        .map(({ name, samples, isFloor }) => ({ label: name, samples, isFloor: isFloor ?? false })),
    }),
}

function joinDays(days: readonly Float64Array[]): Float64Array {
  const joined = new Float64Array(days.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const day of days) {
    joined.set(day, at)
    at += day.length
  }
  return joined
}

function compare(load: string, arrivals: Float64Array, growSeconds: number): Case {
  const settings: ReplaySettings = { ...common, growSeconds }
  const run = (name: string, policy: Policy, first = begin): Run => ({
    name,
    days: replayInPieces(arrivals, daySeconds, first, policy, settings),
  })
  const reactive = run('reactive', followTarget(autoScaling, begin))
  const ahead = run('ahead', followTarget(autoScaling, begin, foreseeByForecast()))
  const aheadSeconds = growSeconds + autoScaling.cooldown.outSeconds
  const knowing = run('knowing what comes', followTarget(autoScaling, begin, foreseeAll(arrivals, aheadSeconds)))
  const fleets = Array.from({ length: common.maximum }, (_, i) => run(`a fleet of ${i + 1}`, keepFleet(i + 1), i + 1))
  const fleet = fleets.find((one) => overOf(one) <= overOf(ahead)) ?? fleets.at(-1) ?? ahead
  return { load, growSeconds, reactive, ahead, knowing, fleet }
}

const total = ({ days }: Run, of: (day: Replayed) => number) => days.reduce((sum, day) => sum + of(day), 0)
const hoursOf = (run: Run) => total(run, ({ instanceHours }) => instanceHours)
/** Of all requests, in percent. */
const overOf = (run: Run) => (100 * total(run, ({ overTarget }) => overTarget)) / total(run, ({ requests }) => requests)

const seriesOf = ({ load, growSeconds, reactive, ahead, knowing, fleet }: Case): Series[] =>
  [reactive, ahead, knowing, fleet].flatMap((run) => {
    const name = `${load}, ${growSeconds} s, ${run.name}`
    const isFloor = run !== ahead
    return [
      {
        name: `${name}: over`,
        unit: '% of requests',
        samples: run.days.map(({ overTarget, requests }) => (100 * overTarget) / requests),
        isFloor,
      },
      { name: `${name}: cost`, unit: 'instance-hours', samples: run.days.map((day) => day.instanceHours), isFloor },
    ]
  })

const describeCase = ({ load, growSeconds, ...runs }: Case) =>
  `${load}, ${growSeconds} s: ${[runs.reactive, runs.ahead, runs.knowing, runs.fleet]
    .map((run) => `${run.name} ${overOf(run).toFixed(3)} % over, ${hoursOf(run).toFixed(1)} h`)
    .join('; ')}`
