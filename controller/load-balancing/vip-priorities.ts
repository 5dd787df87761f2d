/**
 * Who serves which VIP, and how eagerly: pure arithmetic of VRRP.
 *
 * Each slot's VIP is at home on the slot's instance. With up to four slots every instance backs every other; beyond that
 * only the neighbours on the ring of slots do, so that a balancer's adverts grow with its slots and not with their
 * square.
 */

export const homePriority = 250
/** The first backup's. Each further one is that much lower, so that two never come forward at once. */
const firstBackupPriority = 200
const priorityStep = 10
const fullMeshSlotsMaximum = 4
/** Below the slot's own and above all neighbours: a replaced one that is back serves if the other does not yet. */
export const replacedPriority = 240
/** Above all: who hands over keeps the VIP until its clients have gone. */
export const drainingPriority = 254

/**
 * Of the slot's own instance. Others that had the slot may come back from a long silence with what they were told then,
 * and believe it to be theirs: each of them makes it one higher.
 */
export const homePriorityAbove = (others: number) => Math.min(drainingPriority - 1, homePriority + others)

export interface SlotOnRing {
  readonly slot: number
  /** Null: the slot has no instance at present; its VIP is served by the others. */
  readonly instanceId: string | null
}

export interface VipDuty {
  readonly slot: number
  readonly priority: number
  readonly home: boolean
}

/**
 * The VIPs that an instance may serve, in the order of slots. The slot after it on the ring is the one that it backs
 * first, so a dead instance's load falls on one other and not on all at once.
 */
export function listVipDuties(ring: readonly SlotOnRing[], instanceId: string): readonly VipDuty[] {
  const slots = ring.toSorted((a, b) => a.slot - b.slot)
  const own = slots.findIndex((slot) => slot.instanceId === instanceId)
  if (own < 0) return []
  return slots.flatMap(({ slot }, i): VipDuty[] => {
    const distance = (i - own + slots.length) % slots.length
    if (distance === 0) return [{ slot, priority: homePriority, home: true }]
    const isNeighbour = distance === 1 || distance === slots.length - 1
    if (slots.length > fullMeshSlotsMaximum && !isNeighbour) return []
    const rank = slots.length > fullMeshSlotsMaximum && distance !== 1 ? 2 : distance
    return [{ slot, priority: firstBackupPriority - priorityStep * (rank - 1), home: false }]
  })
}

const instancesPerStep = 100

/**
 * How often an instance says that it lives, in seconds: `shortest` up to 100 instances on a host, twice that up to 200,
 * and so on. The CPU that adverts take thus stays level; a failure is seen that much later (three adverts). `instances`
 * is the largest count among the hosts of one balancer, whose instances must all keep one interval.
 */
export function advertIntervalSeconds(shortest: number, instances: number): number {
  const steps = Math.max(1, Math.ceil(instances / instancesPerStep))
  return Math.round(shortest * steps * 1000) / 1000
}
