/** The mark of a value that is decided only when a plan is applied. It exists in configurations and plans, never in a state. */

export const unknown: unique symbol = Symbol('unknown until applied')
export type Unknown = typeof unknown

/** @example `isUnknown(planned.cidr) ? undefined : parse(planned.cidr)` */
export const isUnknown = (value: unknown): value is Unknown => value === unknown

/** True when neither the value nor anything within it is unknown. */
export function isWhollyKnown(value: unknown): boolean {
  if (value === unknown) return false
  if (Array.isArray(value)) return value.every(isWhollyKnown)
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isWhollyKnown)
  return true
}
