/**
 * The scoring rules of the Numenta Anomaly Benchmark (Lavin and Ahmad, 2015): the first detection within a labelled window
 * earns the more the earlier it is, a window without one costs, and so does each detection outside, less so just after a
 * window. The first 15 % of a file, 750 rows at most, are for learning. Pure.
 */

export interface Weights {
  readonly tpWeight: number
  readonly fnWeight: number
  readonly fpWeight: number
}

/** One file: when its rows are, how strange a detector finds each, and what people found, milliseconds since the epoch. */
export interface ScoredFile {
  readonly name: string
  readonly stampsMs: readonly number[]
  readonly scores: Float64Array
  readonly windows: readonly (readonly [fromMs: number, toMs: number])[]
}

const probationShare = 0.15
const probationRowsMaximum = 750

interface Window {
  readonly first: number
  readonly last: number
}

/** What a detection at a row is worth: within a window 0 to 1, outside it 0 to -1. */
function worthOf(row: number, windows: readonly Window[]): { readonly window: number | null; readonly worth: number } {
  const within = windows.findIndex(({ first, last }) => first <= row && row <= last)
  const window = windows[within]
  if (window !== undefined) {
    const width = window.last - window.first + 1
    return { window: within, worth: sigmoid(-(window.last - row + 1) / width) / sigmoid(-1) }
  }
  const before = windows.findLast(({ last }) => last < row)
  if (before === undefined) return { window: null, worth: -1 }
  return { window: null, worth: sigmoid((row - before.last) / (before.last - before.first)) }
}

const sigmoid = (position: number) => (position >= 3 ? -1 : 2 / (1 + Math.exp(5 * position)) - 1)

export const probationOf = (rows: number): number => Math.floor(Math.min(probationShare * rows, probationRowsMaximum))

function findWindows({ stampsMs, windows }: ScoredFile): readonly Window[] {
  return windows.map(([fromMs, toMs]) => ({
    first: stampsMs.findIndex((stamp) => stamp >= fromMs),
    last: stampsMs.findLastIndex((stamp) => stamp <= toMs),
  }))
}

/** The raw score of a file where each row that is at least as strange as the threshold is a detection. */
export function scoreFile(file: ScoredFile, threshold: number, weights: Weights): number {
  const windows = findWindows(file)
  const best = windows.map(() => -weights.fnWeight)
  // A window that is over before anything counts is nobody's.
  const probation = probationOf(file.scores.length)
  for (const [i, { last }] of windows.entries()) if (last < probation) best[i] = 0
  let outside = 0
  for (let row = probation; row < file.scores.length; row++) {
    if ((file.scores[row] ?? 0) < threshold) continue
    const { window, worth } = worthOf(row, windows)
    if (window === null) outside += worth * weights.fpWeight
    else best[window] = Math.max(best[window] ?? 0, worth * weights.tpWeight)
  }
  return best.reduce((sum, one) => sum + one, outside)
}

/** Of several files together: 0 is what no detection at all gets, 100 is each window told of at its beginning. */
export function normalize(raw: number, windows: number, { tpWeight, fnWeight }: Weights): number {
  const nothing = -windows * fnWeight
  return (100 * (raw - nothing)) / (windows * tpWeight - nothing)
}

/** The best of all thresholds, for all files. */
export function findThreshold(files: readonly ScoredFile[], weights: Weights): { threshold: number; raw: number } {
  // Sweeping down over all rows at once: what a row adds depends on its own file and window alone.
  const rows: {
    readonly score: number
    readonly file: number
    readonly window: number | null
    readonly worth: number
  }[] = []
  let raw = 0
  const best = files.map((file, index) => {
    const windows = findWindows(file)
    const probation = probationOf(file.scores.length)
    for (let row = probation; row < file.scores.length; row++) {
      rows.push({ score: file.scores[row] ?? 0, file: index, ...worthOf(row, windows) })
    }
    const begin = windows.map(({ last }) => (last < probation ? 0 : -weights.fnWeight))
    raw += begin.reduce((sum, one) => sum + one, 0)
    return begin
  })
  rows.sort((a, b) => b.score - a.score)
  let found = { threshold: Number.POSITIVE_INFINITY, raw }
  for (const [i, { score, file, window, worth }] of rows.entries()) {
    const ofFile = best[file] ?? []
    if (window === null) raw += worth * weights.fpWeight
    else {
      const before = ofFile[window] ?? 0
      ofFile[window] = Math.max(before, worth * weights.tpWeight)
      raw += (ofFile[window] ?? 0) - before
    }
    if (rows[i + 1]?.score !== score && raw > found.raw) found = { threshold: score, raw }
  }
  return found
}
