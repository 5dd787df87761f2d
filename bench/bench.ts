/** What every bench is given and gives back. Types, and what several of them share. */

import type { Findings, Result } from './result.ts'
import type { Cleanup } from './system/cleanup.ts'

export interface BenchOptions {
  /** How often the measured thing is done; each bench has its own default. */
  readonly times?: number
  /** How many microshards there are at most in `microshard-count`, load balancers in `gap`; in `fleet` and `provider` at most, where 1 is all of their sizes. */
  readonly balancers: number
  /** Minutes of full CPU load in `gap`; 0: none. */
  readonly stressMinutes: number
  /** The least number of requests in `failed-requests` and in the overlaps of `migrate`. */
  readonly requests: number
  /** How many machines there are in `migrate`, which has a default of its own. */
  readonly machines?: number
}

export interface BenchContext {
  readonly options: BenchOptions
  readonly cleanup: Cleanup
  readonly tell: (text: string) => void
}

export interface Bench {
  /** One sentence on what it measures, for the command's help. */
  readonly summary: string
  run(context: BenchContext): Promise<Findings>
  plot(result: Result): string
}

/** The samples of one series, to be drawn. */
export const samplesOf = (result: Result, name: string): readonly number[] =>
  result.series.find((series) => series.name === name)?.samples ?? []
