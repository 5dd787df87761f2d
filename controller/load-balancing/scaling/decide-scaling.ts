/**
 * How many instances a balancer is to have, and why. Pure: load, forecast, history and clock are arguments, so the same
 * decision is made by any controller, by a test, and in a simulation of a day.
 *
 * Each target asks for as many instances as keep each at it; each step that applies for so many more or less. The largest
 * wish wins. Out follows the load of now, in only what was so for the whole of the cooldown, by a margin: so a load that
 * stays the same never makes the count go back and forth.
 */

import {
  type AutoScaling,
  type ScalingFigures,
  type ScalingMetric,
  type ScalingReason,
  scalingMetrics,
} from '../../contract/scaling.ts'
import { boundsAt, clampCount, type ScalingBounds } from './bounds.ts'
import { describeBounds, describeWish } from './describe-scaling.ts'

/** Of all instances together; of latency the mean. A metric of which nothing is known is left out. */
export type LoadLevels = Readonly<Partial<Record<ScalingMetric, number>>>

export interface ScalingFacts {
  readonly autoScaling: AutoScaling
  /** What callers ask for: what counts where nothing but schedules is given. */
  readonly instanceCount: number
  /** How many it is to have so far. */
  readonly count: number
  /** How many serve now. */
  readonly servingCount: number
  readonly load: LoadLevels
  /** The greatest load since `cooldown.inSeconds` ago; null: some of it is not known. */
  readonly peak: LoadLevels | null
  /** What a forecast says that will come while an instance is being made; it counts where it is more. */
  readonly expectedLoad?: LoadLevels | undefined
  /** Milliseconds since the epoch. */
  readonly lastOutAt: number | null
  readonly lastInAt: number | null
  readonly now: number
}

export interface Decided {
  readonly desiredCount: number
  readonly bounds: ScalingBounds
  readonly reasons: readonly ScalingReason[]
}

export function decideScaling(facts: ScalingFacts): Decided {
  const { autoScaling, count, now } = facts
  const bounds = boundsAt(autoScaling, now)
  const wishes = listWishes(facts)
  const wish = wishes.length > 0 ? Math.max(...wishes.map((each) => each.count)) : wishWithoutLoad(facts)
  const within = clampCount(wish, bounds)
  const kept = clampCount(count, bounds)
  const brake = within === kept ? null : findBrake(facts, within > kept ? 'out' : 'in')
  const desiredCount = brake === null ? within : kept
  const reasons = [
    // What keeps from taking away is beside the point where something is added.
    ...wishes.map(({ reason }) => reason).filter(({ reason }) => reason !== 'dataMissing' || desiredCount <= count),
    ...describeBounds(bounds, { wish, count }),
    ...(brake === null ? [] : [brake]),
  ]
  return { desiredCount, bounds, reasons }
}

/** Until when a direction is held back; null: it is not. Milliseconds since the epoch. */
export function cooldownEnd(
  { autoScaling, lastOutAt, lastInAt, now }: Pick<ScalingFacts, 'autoScaling' | 'lastOutAt' | 'lastInAt' | 'now'>,
  direction: 'out' | 'in',
): number | null {
  const { outSeconds, inSeconds } = autoScaling.cooldown
  // Scaling out never waits for a scale-in: a crowd may come right after.
  const ends =
    direction === 'out' ? [endOf(lastOutAt, outSeconds)] : [lastOutAt, lastInAt].map((at) => endOf(at, inSeconds))
  const end = Math.max(...ends)
  return end > now ? end : null
}

const endOf = (at: number | null, seconds: number) => (at === null ? Number.NEGATIVE_INFINITY : at + seconds * 1000)

function findBrake(facts: ScalingFacts, direction: 'out' | 'in'): ScalingReason | null {
  const end = cooldownEnd(facts, direction)
  if (end === null) return null
  const what = direction === 'out' ? 'added' : 'taken away'
  return { reason: 'cooldown', message: `Nothing is ${what} before ${new Date(end).toISOString()}.` }
}

/** Where nothing but schedules is given, what callers ask for; where no step applies, what is there. */
const wishWithoutLoad = ({ autoScaling, instanceCount, count }: ScalingFacts): number =>
  autoScaling.steps.length === 0 ? instanceCount : count

interface Wish {
  readonly count: number
  readonly reason: ScalingReason
}

function listWishes(facts: ScalingFacts): readonly Wish[] {
  const { autoScaling, peak } = facts
  const targets = scalingMetrics.flatMap((metric): Wish[] => {
    const target = autoScaling.targets[metric]
    return target === undefined ? [] : [wishOfTarget(facts, metric, target)]
  })
  const steps = wishesOfSteps(facts)
  const wishes = [...targets, ...steps]
  const followsLoad = targets.length > 0 || autoScaling.steps.length > 0
  if (peak !== null || !followsLoad) return wishes
  const message = `Load is not known for the whole of the last ${autoScaling.cooldown.inSeconds} seconds: nothing is taken away.`
  return [...wishes, { count: facts.count, reason: { reason: 'dataMissing', message } }]
}

