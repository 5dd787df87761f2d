/**
 * Reads kept in memory, over interleaved writes, readings ahead and lagging memories: nothing below what a caller names
 * or has seen, nothing older than the bound. SLUICE_PREFETCH_STEPS runs more of it, as a million; a seed that fails is run
 * alone by SLUICE_PREFETCH_SEED.
 */

import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { runCachedReads } from './cached-reads.ts'
import { createChance } from './random.ts'

setDefaultTimeout(600_000)

const stepsDefault = 60_000
const steps = Number(process.env.SLUICE_PREFETCH_STEPS ?? stepsDefault)
const seed = Number(process.env.SLUICE_PREFETCH_SEED ?? 1)

const weathers: readonly (readonly [string, { readonly ageMillisecondsMaximum: number; readonly heard: number }])[] = [
  ['when every change is heard of', { ageMillisecondsMaximum: 2_000, heard: 1 }],
  ['when half of the changes are not heard of', { ageMillisecondsMaximum: 2_000, heard: 0.5 }],
  ['when nothing is heard of, and the bound is short', { ageMillisecondsMaximum: 200, heard: 0 }],
]

describe('reads that are kept in memory', () => {
  for (const [sentence, weather] of weathers) {
    test(`are never below what is named or seen, and never too old, ${sentence}`, async () => {
      const end = await runCachedReads(createChance(seed), { steps: Math.ceil(steps / weathers.length), ...weather })
      expect(end.faults).toEqual([])
      expect(end.behindMillisecondsMaximum).toBeLessThanOrEqual(weather.ageMillisecondsMaximum)
      // It is no proof where nothing was served out of memory, or nothing was written meanwhile.
      expect(end.hits).toBeGreaterThan(50)
      expect(Math.min(end.writes, end.prefetches)).toBeGreaterThan(steps / weathers.length / 30)
    })
  }
})
