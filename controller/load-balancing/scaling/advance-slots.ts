/**
 * How a balancer comes to have fewer slots without a request being lost, one step at a time: the newest is marked as
 * leaving, so that no name lists its VIP; once whoever asked for the name has had to ask again its instance drains; once it
 * has, the slot goes. What is recorded says all, so any controller carries on; a slot that is wanted again meanwhile just
 * stays. Pure.
 */

import type { SlotValue } from '../../objects.ts'

export interface SlotsTurn {
  readonly slots: readonly SlotValue[]
  readonly wantedCount: number
  /** For how long a name's answer may be used. */
  readonly nameSeconds: number
  /** When its balancer's name ceased to list it, milliseconds since the epoch; null: it does still. */
  readonly unlistedSince: (slot: SlotValue) => number | null
  readonly drainSeconds: number
  /** Its instance is on a host that is there. */
  readonly isPlaced: (slot: SlotValue) => boolean
  /** Nobody is cut off when it goes. */
  readonly isDrained: (slot: SlotValue) => boolean
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface SlotsChange {
  /** Those that are left, as they are from now on. */
  readonly kept: readonly SlotValue[]
  readonly retired: readonly SlotValue[]
}

/** A host that says nothing is waited for as long as it may take to drain, and so much longer. */
const drainGraceSeconds = 5

/** Null: there is nothing to change. */
export function advanceSlots(turn: SlotsTurn): SlotsChange | null {
  const marked = markSlots(turn)
  const retired = marked.filter((slot) => isDone(turn, slot))
  const kept = marked.filter((slot) => !retired.includes(slot)).map((slot) => beginDraining(turn, slot))
  const isSame = retired.length === 0 && kept.every((slot, i) => slot === turn.slots[i])
  return isSame ? null : { kept, retired }
}

export const isStaying = ({ leavingSince }: Pick<SlotValue, 'leavingSince'>): boolean => leavingSince === undefined

/** In their order, the very same where nothing changes. */
function markSlots(turn: SlotsTurn): readonly SlotValue[] {
  const { slots, wantedCount, isPlaced, now } = turn
  const staying = slots.filter(isStaying)
  const surplus = Math.max(0, staying.length - wantedCount)
  const missing = Math.max(0, wantedCount - staying.length)
  // An empty one serves nobody; else the newest, which has the highest number.
  const leaving = new Set(
    staying.toSorted((a, b) => Number(isPlaced(a)) - Number(isPlaced(b)) || b.slot - a.slot).slice(0, surplus),
  )
  const returning = new Set(
    slots
      .filter((slot) => !isStaying(slot) && isPlaced(slot))
      .toSorted((a, b) => a.slot - b.slot)
      .slice(0, missing),
  )
  return slots.map((slot) => {
    if (leaving.has(slot)) return { ...slot, leavingSince: new Date(now).toISOString() }
    if (!returning.has(slot)) return slot
    const { leavingSince: _leaving, drainingSince: _draining, ...back } = slot
    return back
  })
}

function beginDraining({ now, nameSeconds, unlistedSince }: SlotsTurn, slot: SlotValue): SlotValue {
  if (slot.leavingSince === undefined || slot.drainingSince !== undefined) return slot
  const since = unlistedSince(slot)
  if (since === null || now < since + nameSeconds * 1000) return slot
  return { ...slot, drainingSince: new Date(now).toISOString() }
}

function isDone({ now, drainSeconds, isPlaced, isDrained }: SlotsTurn, slot: SlotValue): boolean {
  if (slot.leavingSince === undefined) return false
  if (!isPlaced(slot)) return true
  if (slot.drainingSince === undefined) return false
  return isDrained(slot) || now >= Date.parse(slot.drainingSince) + (drainSeconds + drainGraceSeconds) * 1000
}
