/**
 * Auto-scaling: a flash crowd and fourteen real days replayed in virtual time by the true decision and all that feeds it,
 * against fixed fleets and against every fixed threshold. Needs no lab, and is the same in each run.
 */

import * as v from 'valibot'
import { autoScalingSchema } from '../controller/contract/scaling.ts'
import type { Bench } from './bench.ts'
import { plotRows } from './plot.ts'
import type { Aim, Series } from './result.ts'
import { makeFlashCrowd, readDays } from './scaling/loads.ts'
import { followTarget, followThreshold, keepFleet, type Threshold, thresholds } from './scaling/policies.ts'
import { type Policy, type Replayed, type ReplaySettings, replay } from './scaling/replay.ts'

const replayedCrowds = 5
const settings: ReplaySettings = {
  targetPerSecond: 100,
  capacityPerSecond: 150,
  maximum: 8,
  // Three until an instance serves, ten for a name's answer; and the drain of those that go.
  growSeconds: 13,
  shrinkSeconds: 45,
}
const begin = 2
/** Bounds and target alone: everything else is as callers get it who say nothing. */
const autoScaling = v.parse(autoScalingSchema, { minimum: 1, maximum: 8, targets: { requestsPerSecond: 100 } })

export const scaling: Bench = {
  summary: 'requests over target and instance-hours of flash crowds and real days, in virtual time',

  async run({ tell }) {
    const days = compare(readDays())
    tell(`days: ${describeComparison(days)}`)
    const crowds = compare(Array.from({ length: replayedCrowds }, (_, seed) => makeFlashCrowd(seed)))
    tell(`crowds: ${describeComparison(crowds)}`)
    return {
      title: 'Auto-scaling: a flash crowd, and real days',
      settings: { ...settings, begin, autoScaling, replayedCrowds, thresholds: thresholds.length },
      series: [...seriesOf('a day', days), ...seriesOf('a crowd', crowds)],
      ratios: [...ratiosOf('days', days), ...ratiosOf('crowds', crowds)],
      aims: [...aimsOf('days', days), ...aimsOf('crowds', crowds)],
      notes: [
        `Days: a load balancer's requests in each five minutes (NAB, elb_request_count), doubled and spread evenly but for chance. A crowd: 80 requests a second, 640 for ten minutes.`,
        `Thresholds are chosen in hindsight, of ${thresholds.length}, on the very loads that they are measured by: ${describeThreshold(days.cheapThreshold)} on the days, ${describeThreshold(crowds.cheapThreshold)} on the crowds.`,
        describeElsewhere(crowds.cheapThreshold),
        'Over target are requests that came while an instance had more than its target; all of them were served.',
      ],
      details: { days: detailsOf(days), crowds: detailsOf(crowds) },
    }
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `instance-hours of each of fourteen real days; ${result.ratios.map(({ name, value }) => `${name} ${value.toFixed(2)}`)[0] ?? ''}; ${result.measuredAt.slice(0, 10)}`,
      unit: 'instance-hours',
      rows: result.series
        .filter(({ name, unit }) => unit === 'instance-hours' && name.startsWith('a day'))
        .map(({ name, samples, isFloor }) => ({
          label: name.slice('a day, '.length),
          samples,
          isFloor: isFloor ?? false,
        })),
    }),
}

interface Run {
  readonly name: string
  /** Of each load. */
  readonly replays: readonly Replayed[]
}

interface Comparison {
  readonly ours: Run
  /** The smallest fleet, and the threshold with the fewest instance-hours, that have no more requests over target. */
  readonly fleet: Run
  readonly cheapThreshold: Run & { readonly threshold: Threshold | null }
  /** The threshold with the fewest requests over target that has no more instance-hours. */
  readonly goodThreshold: Run
  readonly fleets: readonly Run[]
}

function compare(loads: readonly Float64Array[]): Comparison {
  const run = (name: string, make: () => Policy, first = begin): Run => ({
    name,
    replays: loads.map((load) => replay(load, first, make(), settings)),
  })
  const ours = run('auto-scaling', () => followTarget(autoScaling, begin))
  const fleets = Array.from({ length: settings.maximum }, (_, i) =>
    run(`a fleet of ${i + 1}`, () => keepFleet(i + 1), i + 1),
  )
  const fixed = thresholds.map((threshold) => ({
    ...run('the best fixed threshold', () => followThreshold(threshold, begin)),
    threshold,
  }))
  const asGood = <Other extends Run>(runs: readonly Other[]) => runs.filter((one) => overOf(one) <= overOf(ours))
  const asCheap = fixed.filter((one) => hoursOf(one) <= hoursOf(ours))
  return {
    ours,
    fleet: least(asGood(fleets), hoursOf) ?? fleets.at(-1) ?? ours,
    cheapThreshold: least(asGood(fixed), hoursOf) ?? { ...ours, threshold: null },
    goodThreshold: least(asCheap, overOf) ?? ours,
    fleets,
  }
}

