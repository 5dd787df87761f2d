/** What a counter counted between two readings, where it may have wrapped or begun anew. Pure. */

/**
 * `gauge`: a level, as it is. `derive`: counts up, and begins anew with its program. `counter`: counts up within 32 or 64
 * bits, wraps, and begins anew with its program. `absolute`: so many since the reading before. The words are collectd's.
 */
export const seriesKinds = ['gauge', 'derive', 'counter', 'absolute'] as const
export type SeriesKind = (typeof seriesKinds)[number]

const bits32 = 2 ** 32
const bits64 = 2 ** 64

/**
 * Never less than nothing. A reading below the one before is a wrap where that makes less than half of what the counter
 * can hold, else the program began anew, and what it has counted since is known.
 * @example measureIncrease('counter', 4294967290, 4) // 10
 */
export function measureIncrease(kind: Exclude<SeriesKind, 'gauge'>, before: number, after: number): number {
  if (kind === 'absolute') return after
  if (after >= before) return after - before
  if (kind === 'counter') {
    const size = before < bits32 ? bits32 : bits64
    const wrapped = size - before + after
    if (before < size && wrapped < size / 2) return wrapped
  }
  return after
}
