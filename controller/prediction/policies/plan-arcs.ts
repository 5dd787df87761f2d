/** Which microshards are split, since they have too much, and which neighbours are merged, since they have too little. Pure. */

import type { MicroshardPolicies } from '../../contract/microshard-policies.ts'
import type { MergeDecision, SplitDecision } from './decision.ts'
import { keepSince, type LifecycleState, lasted, type Since } from './lifecycle-state.ts'
import type { MicroshardSight, Sight } from './sight.ts'

export interface WatchedArcs {
  readonly hotSince: Since
  readonly coldSince: Since
}

/** Once hot it is so until its load is this share of the mark. */
const stillHotShare = 0.8
/** What is merged is at most so large, of what would be split. */
const mergedBytesShare = 0.5
/** And would have had at most so much on the day before, of what is split. */
const mergedPeakShare = 0.5

const pairOf = (one: MicroshardSight, other: MicroshardSight) => `${one.id} ${other.id}`
const meanLoad = ({ microshards }: Sight) =>
  microshards.reduce((sum, { load }) => sum + load, 0) / Math.max(1, microshards.length)
const aliveNodes = ({ nodes }: Sight) => nodes.filter(({ isAlive }) => isAlive).length

export function watchArcs(sight: Sight, state: LifecycleState, policies: MicroshardPolicies): WatchedArcs {
  const { split } = policies
  const mark = split.overMean * meanLoad(sight)
  const hot = sight.microshards.filter(({ id, load }) => {
    const share = id in state.hotSince ? stillHotShare : 1
    return load > share * mark && load >= share * split.loadMinimum
  })
  const cold = neighboursOf(sight).filter(([one, other]) => isCold(one, other, sight, policies))
  return {
    hotSince: keepSince(
      state.hotSince,
      hot.map(({ id }) => id),
      sight.now,
    ),
    coldSince: keepSince(
      state.coldSince,
      cold.map(([one, other]) => pairOf(one, other)),
      sight.now,
    ),
  }
}

export interface ArcOptions {
  readonly sight: Sight
  readonly policies: MicroshardPolicies
  /** Whether a microshard may be touched now. */
  readonly isFree: (microshard: MicroshardSight) => boolean
  /** Whether it has come by the opposite lately. */
  readonly isCooling: (microshard: MicroshardSight, from: 'split' | 'merge') => boolean
}

/** The hottest first. */
export function planSplits({ hotSince }: WatchedArcs, options: ArcOptions): readonly SplitDecision[] {
  const { sight, policies } = options
  const room = policies.microshards.perNodeMaximum * aliveNodes(sight) - sight.microshards.length
  return sight.microshards
    .filter((one) => one.keys >= 2 && options.isFree(one) && !options.isCooling(one, 'merge'))
    .toSorted((a, b) => b.load - a.load)
    .flatMap((one) => judgeSplit(one, hotSince, options) ?? [])
    .slice(0, Math.max(0, room))
}

function judgeSplit(one: MicroshardSight, hotSince: Since, { sight, policies }: ArcOptions): SplitDecision | null {
  const { split, prediction } = policies
  const mean = meanLoad(sight)
  const common = { kind: 'split', microshard: one.id } as const
  if (one.bytes > split.bytesMaximum) {
    const reason = `Microshard ${one.id} keeps more than ${split.bytesMaximum} bytes.`
    return { ...common, reason, figures: { bytes: one.bytes, bytesMaximum: split.bytesMaximum }, isAhead: false }
  }
  const figures = { load: one.load, meanLoad: mean, overMean: mean > 0 ? one.load / mean : 0 }
  if (lasted(hotSince, one.id, split.forSeconds, sight.now) && one.load > split.overMean * mean) {
    const reason = `Microshard ${one.id} has had ${figures.overMean.toFixed(1)} times the load of the average one for ${split.forSeconds} s.`
    return { ...common, reason, figures, isAhead: false }
  }
  if (!prediction.isOn || one.expected === null) return null
  const expectedLoad = Math.max(...one.expected)
  const step = one.expected.indexOf(expectedLoad)
  const expectedMean =
    sight.microshards.reduce((sum, other) => sum + (other.expected?.[step] ?? other.load), 0) / sight.microshards.length
  const isExpected =
    expectedLoad > split.overMean * expectedMean &&
    expectedLoad >= split.loadMinimum &&
    expectedLoad > prediction.threshold * one.load
  if (!isExpected) return null
  const seconds = (step + 1) * sight.stepSeconds
  const reason = `Microshard ${one.id} is expected to have ${(expectedLoad / expectedMean).toFixed(1)} times the load of the average one in ${seconds} s.`
  return { ...common, reason, figures: { ...figures, expectedLoad, expectedMean, seconds }, isAhead: true }
}

/** The coldest first; none takes part in two. */
export function planMerges({ coldSince }: WatchedArcs, options: ArcOptions): readonly MergeDecision[] {
  const { sight, policies } = options
  const spare = sight.microshards.length - policies.microshards.perNodeMinimum * aliveNodes(sight)
  const mean = meanLoad(sight)
  const isFree = (one: MicroshardSight) => options.isFree(one) && !options.isCooling(one, 'split')
  const taken = new Set<string>()
  return neighboursOf(sight)
    .filter(([one, other]) => isFree(one) && isFree(other))
    .filter(([one, other]) => lasted(coldSince, pairOf(one, other), policies.merge.forSeconds, sight.now))
    .sort(([a, b], [c, d]) => a.load + b.load - c.load - d.load)
    .filter(([one, other]) => {
      if (taken.has(one.id) || taken.has(other.id)) return false
      taken.add(one.id).add(other.id)
      return true
    })
    .slice(0, Math.max(0, spare))
    .map(([one, other]) => ({
      kind: 'merge',
      microshard: one.id,
      neighbour: other.id,
      reason: `Microshards ${one.id} and ${other.id} have had less than ${policies.merge.underMean} of the load of the average one for ${policies.merge.forSeconds} s.`,
      figures: { load: one.load + other.load, meanLoad: mean, bytes: one.bytes + other.bytes },
      isAhead: false,
    }))
}

/** Now, as far as it is expected, and on the day before: what is merged at night would be split in the morning. */
function isCold(one: MicroshardSight, other: MicroshardSight, sight: Sight, policies: MicroshardPolicies): boolean {
  const mark = policies.merge.underMean * meanLoad(sight)
  const expected = ({ expected }: MicroshardSight) => Math.max(0, ...(expected ?? []))
  const bytesMaximum = mergedBytesShare * policies.split.bytesMaximum
  return (
    one.load + other.load <= mark &&
    expected(one) + expected(other) <= mark &&
    one.dayPeak + other.dayPeak <= mergedPeakShare * policies.split.overMean * meanLoad(sight) &&
    one.bytes + other.bytes <= bytesMaximum
  )
}

/** Of the ring, which is not closed: the last arc and the first have no common bound. */
const neighboursOf = ({ microshards }: Sight): (readonly [MicroshardSight, MicroshardSight])[] =>
  microshards.slice(1).flatMap((other, i) => {
    const one = microshards[i]
    return one === undefined ? [] : [[one, other] as const]
  })
