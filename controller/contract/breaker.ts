/** The mass failure breaker of the rack. */

import * as v from 'valibot'

export const breakerSchema = v.object({
  /** While it is open nothing is replaced. */
  status: v.picklist(['closed', 'open']),
  reason: v.string(),
  /** Null: it has never been anything but closed. */
  since: v.nullable(v.string()),
  /** The hosts whose failing opened it, by name. */
  hosts: v.array(v.string()),
  /** When a person closed it last. */
  resetAt: v.nullable(v.string()),
  /** Condemned instances that have no replacement yet. */
  heldBack: v.array(
    v.object({
      instanceId: v.string(),
      loadBalancerId: v.string(),
      loadBalancer: v.string(),
      slot: v.number(),
      host: v.nullable(v.string()),
      reason: v.string(),
    }),
  ),
})
export type Breaker = v.InferOutput<typeof breakerSchema>
