/** Percentiles, summaries and ratios of samples. Pure. */

export interface Summary {
  readonly count: number
  readonly minimum: number
  readonly p50: number
  readonly p99: number
  readonly maximum: number
  readonly mean: number
}

/**
 * The nearest-rank percentile: the smallest sample that at least that share of the samples does not exceed. It is always
 * a sample, so the p99 of fewer than a hundred is their maximum.
 *
 * @example
 * percentile([5, 1, 3], 0.5) // 3
 */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
  if (value === undefined) throw new Error('BUG: a percentile of no samples')
  return value
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5)

export function summarize(samples: readonly number[]): Summary {
  return {
    count: samples.length,
    minimum: percentile(samples, 0),
    p50: percentile(samples, 0.5),
    p99: percentile(samples, 0.99),
    maximum: percentile(samples, 1),
    mean: samples.reduce((sum, sample) => sum + sample, 0) / samples.length,
  }
}

/** The slope and intercept of the least-squares line through the points. */
export function fitLine(points: readonly { readonly x: number; readonly y: number }[]): {
  readonly slope: number
  readonly intercept: number
} {
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length
  const covariance = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0)
  const variance = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0)
  const slope = variance === 0 ? 0 : covariance / variance
  return { slope, intercept: meanY - slope * meanX }
}

/** For people: three significant digits, no exponent. */
export function show(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3
  return value.toLocaleString('en-US', { maximumFractionDigits: digits })
}
