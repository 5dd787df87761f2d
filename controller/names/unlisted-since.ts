/** When a balancer's name ceased to list a VIP: what its slot waits for on its way out. Pure. */

import type { SlotValue } from '../objects.ts'
import type { LoadBalancerNameValue } from './name-object.ts'

/** Milliseconds since the epoch; null: it does still, as the name server has not been told. @param name undefined: it has none */
export function unlistedSince(
  { vip, leavingSince }: Pick<SlotValue, 'vip' | 'leavingSince'>,
  name: LoadBalancerNameValue | undefined,
): number | null {
  const left = leavingSince === undefined ? 0 : Date.parse(leavingSince)
  if (name === undefined || name.dnsName === null) return left
  return name.addresses.includes(vip) ? null : Math.max(left, Date.parse(name.listedSince))
}
