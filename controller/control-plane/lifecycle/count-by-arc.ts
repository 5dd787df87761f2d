/** How much of what is counted by shard key lies in which microshard, whatever weights its keys have. Pure. */

import {
  isWithin,
  type MicroshardDirectory,
  type MicroshardEntry,
  pointIn,
  type Ring,
} from '../microshard-directory.ts'
import type { ShardKey } from '../shard-key.ts'

export interface ArcCount {
  readonly objects: number
  /** Points of the ring that they lie at. */
  readonly keys: number
}

type Counts = ReadonlyMap<ShardKey, number>

export function countByArc(
  directory: Pick<MicroshardDirectory, 'keyLayouts'>,
  entries: readonly MicroshardEntry[],
  counts: Counts,
): ReadonlyMap<string, ArcCount> {
  const byLayout = Map.groupBy(entries, ({ layout }) => layout)
  const found = [...byLayout.values()].flatMap((own): readonly (readonly [string, ArcCount])[] => {
    const [first] = own
    if (first === undefined) return []
    const points = [...sumByPoint(directory, first, counts)].sort(([a], [b]) => (a < b ? -1 : 1))
    return own.map(({ id, from, to }) => {
      const within = points.slice(findFirst(points, from), findFirst(points, to, true))
      return [id, { keys: within.length, objects: within.reduce((sum, [, count]) => sum + count, 0) }]
    })
  })
  return new Map(found)
}

/** Of what lies in a microshard, by point as the microshard means it. */
export function sumWithin(ring: Pick<Ring, 'keyLayouts'>, entry: MicroshardEntry, counts: Counts): Counts {
  return sumByPoint(ring, entry, new Map([...counts].filter(([key]) => isWithin(ring, entry, key))))
}

function sumByPoint(ring: Pick<Ring, 'keyLayouts'>, entry: MicroshardEntry, counts: Counts): Counts {
  const sums = new Map<ShardKey, number>()
  for (const [key, count] of counts) {
    if (count <= 0) continue
    const point = pointIn(ring, entry, key)
    sums.set(point, (sums.get(point) ?? 0) + count)
  }
  return sums
}

/** The place of the first point that is not below this one, or that is above it. */
function findFirst(points: readonly (readonly [ShardKey, number])[], point: ShardKey, isAbove = false): number {
  let [low, high] = [0, points.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const found = points[middle]?.[0] ?? ''
    if (found < point || (isAbove && found === point)) low = middle + 1
    else high = middle
  }
  return low
}
