/**
 * A load's history in steps of five minutes, for as long as a forecast looks back. A step that nobody observed is not there. Pure.
 */

export interface LoadSeries {
  /** A value of some moment of a step; those of one step are averaged. One that lies before the last step is left out. */
  note(atMilliseconds: number, value: number): void
  /** Whole steps, the oldest first: when each began, and what it was on average. */
  steps(): readonly LoadStep[]
  /** The highest of the steps that began since then; 0: there is none. */
  peak(sinceMilliseconds: number): number
  isEmpty(): boolean
}

export interface LoadStep {
  readonly atMilliseconds: number
  readonly value: number
}

export const stepMilliseconds = 300_000
/** Two weeks: a weekly season can be told from two of it. */
export const stepsKept = 14 * 24 * 12

/** `before`: of those that it takes over from, whose sum times the share it begins with. */
export function createLoadSeries(before: readonly LoadSeries[] = [], share = 1): LoadSeries {
  let kept: LoadStep[] = []
  let open = { step: 0, sum: 0, count: 0 }

  const inherited = new Map<number, number>()
  for (const series of before) {
    for (const { atMilliseconds, value } of series.steps()) {
      inherited.set(atMilliseconds, (inherited.get(atMilliseconds) ?? 0) + value * share)
    }
  }
  kept = [...inherited].map(([atMilliseconds, value]) => ({ atMilliseconds, value }))
  kept.sort((a, b) => a.atMilliseconds - b.atMilliseconds)

  function closeStep(): void {
    if (open.count === 0) return
    kept.push({ atMilliseconds: open.step * stepMilliseconds, value: open.sum / open.count })
    if (kept.length > stepsKept) kept.splice(0, kept.length - stepsKept)
  }

  return {
    note(atMilliseconds, value) {
      if (!Number.isFinite(value)) return
      const step = Math.floor(atMilliseconds / stepMilliseconds)
      const last = kept.at(-1)
      if (step < open.step || (last !== undefined && step * stepMilliseconds <= last.atMilliseconds)) return
      if (step > open.step) {
        closeStep()
        open = { step, sum: 0, count: 0 }
      }
      open.sum += value
      open.count++
    },
    steps: () => kept,
    peak(sinceMilliseconds) {
      let most = 0
      for (let i = kept.length - 1; i >= 0; i--) {
        const step = kept[i]
        if (step === undefined || step.atMilliseconds < sinceMilliseconds) break
        most = Math.max(most, step.value)
      }
      return most
    },
    isEmpty: () => kept.length === 0 && open.count === 0,
  }
}
