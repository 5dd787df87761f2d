/**
 * Migration policies on replayed load in virtual time: never moved, moved when a node is hot, moved ahead by forecasts that
 * have earned it, and moved ahead by the truth; the same pure decision and the same churn budget for all. Needs no lab.
 */

import { defaultMicroshardPolicies } from '../controller/contract/microshard-policies.ts'
import { type PoliciesWorldOptions, runWorld, type WorldSummary } from '../test/simulation/policies-world.ts'
import type { Bench } from './bench.ts'
import { makeEven, readRealSeries } from './forecast/series.ts'
import { makeDailyKeys, makeRealKeys } from './migration-policies/loads.ts'
import { plotRows } from './plot.ts'
import type { Aim, Series } from './result.ts'

const timesDefault = 5
const nodes = 8
const microshards = 64
const days = 10
const daysLeftOut = 5
const turnSeconds = 300
const turnsADay = 86_400 / turnSeconds
const policies = { ...defaultMicroshardPolicies, mode: 'on' } as const
/** Of the replay itself: a run that is worse by less is as good. */
const noiseShare = 0.002

type Way = 'static' | 'reactive' | 'ours' | 'oracle'
const ways: Readonly<Record<Way, Pick<PoliciesWorldOptions, 'foresight' | 'isStatic'>>> = {
  static: { foresight: 'none', isStatic: true },
  reactive: { foresight: 'none' },
  ours: { foresight: 'forecast' },
  oracle: { foresight: 'truth' },
}
type Run = Readonly<Record<Way, WorldSummary>>

export const migrationPolicies: Bench = {
  summary: 'overload and bytes moved of microshards under daily and real load, by policy, in virtual time',

  async run({ options, tell }) {
    const seeds = Array.from({ length: options.times ?? timesDefault }, (_, i) => i + 1)
    const real =
      readRealSeries()
        ?.map(makeEven)
        .filter(({ values }) => values.some((value) => value > 0)) ?? []
    const loads = [
      { name: 'daily', keysOf: (seed: number) => makeDailyKeys(seed, microshards) },
      ...(real.length === 0 ? [] : [{ name: 'real', keysOf: (seed: number) => makeRealKeys(seed, microshards, real) }]),
    ]
    const compared = loads.map(({ name, keysOf }) => {
      const runs = seeds.map((seed) => replay(keysOf(seed)))
      tell(
        `${name}: ${(Object.keys(ways) as Way[]).map((way) => `${way} ${percentOf(runs, way).toFixed(2)} %`).join(', ')}`,
      )
      return { name, runs }
    })
    return {
      title: 'Migration of microshards: never, when it is too late, and ahead',
      settings: { nodes, microshards, days, daysLeftOut, turnSeconds, seeds: seeds.length, policies },
      series: compared.flatMap(({ name, runs }) => seriesOf(name, runs)),
      ratios: compared.flatMap(({ name, runs }) => [
        { name: `${name}: overload, ours to reactive`, value: percentOf(runs, 'ours') / percentOf(runs, 'reactive') },
        {
          name: `${name}: overload, oracle to reactive`,
          value: percentOf(runs, 'oracle') / percentOf(runs, 'reactive'),
        },
        { name: `${name}: bytes, ours to reactive`, value: bytesOf(runs, 'ours') / bytesOf(runs, 'reactive') },
      ]),
      aims: compared.flatMap(({ name, runs }) => aimsOf(name, runs)),
      notes: [
        'Overloaded is a node that has more than 1.25 times the average node; the share is of nodes and of five minutes each.',
        `Each run is ${days} days, of which the first ${daysLeftOut} are for learning and not counted, on ${nodes} nodes with ${microshards} microshards of 20 MB at first.`,
        ...(real.length === 0 ? ['Real series were not there: see `SLUICE_SERIES` in bench/forecast/series.ts.'] : []),
        'The oracle decides by the same rules and knows the load at each step to the horizon: what is left to it is left by the rules, not by forecasts.',
      ],
      details: compared,
    }
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `share of nodes and times above 1.25 times the average; ${result.measuredAt.slice(0, 10)}`,
      unit: '%',
      rows: result.series
        .filter(({ unit }) => unit === '%')
        .map(({ name, samples, isFloor }) => ({ label: name, samples, isFloor: isFloor ?? false })),
    }),
}

function replay(keys: PoliciesWorldOptions['keys']): Run {
  const named = Array.from({ length: nodes }, (_, i) => ({ name: `node-${i + 1}`, location: null, isAlive: true }))
  const run = (way: Way) =>
    runWorld(
      { nodes: named, keys, microshards, policies, turnSeconds, ...ways[way] },
      { turns: days * turnsADay, turnsLeftOut: daysLeftOut * turnsADay },
    )
  return { static: run('static'), reactive: run('reactive'), ours: run('ours'), oracle: run('oracle') }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const percentOf = (runs: readonly Run[], way: Way) => 100 * mean(runs.map((run) => run[way].overloadShare))
const bytesOf = (runs: readonly Run[], way: Way) => mean(runs.map((run) => run[way].bytesMoved))

const seriesOf = (name: string, runs: readonly Run[]): Series[] =>
  (Object.keys(ways) as Way[]).flatMap((way) => [
    {
      name: `${name}, ${way}`,
      unit: '%',
      samples: runs.map((run) => 100 * run[way].overloadShare),
      isFloor: way !== 'ours',
    },
    {
      name: `${name}, ${way}, moved`,
      unit: 'GB a day',
      samples: runs.map((run) => run[way].bytesMoved / 1e9 / (days - daysLeftOut)),
      isFloor: way !== 'ours',
    },
  ])

function aimsOf(name: string, runs: readonly Run[]): Aim[] {
  const worst = Math.max(...runs.map(({ ours, reactive }) => ours.overloadShare - reactive.overloadShare))
  const spared = 1 - percentOf(runs, 'ours') / percentOf(runs, 'reactive')
  return [
    {
      aim: `${name}: in no run worse than reactive by more than ${100 * noiseShare} points`,
      measured: 100 * worst,
      unit: 'points',
      met: worst <= noiseShare,
    },
    ...(name === 'daily'
      ? [
          {
            aim: 'daily: at least 60 % less overload than reactive',
            measured: 100 * spared,
            unit: '%',
            met: spared >= 0.6,
          },
        ]
      : []),
  ]
}
