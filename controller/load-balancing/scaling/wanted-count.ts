/** How many instances a balancer is to have: what its caller asks for, or what scaling decided last. Pure. */

import { type AutoScaling, type AutoScalingInput, autoScalingDefaults } from '../../contract/scaling.ts'
import type { LoadBalancerScalingValue, LoadBalancerValue } from '../../objects.ts'
import { boundsAt, clampCount } from './bounds.ts'

type Scaled = Pick<LoadBalancerValue, 'instanceCount' | 'autoScaling'>

/** What is kept of what a caller says. `true` leaves on as it is what is on already. */
export function settleAutoScaling(input: AutoScalingInput, before: AutoScaling | false): AutoScaling | false {
  if (input !== true) return input
  return before === false ? autoScalingDefaults : before
}

/**
 * @param now milliseconds since the epoch
 */
export function firstCountOf({ instanceCount, autoScaling }: Scaled, now: number): number {
  return autoScaling === false ? instanceCount : clampCount(instanceCount, boundsAt(autoScaling, now))
}

/** Null: nothing has been decided yet. */
export function wantedCountOf(value: Scaled, scaling: LoadBalancerScalingValue | null, now: number): number {
  return value.autoScaling === false || scaling === null ? firstCountOf(value, now) : scaling.desiredCount
}
