/** The words for what scaling decides: for events, `explain` and whoever asks why. Pure. */

import type { ScalingFigures, ScalingMetric, ScalingReason } from '../../contract/scaling.ts'
import type { ScalingBounds } from './bounds.ts'
import type { ScalingFacts } from './decide-scaling.ts'

const metricWords: Readonly<Record<ScalingMetric, string>> = {
  requestsPerSecond: 'requests a second',
  connections: 'connections',
  cpuPercent: '% of its processors',
  latencyMilliseconds: 'ms until a member has answered',
}

/** What is expected is told as such where it is more than there is. */
export function describeWish(
  kind: 'target' | 'step',
  figures: ScalingFigures,
  { count, load, expectedLoad }: Pick<ScalingFacts, 'count' | 'load' | 'expectedLoad'>,
): ScalingReason {
  const { metric, perInstance, limit, wish } = figures
  const isExpected = (expectedLoad?.[metric] ?? 0) > (load[metric] ?? 0)
  const has = isExpected ? 'is expected to have' : 'has'
  const level = `${count === 1 ? `The instance ${has}` : `Each of ${count} instances ${has}`} ${perInstance} ${metricWords[metric]}`
  const against = kind === 'target' ? `the target is ${limit}` : `a step is at ${limit}`
  const verdict =
    wish === count
      ? `${countInstances(wish)} ${wish === 1 ? 'is' : 'are'} enough`
      : `that asks for ${countInstances(wish)}`
  return { reason: isExpected ? 'expected' : kind, message: `${level}; ${against}: ${verdict}.`, figures }
}

export function describeBounds(
  { minimum, maximum, schedules }: ScalingBounds,
  { wish, count }: { readonly wish: number; readonly count: number },
): readonly ScalingReason[] {
  const held = schedules.length === 0 ? '' : ` by ${schedules.map((i) => `schedules[${i}]`).join(' and ')}`
  const reason = (bound: 'minimum' | 'maximum') => (schedules.length === 0 ? bound : 'schedule')
  if (Math.min(wish, count) < minimum) {
    return [
      {
        reason: reason('minimum'),
        message: `At least ${countInstances(minimum)} hold${minimum === 1 ? 's' : ''}${held}.`,
      },
    ]
  }
  if (Math.max(wish, count) > maximum) {
    return [
      {
        reason: reason('maximum'),
        message: `At most ${countInstances(maximum)} hold${maximum === 1 ? 's' : ''}${held}.`,
      },
    ]
  }
  return []
}

export const countInstances = (count: number): string => `${count} instance${count === 1 ? '' : 's'}`
