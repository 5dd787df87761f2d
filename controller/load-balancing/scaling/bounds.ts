/** Between how many instances scaling may choose at a moment: a balancer's own bounds, and those of its schedules. Pure. */

import { type AutoScaling, type ScalingSchedule, weekdays } from '../../contract/scaling.ts'

export interface ScalingBounds {
  readonly minimum: number
  readonly maximum: number
  /** The places of the schedules that hold. */
  readonly schedules: readonly number[]
}

type Bounded = Pick<AutoScaling, 'minimum' | 'maximum' | 'schedules'>

/** @param now milliseconds since the epoch */
export const boundsAt = (autoScaling: Bounded, now: number): ScalingBounds =>
  boundsAtMinute(autoScaling, minuteOfWeek(now))

export interface Contradiction {
  readonly bounds: ScalingBounds
  /** As `monday 08:00`. */
  readonly at: string
}

/** The first moment of the week at which a minimum is more than a maximum; null: there is none. */
export function findContradiction(autoScaling: Bounded): Contradiction | null {
  // Bounds change only where a window begins or ends.
  const edges = autoScaling.schedules.flatMap((schedule) =>
    windowsOf(schedule).flatMap(({ first, minutes }) => [first, (first + minutes) % minutesPerWeek]),
  )
  for (const minute of new Set([0, ...edges.toSorted((a, b) => a - b)])) {
    const bounds = boundsAtMinute(autoScaling, minute)
    if (bounds.minimum > bounds.maximum) return { bounds, at: describeMinute(minute) }
  }
  return null
}

export function clampCount(count: number, { minimum, maximum }: Pick<ScalingBounds, 'minimum' | 'maximum'>): number {
  return Math.max(minimum, Math.min(maximum, count))
}

/** What a schedule gives takes the place of the balancer's own; of several that hold the narrowest counts. */
function boundsAtMinute({ minimum, maximum, schedules }: Bounded, minute: number): ScalingBounds {
  const held = schedules.flatMap((schedule, i) => (holds(schedule, minute) ? [i] : []))
  const given = (bound: 'minimum' | 'maximum') => held.flatMap((i) => schedules[i]?.[bound] ?? [])
  const minimums = given('minimum')
  const maximums = given('maximum')
  return {
    minimum: minimums.length > 0 ? Math.max(...minimums) : minimum,
    maximum: maximums.length > 0 ? Math.min(...maximums) : maximum,
    schedules: held,
  }
}

const minutesPerDay = 24 * 60
const minutesPerWeek = weekdays.length * minutesPerDay
/** The epoch was a Thursday. */
const epochMinute = weekdays.indexOf('thursday') * minutesPerDay

const minuteOfWeek = (now: number): number => (Math.floor(now / 60_000) + epochMinute) % minutesPerWeek

const holds = (schedule: ScalingSchedule, minute: number): boolean =>
  windowsOf(schedule).some(({ first, minutes }) => (minute - first + minutesPerWeek) % minutesPerWeek < minutes)

function windowsOf({ days, from, until }: ScalingSchedule): { readonly first: number; readonly minutes: number }[] {
  const begin = minuteOfDay(from)
  const end = minuteOfDay(until)
  const minutes = end > begin ? end - begin : end - begin + minutesPerDay
  return days.map((day) => ({ first: weekdays.indexOf(day) * minutesPerDay + begin, minutes }))
}

function minuteOfDay(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number)
  return hours * 60 + minutes
}

function describeMinute(minute: number): string {
  const ofDay = minute % minutesPerDay
  const two = (value: number) => String(value).padStart(2, '0')
  return `${weekdays[Math.floor(minute / minutesPerDay)]} ${two(Math.floor(ofDay / 60))}:${two(ofDay % 60)}`
}