const least = <Item>(items: readonly Item[], of: (item: Item) => number): Item | undefined =>
  items.toSorted((a, b) => of(a) - of(b))[0]

const total = ({ replays }: Run, of: (one: Replayed) => number) => replays.reduce((sum, one) => sum + of(one), 0)
const hoursOf = (run: Run) => total(run, ({ instanceHours }) => instanceHours)
/** Of all requests, in percent. */
const overOf = (run: Run) => (100 * total(run, ({ overTarget }) => overTarget)) / total(run, ({ requests }) => requests)

function seriesOf(what: string, { ours, fleet, cheapThreshold, goodThreshold }: Comparison): Series[] {
  const named: readonly (readonly [string, Run])[] = [
    [ours.name, ours],
    [fleet.name, fleet],
    ['best threshold, no more over target', cheapThreshold],
    ['best threshold, no more hours', goodThreshold],
  ]
  return named.flatMap(([name, { replays }]) => [
    {
      name: `${what}, ${name}`,
      unit: 'instance-hours',
      samples: replays.map(({ instanceHours }) => instanceHours),
      isFloor: name !== ours.name,
    },
    {
      name: `${what}, ${name}, over target`,
      unit: '% of requests',
      samples: replays.map(({ overTarget, requests }) => (100 * overTarget) / requests),
      isFloor: name !== ours.name,
    },
  ])
}

const ratiosOf = (what: string, { ours, fleet, cheapThreshold, goodThreshold }: Comparison) => [
  { name: `${what}: instance-hours to ${fleet.name}`, value: hoursOf(ours) / hoursOf(fleet) },
  { name: `${what}: instance-hours to the best threshold`, value: hoursOf(ours) / hoursOf(cheapThreshold) },
  { name: `${what}: over target to the best threshold of no more hours`, value: overOf(ours) / overOf(goodThreshold) },
]

const aimsOf = (what: string, { ours, fleet, cheapThreshold }: Comparison): Aim[] =>
  [
    { than: 'the smallest fleet that is as good', ratio: hoursOf(ours) / hoursOf(fleet) },
    { than: 'the best fixed threshold that is as good', ratio: hoursOf(ours) / hoursOf(cheapThreshold) },
  ].map(({ than, ratio }) => ({
    aim: `${what}: fewer instance-hours than ${than}`,
    measured: ratio,
    unit: '×',
    met: ratio < 1,
  }))

const describeComparison = ({ ours, fleet, cheapThreshold, goodThreshold }: Comparison) =>
  [ours, fleet, cheapThreshold, goodThreshold]
    .map((run) => `${run.name} ${hoursOf(run).toFixed(1)} h, ${overOf(run).toFixed(2)} % over`)
    .join('; ')

const describeThreshold = ({ threshold }: Comparison['cheapThreshold']) =>
  threshold === null
    ? 'none has as few requests over target'
    : `over ${threshold.overPerSecond} add ${threshold.add}, under ${threshold.underPerSecond} remove one, ${threshold.cooldownSeconds} s apart`

/** What suits one load need not suit another. */
function describeElsewhere({ threshold }: Comparison['cheapThreshold']): string {
  if (threshold === null) return 'No threshold is as good on the crowds.'
  const replays = readDays().map((load) => replay(load, begin, followThreshold(threshold, begin), settings))
  const elsewhere = { name: '', replays }
  return `The threshold that is best on the crowds has ${overOf(elsewhere).toFixed(2)} % over target in ${Math.round(hoursOf(elsewhere))} instance-hours on the days.`
}

const detailsOf = ({ fleets, ours, cheapThreshold }: Comparison) =>
  [ours, cheapThreshold, ...fleets].map((run) => ({
    name: run.name,
    instanceHours: hoursOf(run),
    overTargetPercent: overOf(run),
    delayedPercent: (100 * total(run, ({ delayed }) => delayed)) / total(run, ({ requests }) => requests),
    changes: total(run, ({ changes }) => changes),
  }))
