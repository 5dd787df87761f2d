/** Whether a balancer's bounds leave it room, by what it would decide now. Pure. */

import type { Scaling } from '../../controller/contract/scaling.ts'

/** It asks for more instances than it may have. */
export const isTight = (scaling: Scaling): boolean =>
  scaling.bounds !== null && largestWish(scaling) > scaling.bounds.maximum

/** @example describeBounds(scaling) // 'shop: 6 instances are the most that it may have, and its load asks for 9' */
export function describeBounds(scaling: Scaling): string {
  const { name, bounds, desiredCount } = scaling
  if (bounds === null) return `${name}: not scaled, ${desiredCount} whatever its load`
  if (isTight(scaling)) {
    return `${name}: ${bounds.maximum} instances are the most that it may have, and its load asks for ${largestWish(scaling)}`
  }
  return `${name}: ${desiredCount} of ${bounds.minimum} to ${bounds.maximum} instances`
}

const largestWish = ({ reasons }: Scaling) => Math.max(0, ...reasons.map(({ figures }) => figures?.wish ?? 0))