/** What is to be met now, and what must have stayed low for long. */
function levelsOf(
  facts: ScalingFacts,
  metric: ScalingMetric,
): { readonly out: number | null; readonly in: number | null } {
  const expected = facts.expectedLoad?.[metric] ?? 0
  const now = facts.load[metric]
  const peak = facts.peak?.[metric]
  return {
    out: now === undefined && expected === 0 ? null : Math.max(now ?? 0, expected),
    in: peak === undefined ? null : Math.max(peak, now ?? 0, expected),
  }
}

/** Floating point must not ask for one more than the figures do. */
const tolerance = 1e-9
const divideUp = (level: number, each: number) => Math.max(1, Math.ceil(level / each - tolerance))

function wishOfTarget(facts: ScalingFacts, metric: ScalingMetric, target: number): Wish {
  const { count } = facts
  const level = levelsOf(facts, metric)
  const low = target * (1 - facts.autoScaling.hysteresisPercent / 100)
  const up = level.out === null ? count : instancesFor(facts, metric, level.out, target)
  const down = level.in === null ? count : instancesFor(facts, metric, level.in, low)
  const wished = up > count ? up : Math.min(count, Math.max(up, down))
  return { count: wished, reason: describeWish('target', describeFigures(facts, metric, target, wished), facts) }
}

/** A metric's share of each instance falls as they become more; latency need not, and is approached by degrees. */
function instancesFor(facts: ScalingFacts, metric: ScalingMetric, level: number, each: number): number {
  if (metric !== 'latencyMilliseconds') return divideUp(level, each)
  const { count, servingCount } = facts
  // Those that don't serve yet have had no part in it.
  if (level > each) return Math.max(count, Math.min(divideUp(servingCount * level, each), servingCount * 2))
  return count > 1 && (level * count) / (count - 1) <= each ? count - 1 : count
}

/** Of each metric the largest step that applies; a step that doesn't has no say. */
function wishesOfSteps(facts: ScalingFacts): readonly Wish[] {
  return scalingMetrics.flatMap((metric): Wish[] => {
    const own = facts.autoScaling.steps.filter((step) => step.metric === metric)
    const level = levelsOf(facts, metric)
    const added = own
      .filter(({ over }) => over !== undefined && level.out !== null && meanOf(facts, metric, level.out) > over)
      .toSorted((a, b) => (b.add ?? 0) - (a.add ?? 0))[0]
    if (added !== undefined) return [wishOfStep(facts, metric, added.over ?? 0, facts.count + (added.add ?? 0))]
    const least = Math.min(...own.flatMap(({ over }) => over ?? []))
    const removed = own
      .filter(({ under }) => under !== undefined && level.in !== null && meanOf(facts, metric, level.in) < under)
      .toSorted((a, b) => (b.remove ?? 0) - (a.remove ?? 0))[0]
    if (removed === undefined || level.in === null) return []
    // With so few that a step would add again at once nothing is gained.
    const floor = leastInstances(facts, metric, level.in, least)
    const wished = Math.min(facts.count, Math.max(1, floor, facts.count - (removed.remove ?? 0)))
    return [wishOfStep(facts, metric, removed.under ?? 0, wished)]
  })
}

function leastInstances(facts: ScalingFacts, metric: ScalingMetric, level: number, over: number): number {
  if (!Number.isFinite(over)) return 1
  const low = over * (1 - facts.autoScaling.hysteresisPercent / 100)
  return low <= 0 ? facts.count : instancesFor(facts, metric, level, low)
}

const wishOfStep = (facts: ScalingFacts, metric: ScalingMetric, limit: number, count: number): Wish => ({
  count,
  reason: describeWish('step', describeFigures(facts, metric, limit, count), facts),
})

/** Of one instance, as many as they are to be: what has been decided already counts as there. */
const meanOf = ({ count }: ScalingFacts, metric: ScalingMetric, level: number): number =>
  metric === 'latencyMilliseconds' ? level : level / Math.max(1, count)

function describeFigures(facts: ScalingFacts, metric: ScalingMetric, limit: number, wish: number): ScalingFigures {
  const total = Math.max(facts.load[metric] ?? 0, facts.expectedLoad?.[metric] ?? 0)
  return { metric, total: round(total), perInstance: round(meanOf(facts, metric, total)), limit, wish }
}

const round = (value: number) => Math.round(value * 100) / 100
