/**
 * Which action ids an object keeps: pure. Its last ones whatever they are; and those of requests with an Idempotency-Key
 * for some minutes, as such a request may be repeated when its answer got lost, whatever others have written since.
 */

import { actionsKeptMaximum } from './store.ts'

/** How long after it first came a repeated request is told by the object itself. */
export const keyedActionKeptMilliseconds = 600_000
/** Of those that are older than the last ones. */
export const keyedActionsKeptMaximum = 240

/** A request's seed begins with the time at which it first came, in milliseconds: `key 1767225600000.0f…`. */
export const keyedActionId = (seed: string): string => `key ${seed}`
const timeOfKeyed = (actionId: string): number | null => {
  const milliseconds = /^key (\d+)\./.exec(actionId)?.[1]
  return milliseconds === undefined ? null : Number(milliseconds)
}

/** @param now milliseconds since the epoch */
export function keepActionIds(known: readonly string[], own: readonly string[], now: number): readonly string[] {
  const all = [...known, ...own]
  const last = Math.max(actionsKeptMaximum, own.length)
  if (all.length <= last) return all
  const young = all.slice(0, -last).filter((actionId) => {
    const time = timeOfKeyed(actionId)
    return time !== null && now - time <= keyedActionKeptMilliseconds
  })
  return [...young.slice(-keyedActionsKeptMaximum), ...all.slice(-last)]
}
