/**
 * Tells strange readings of a series as they come, each by nothing but those before it. Keeps a fixed number of numbers and
 * reads no clock.
 */

import { magnitudeMaximum } from '../forecast/admit-observation.ts'
import { type Arena, createArena, type Layout } from '../forecast/arena.ts'
import type { AnomalyDetector } from './anomaly-detector.ts'

export interface AnomalyDetectorOptions {
  /** Scores from there on are anomalies. */
  readonly threshold?: number
}

const format = 1
const stateLength = 5
/** Until so many were seen nothing is strange. */
const begun = 150
const levelRate = 0.3
const usualRate = 0.005

const layout: Layout = [format]

export const createAnomalyDetector = (options: AnomalyDetectorOptions = {}): AnomalyDetector =>
  makeDetector(createArena(stateLength, layout), options)

/** Undefined: what was saved is of another format or damaged; whoever asked begins anew. */
export function restoreAnomalyDetector(
  saved: Uint8Array,
  options: AnomalyDetectorOptions = {},
): AnomalyDetector | undefined {
  const arena = createArena(stateLength, layout, saved)
  return arena && makeDetector(arena, options)
}

function makeDetector(arena: Arena, { threshold = 0.9999 }: AnomalyDetectorOptions): AnomalyDetector {
  const state = arena.take(stateLength)
  const [seen, level, mean, variance, isStrange] = [0, 1, 2, 3, 4] as const
  const read = (place: number) => state[place] ?? 0
  return {
    observe({ value }) {
      if (!Number.isFinite(value)) return { score: 0, isAnomaly: false }
      const reading = Math.max(-magnitudeMaximum, Math.min(magnitudeMaximum, value))
      if (read(seen) === 0) state[level] = reading
      state[seen] = read(seen) + 1
      const error = Math.abs(reading - read(level))
      const spread = Math.sqrt(read(variance))
      const distance = spread > 0 ? (error - read(mean)) / spread : error > 0 ? Number.POSITIVE_INFINITY : 0
      const rate = Math.max(usualRate, 1 / read(seen))
      const before = error - read(mean)
      state[mean] = read(mean) + rate * before
      state[variance] = (1 - rate) * (read(variance) + rate * before * before)
      state[level] = read(level) + levelRate * (reading - read(level))
      const score = read(seen) <= begun || distance <= 0 ? 0 : 1 - Math.exp((-distance * distance) / 2)
      const isAnomaly = score >= threshold && read(isStrange) === 0
      state[isStrange] = score >= threshold ? 1 : 0
      return { score, isAnomaly }
    },
    save: () => arena.save(),
  }
}
