/** What is told of each reading of a series: how strange it is after all before it. Pure types. */

import type { Observation } from '../forecast/forecaster.ts'

export interface Judgement {
  /** 0: as usual, or no stranger than what was told just before; to 1: as good as never seen. */
  readonly score: number
  /** True at the beginning of an anomaly: what goes on is told again only where it becomes worse, or after a while. */
  readonly isAnomaly: boolean
}

export interface AnomalyDetector {
  /** A value that is no number is judged as usual and not learned; never throws. */
  observe(observation: Observation): Judgement
  /** All that it knows, with the format's version; `restoreAnomalyDetector` goes on from there. */
  save(): Uint8Array
}
