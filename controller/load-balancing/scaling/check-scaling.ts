/** Whether what a balancer is to be scaled by makes sense, taken as a whole. Pure; what is wrong is named by field. */

import { type AutoScaling, type ScalingStep, scalingMetrics } from '../../contract/scaling.ts'
import type { MemberFault } from '../members.ts'
import { findContradiction } from './bounds.ts'

export function findScalingFaults(autoScaling: AutoScaling | false): readonly MemberFault[] {
  if (autoScaling === false) return []
  const { minimum, maximum } = autoScaling
  if (minimum > maximum) {
    return [{ field: 'autoScaling.minimum', message: `is ${minimum}, which is more than the maximum of ${maximum}` }]
  }
  return [
    ...findMetricFaults(autoScaling),
    ...autoScaling.steps.flatMap((step, i) => findStepFaults(autoScaling, step, i)),
    ...findScheduleFaults(autoScaling),
  ]
}

/** A count that a caller gave beside it. */
export function findCountFaults(
  autoScaling: AutoScaling | false,
  instanceCount: number | undefined,
): readonly MemberFault[] {
  if (autoScaling === false || instanceCount === undefined) return []
  const { minimum, maximum } = autoScaling
  if (instanceCount >= minimum && instanceCount <= maximum) return []
  const message = `is ${instanceCount}, and autoScaling keeps it from ${minimum} to ${maximum}`
  return [{ field: 'instanceCount', message }]
}

function findMetricFaults({ targets, steps, schedules }: AutoScaling): MemberFault[] {
  if (scalingMetrics.some((metric) => targets[metric] !== undefined)) return []
  if (steps.length === 0) {
    if (schedules.length > 0) return []
    const message = `name no metric: give one of ${scalingMetrics.join(', ')}, or steps, or schedules`
    return [{ field: 'autoScaling.targets', message }]
  }
  const adds = steps.some(({ add }) => add !== undefined)
  const removes = steps.some(({ remove }) => remove !== undefined)
  if (adds && removes) return []
  const message = adds
    ? 'only add: give one with under and remove as well, or a target'
    : 'only remove: give one with over and add as well, or a target'
  return [{ field: 'autoScaling.steps', message }]
}

function findStepFaults({ steps }: AutoScaling, { metric, under }: ScalingStep, i: number): MemberFault[] {
  if (under === undefined) return []
  const crossed = steps.findIndex((other) => other.metric === metric && other.over !== undefined && other.over <= under)
  if (crossed < 0) return []
  const message = `is ${under}, and steps[${crossed}] adds over ${steps[crossed]?.over}: it must be less`
  return [{ field: `autoScaling.steps[${i}].under`, message }]
}

function findScheduleFaults(autoScaling: AutoScaling): MemberFault[] {
  const contradiction = findContradiction(autoScaling)
  if (contradiction === null) return []
  const { at, bounds } = contradiction
  const [first, ...others] = bounds.schedules
  const together = others.length === 0 ? '' : ` together with ${others.map((i) => `schedules[${i}]`).join(' and ')}`
  const message = `contradicts${together || ' the balancer’s own bounds'}: on ${at} UTC at least ${bounds.minimum} and at most ${bounds.maximum} would hold`
  return [{ field: `autoScaling.schedules[${first ?? 0}]`, message }]
}
