/**
 * Detectors that NAB publishes results of, made anew from their descriptions: a Gaussian over a sliding window, and
 * relative entropy (Wang et al., Statistical Techniques for Online Anomaly Detection in Data Centers, 2011). Each gives a
 * score to each row from nothing but the rows up to it; relative entropy is given the range of its file, as NAB gives it.
 */

export type Detector = (values: Float64Array) => Float64Array

const gaussianWindow = 6400
const gaussianStep = 100

/** One minus the tail beyond a value; the window slides on by a hundred rows at a time. */
export const windowedGaussian: Detector = (values) => {
  let from = 0
  let mean = 0
  let deviation = 1
  const settle = (to: number) => {
    const window = values.subarray(from, to)
    mean = window.reduce((sum, value) => sum + value, 0) / window.length
    deviation = Math.sqrt(window.reduce((sum, value) => sum + (value - mean) ** 2, 0) / window.length) || 1e-6
  }
  return values.map((value, row) => {
    const score = row === 0 ? 0 : 1 - 0.5 * complementaryError(Math.abs(value - mean) / deviation / Math.SQRT2)
    if (row - from < gaussianWindow) settle(row + 1)
    else if (row + 1 - from === gaussianWindow + gaussianStep) {
      from += gaussianStep
      settle(row + 1)
    }
    return score
  })
}

/** W. J. Cody's rational form is more than is needed: a continued fraction for large, a series for small arguments. */
export function complementaryError(x: number): number {
  if (x < 2.5) {
    let term = x
    let sum = x
    for (let n = 1; n < 80; n++) {
      term *= (-x * x) / n
      sum += term / (2 * n + 1)
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum
  }
  let fraction = 0
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (x + fraction)
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction)
}

const bins = 5
const entropyWindow = 52
/** The chi-squared distribution's 99 % at four degrees of freedom. */
const chiSquared = 13.2767

export const relativeEntropy: Detector = (values) => {
  const least = values.reduce((a, b) => Math.min(a, b))
  const width = (values.reduce((a, b) => Math.max(a, b)) - least) / bins
  const hypotheses: { readonly shares: readonly number[]; seen: number }[] = []
  // The histogram's bins are closed below, its last one above as well: so bin 5 takes both.
  const binOf = (value: number) => Math.min(bins - 1, Math.ceil((value - least) / width))
  return values.map((_, row) => {
    if (width === 0 || row + 1 < entropyWindow) return 0
    const counts = Array<number>(bins).fill(0)
    for (const value of values.subarray(row + 1 - entropyWindow, row + 1)) {
      const bin = binOf(value)
      counts[bin] = (counts[bin] ?? 0) + 1
    }
    const shares = counts.map((count) => count / entropyWindow)
    const agreed = hypotheses
      .map((one) => ({ one, distance: 2 * entropyWindow * entropyOf(shares, one.shares) }))
      .filter(({ distance }) => distance < chiSquared)
      .toSorted((a, b) => a.distance - b.distance)[0]?.one
    if (agreed === undefined) {
      hypotheses.push({ shares, seen: 1 })
      return hypotheses.length === 1 ? 0 : 1
    }
    agreed.seen += 1
    return agreed.seen <= 1 ? 1 : 0
  })
}

const entropyOf = (shares: readonly number[], others: readonly number[]) =>
  shares.reduce((sum, share, i) => sum + (share === 0 ? 0 : share * Math.log(share / (others[i] ?? 0))), 0)
