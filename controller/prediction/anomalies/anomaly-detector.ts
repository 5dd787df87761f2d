/** What is told of each reading of a series: how strange it is after all before it. Pure types. */

import type { Observation } from '../forecast/forecaster.ts'

export interface Judgement {
  /** 0: as usual, to 1: as good as never seen. */
  readonly score: number
  /** True once for each anomaly, at its beginning: what goes on is not told again. */
  readonly isAnomaly: boolean
}

export interface AnomalyDetector {
  /** A value that is no number is judged as usual and not learned; never throws. */
  observe(observation: Observation): Judgement
  /** All that it knows, with the format's version; `restoreAnomalyDetector` goes on from there. */
  save(): Uint8Array
}
