/**
 * Quantiles of latencies in bounded memory: counts in buckets whose bounds grow by a fixed ratio, so that a quantile is
 * wrong by at most `relativeError`, and what several have counted is added. Pure.
 *
 * Masson, Rim and Lee 2019, "DDSketch" (https://arxiv.org/abs/1908.10693), without its collapsing, since the range is fixed.
 */

export interface LatencySketch {
  note(milliseconds: number): void
  add(buckets: SketchBuckets): void
  /** What is counted, as it travels: a bucket and its count each, in the order of buckets. */
  list(): SketchBuckets
  clear(): void
}

export type SketchBuckets = readonly (readonly [bucket: number, count: number])[]

export const relativeError = 0.05
/** What is below counts as this, and what is above as the other. */
export const leastMilliseconds = 0.01
export const mostMilliseconds = 60_000

const ratio = (1 + relativeError) / (1 - relativeError)
const logOfRatio = Math.log(ratio)
export const bucketCount = Math.ceil(Math.log(mostMilliseconds / leastMilliseconds) / logOfRatio) + 1

export function createLatencySketch(): LatencySketch {
  const counts = new Uint32Array(bucketCount)
  return {
    note(milliseconds) {
      const bucket = bucketOf(milliseconds)
      counts[bucket] = (counts[bucket] ?? 0) + 1
    },
    add(buckets) {
      for (const [bucket, count] of buckets) counts[bucket] = (counts[bucket] ?? 0) + count
    },
    list() {
      const found: [number, number][] = []
      for (let bucket = 0; bucket < bucketCount; bucket++) {
        const count = counts[bucket] ?? 0
        if (count > 0) found.push([bucket, count])
      }
      return found
    },
    clear: () => void counts.fill(0),
  }
}

/** Nearest-rank; null: nothing was counted. `share` from 0 to 1. */
export function quantileOf(buckets: SketchBuckets, share: number): number | null {
  const total = buckets.reduce((sum, [, count]) => sum + count, 0)
  if (total === 0) return null
  let left = Math.max(1, Math.ceil(share * total))
  for (const [bucket, count] of buckets) {
    left -= count
    if (left <= 0) return middleOf(bucket)
  }
  return null
}

/** The bucket's upper bound is `least × ratio^bucket`. */
function bucketOf(milliseconds: number): number {
  if (!(milliseconds > leastMilliseconds)) return 0
  return Math.min(bucketCount - 1, Math.ceil(Math.log(milliseconds / leastMilliseconds) / logOfRatio))
}

/** As far from one bound as from the other, in ratios. */
const middleOf = (bucket: number) => (2 * leastMilliseconds * ratio ** bucket) / (ratio + 1)
