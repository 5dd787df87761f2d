/**
 * In which contexts an action stands: what came before it, one to three actions long, with gaps and out of order; how fast
 * it went, the hour, what the last one used. Each is a slot with counts of its own, of the user's or of all users'. Pure.
 */

import type { Action } from './context-counts.ts'

/** Where a user stands: the last actions, newest first, and what is known of the last of them. */
export interface Place {
  readonly recent: readonly Action[]
  /** How long before the last one the one before it was, in buckets; 0: not known. */
  readonly gap: number
  /** 0 to 23, in UTC; −1: not known. */
  readonly hour: number
  /** In buckets; 0: not known. */
  readonly usage: number
}

export interface Slot {
  readonly name: string
  /** Whose counts: the user's own, or those that all users share. */
  readonly of: 'user' | 'all'
  /** At first; it is learned from then on. */
  readonly firstWeight: number
  /** The parts of the context; null: there is none here. */
  readonly partsOf: (place: Place) => readonly number[] | null
}

/** So many actions back no slot looks. */
export const placeActions = 8

export const slots: readonly Slot[] = [
  { name: 'user 0', of: 'user', firstWeight: 0.1, partsOf: last(0) },
  { name: 'user 1', of: 'user', firstWeight: 0.3, partsOf: last(1) },
  { name: 'user 2', of: 'user', firstWeight: 0.4, partsOf: last(2) },
  { name: 'user 3', of: 'user', firstWeight: 0.4, partsOf: last(3) },
  { name: 'all 0', of: 'all', firstWeight: 0.1, partsOf: last(0) },
  { name: 'all 1', of: 'all', firstWeight: 0.2, partsOf: last(1) },
  { name: 'all 2', of: 'all', firstWeight: 0.3, partsOf: last(2) },
  { name: 'all 3', of: 'all', firstWeight: 0.3, partsOf: last(3) },
  // What runs at once comes in any order, and among what belongs to something else.
  { name: 'any order', of: 'all', firstWeight: 0.2, partsOf: (place) => last(3)(place)?.toSorted(ascending) ?? null },
  { name: 'second', of: 'all', firstWeight: 0.1, partsOf: lastBut(1, 1) },
  { name: 'second and third', of: 'all', firstWeight: 0.1, partsOf: lastBut(1, 2) },
  { name: 'third', of: 'all', firstWeight: 0.1, partsOf: lastBut(2, 1) },
  { name: 'fourth', of: 'all', firstWeight: 0.1, partsOf: lastBut(3, 1) },
  { name: 'repetition', of: 'user', firstWeight: 0.1, partsOf: lastWith(({ recent }) => countRepetitions(recent)) },
  { name: 'gap', of: 'all', firstWeight: 0.1, partsOf: lastWith(({ gap }) => (gap === 0 ? null : gap)) },
  { name: 'hour', of: 'all', firstWeight: 0.05, partsOf: lastWith(({ hour }) => (hour < 0 ? null : hour)) },
  { name: 'usage', of: 'all', firstWeight: 0.1, partsOf: lastWith(({ usage }) => (usage === 0 ? null : usage)) },
]

function last(count: number): Slot['partsOf'] {
  return lastBut(0, count)
}

function lastBut(skipped: number, count: number): Slot['partsOf'] {
  return ({ recent }) => (recent.length < skipped + count ? null : recent.slice(skipped, skipped + count))
}

function lastWith(extra: (place: Place) => number | null): Slot['partsOf'] {
  return (place) => {
    const [latest] = place.recent
    const part = extra(place)
    return latest === undefined || part === null ? null : [latest, part]
  }
}

function ascending(a: number, b: number): number {
  return a - b
}

/** How often the last action has come in a row. */
function countRepetitions(recent: readonly Action[]): number {
  const other = recent.findIndex((action) => action !== recent[0])
  return other < 0 ? recent.length : other
}

/** A context's number, of 32 bits: that two share one now and then costs a little and harms nothing. */
export function hashContext(slot: number, parts: readonly number[]): number {
  let hash = Math.imul(slot + 1, 0x9e3779b1)
  for (const part of parts) {
    hash = Math.imul(hash ^ part, 0x85ebca6b)
    hash ^= hash >>> 15
  }
  return Math.imul(hash, 0xc2b2ae35) >>> 0
}
