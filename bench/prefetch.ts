/**
 * What reading ahead is worth to whoever reads, and what it costs: a log of a real cloud account's calls, replayed as
 * requests to a controller on a nats-server of its own, with nothing kept in memory, with what was read before kept, and
 * with what will probably be read next read ahead. The same requests, at the same pace, one side after the other.
 */

import type { Bench } from './bench.ts'
import { samplesOf } from './bench.ts'
import { readActions } from './next-action/read-actions.ts'
import { plotRows } from './plot.ts'
import { startControllerProcess } from './prefetch/controller-process.ts'
import { planReplay } from './prefetch/plan-replay.ts'
import { makeGround, type Replayed, replay } from './prefetch/replay.ts'
import { percentile } from './statistics.ts'

const actionsDefault = 1_200
const pace = { millisecondsPerSecond: 100, waitMillisecondsMinimum: 40, waitMillisecondsMaximum: 400 }

const sides = {
  'read anew': { SLUICE_PREFETCH: 'off', SLUICE_ACTION_LOG: 'off' },
  kept: { SLUICE_PREFETCH: 'on', SLUICE_ACTION_LOG: 'off' },
  'kept and read ahead': { SLUICE_PREFETCH: 'on', SLUICE_ACTION_LOG: 'on' },
} as const
type Side = keyof typeof sides
const sideNames = Object.keys(sides) as readonly Side[]
const ahead = 'kept and read ahead'

export const prefetch: Bench = {
  summary:
    'reads with and without reading ahead, on a log of calls replayed to a real controller; --times: how many calls',

  async run({ options, cleanup, tell }) {
    const actions = readActions().slice(0, options.times ?? actionsDefault)
    const ran = new Map<Side, Replayed>()
    for (const side of sideNames) {
      const controller = await startControllerProcess(sides[side])
      cleanup.defer('the controller', () => controller.stop())
      const steps = planReplay(actions, await makeGround(controller), pace)
      ran.set(side, await replay(controller, steps))
      await controller.stop()
      tell(`${side}: ${steps.length} requests`)
    }
    return describe(ran, actions.length)
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `${String(result.settings.actions)} calls of a cloud account, replayed; ${result.machine.cores} cores, ${result.measuredAt.slice(0, 10)}`,
      unit: 'ms, as the reader sees it',
      isLogarithmic: true,
      rows: sideNames.map((side) => ({
        label: `slow reads, ${side}`,
        samples: samplesOf(result, `slow reads, ${side}`),
        isFloor: side !== ahead,
      })),
    }),
}

function describe(ran: ReadonlyMap<Side, Replayed>, actions: number) {
  const of = (side: Side): Replayed => {
    const found = ran.get(side)
    if (found === undefined) throw new Error(`BUG: ${side} was not run`)
    return found
  }
  const [anew, with_] = [of('read anew'), of(ahead)]
  const { prefetched, prefetchedServed } = with_.reads
  const sum = (samples: readonly number[]) => samples.reduce((total, sample) => total + sample, 0)
  const saved = sum(anew.slow) - sum(with_.slow)
  const hitShare = (words: Readonly<Record<string, number>>) =>
    1 - ((words.miss ?? 0) + (words.off ?? 0)) / sum(Object.values(words))
  return {
    title: 'Reads, with what is read next already in memory',
    settings: { actions, ...pace, sides, natsSync: 'always' },
    series: sideNames.flatMap((side) => {
      const { slow, fast, renames, cpuSeconds, residentMebibytes } = of(side)
      const isFloor = side !== ahead
      return [
        { name: `slow reads, ${side}`, unit: 'ms', samples: slow, isFloor },
        { name: `reads out of memory anyway, ${side}`, unit: 'ms', samples: fast, isFloor },
        { name: `changes, ${side}`, unit: 'ms', samples: renames, isFloor },
        { name: `processor time of the controller, ${side}`, unit: 's', samples: [cpuSeconds], isFloor },
        { name: `memory of the controller, ${side}`, unit: 'MiB', samples: [residentMebibytes], isFloor },
      ]
    }),
    ratios: [
      ...sideNames.map((side) => ({
        name: `share of slow reads out of memory, ${side}`,
        value: hitShare(of(side).words),
      })),
      { name: 'precision: read ahead and then asked for', value: prefetched === 0 ? 0 : prefetchedServed / prefetched },
      { name: 'reads ahead for each slow read', value: prefetched / Math.max(1, with_.slow.length) },
      {
        name: 'extra reads for each millisecond saved',
        value: saved > 0 ? (prefetched - prefetchedServed) / saved : Number.POSITIVE_INFINITY,
      },
      {
        name: 'p50 of slow reads against reading anew',
        value: percentile(with_.slow, 0.5) / percentile(anew.slow, 0.5),
      },
      {
        name: 'p99 of slow reads against reading anew',
        value: percentile(with_.slow, 0.99) / percentile(anew.slow, 0.99),
      },
      { name: 'oldest answer, in seconds', value: with_.oldestMilliseconds / 1000 },
    ],
    aims: [
      {
        aim: 'median of slow reads ≤ half of that of reading anew',
        measured: percentile(with_.slow, 0.5) / percentile(anew.slow, 0.5),
        unit: 'of it',
        met: percentile(with_.slow, 0.5) <= percentile(anew.slow, 0.5) / 2,
      },
      {
        aim: 'at least half of what is read ahead is asked for',
        measured: prefetched === 0 ? 0 : prefetchedServed / prefetched,
        unit: 'of it',
        met: prefetchedServed >= prefetched / 2 && prefetched > 0,
      },
    ],
    notes: [
      'Slow reads are histories, lists of events and measures: what the controller has to ask its store for. All other reads are answered out of memory on every side, and are shown to see that they are no slower.',
      'Order, users and pauses are those of the log, a second of which takes a tenth; each sort of call has become always the same sort of request. One request at a time.',
    ],
    details: Object.fromEntries(sideNames.map((side) => [side, { words: of(side).words, reads: of(side).reads }])),
  }
}
