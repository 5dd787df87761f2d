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

/** So many instances of a host speak at the shortest interval, as many again at twice that, then twice as many at four times. */
const instancesAtShortest = 25
/** What VRRP itself has unless it is told otherwise. */
const longestIntervalSeconds = 1

/**
 * How often the instances of a balancer say that they live, in seconds. `olderInstances` are those on its fullest host
 * that belong to balancers made before it. Each further band is twice as wide and half as loud, so the adverts of a host
 * grow by its logarithm; and nobody's interval changes because others came after him, so that no fleet is reloaded as it
 * grows. A failure is seen after three to four intervals.
 * @example advertIntervalSeconds(0.05, 60) // 0.2
 */
export function advertIntervalSeconds(shortest: number, olderInstances: number): number {
  const doublings =
    olderInstances < instancesAtShortest ? 0 : 1 + Math.floor(Math.log2(olderInstances / instancesAtShortest))
  const seconds = Math.min(shortest * 2 ** doublings, Math.max(shortest, longestIntervalSeconds))
  return Math.round(seconds * 1000) / 1000
}
