/**
 * Tells strange readings of a series as they come, each by nothing but those before it: a level that was never there, and
 * values that are spread as they never were, over a short and over a long window. Keeps a fixed number of numbers, takes
 * microseconds for a reading, and reads no clock: readings count in the order in which they come.
 *
 * @example
 * const detector = createAnomalyDetector()
 * for (const observation of observations) if (detector.observe(observation).isAnomaly) investigate(observation)
 */

import { magnitudeMaximum } from '../forecast/admit-observation.ts'
import { type Arena, createArena, type Layout } from '../forecast/arena.ts'
import type { AnomalyDetector } from './anomaly-detector.ts'
import { createRangeNovelty, rangeNoveltyLength } from './range-novelty.ts'
import { createSpreadNovelty, type SpreadShape, spreadNoveltyLength } from './spread-novelty.ts'

export interface AnomalyDetectorOptions {
  /** Scores from there on are anomalies. */
  readonly threshold?: number
}

/** Raised with whatever changes the meaning of what is saved. */
const format = 1
/** What two in a thousand readings of twelve real series exceed: each of the three counts as much. */
const shortSpread: SpreadShape & { readonly unit: number } = { bins: 5, window: 24, unit: 12.4 }
const longSpread: SpreadShape & { readonly unit: number } = { bins: 10, window: 100, unit: 14.7 }
const rangeUnit = 0.0129
/** The best on those series by the rules of the Numenta Anomaly Benchmark. */
export const usualThreshold = 0.58
/** Until so many were seen everything is new, and nothing strange. */
const learningReadings = 150
/** For so many readings only what is stranger still is told. */
const quietReadings = 150

const stateLength = 3
const length = stateLength + rangeNoveltyLength + spreadNoveltyLength(shortSpread) + spreadNoveltyLength(longSpread)
const layout: Layout = [format, length]
const usual = { score: 0, isAnomaly: false }

export const createAnomalyDetector = (options: AnomalyDetectorOptions = {}): AnomalyDetector =>
  makeDetector(createArena(length, layout), options)

/** Undefined: what was saved is of another format or damaged; whoever asked begins anew. */
export function restoreAnomalyDetector(
  saved: Uint8Array,
  options: AnomalyDetectorOptions = {},
): AnomalyDetector | undefined {
  const arena = createArena(length, layout, saved)
  return arena && makeDetector(arena, options)
}

function makeDetector(arena: Arena, { threshold = usualThreshold }: AnomalyDetectorOptions): AnomalyDetector {
  const state = arena.take(stateLength)
  const [seen, told, toldAt] = [0, 1, 2] as const
  const read = (place: number) => state[place] ?? 0
  const range = createRangeNovelty(arena)
  const short = createSpreadNovelty(arena, shortSpread)
  const long = createSpreadNovelty(arena, longSpread)
  return {
    observe({ value }) {
      if (!Number.isFinite(value)) return usual
      const reading = Math.max(-magnitudeMaximum, Math.min(magnitudeMaximum, value))
      const strangeness = Math.max(
        range.observe(reading) / rangeUnit,
        short.observe(reading) / shortSpread.unit,
        long.observe(reading) / longSpread.unit,
      )
      state[seen] = read(seen) + 1
      if (read(seen) <= learningReadings) return usual
      if (read(seen) - read(toldAt) > quietReadings) state[told] = 0
      // What was told already is not told again, unless it becomes worse.
      if (strangeness <= read(told)) return usual
      const score = 1 - 2 ** -strangeness
      state[told] = strangeness
      state[toldAt] = read(seen)
      return { score, isAnomaly: score >= threshold }
    },
    save: () => arena.save(),
  }
}
