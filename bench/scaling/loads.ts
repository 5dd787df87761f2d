/** The loads of a replay: flash crowds, and real days. Reads the figures beside it. */

import { readFileSync } from 'node:fs'
import { createChance } from '../../test/simulation/random.ts'

const stepSeconds = 300
/** So that the busiest days ask for as many instances as there may be. */
const scale = 2

/** Each real day, a value for each second: what came in five minutes came evenly, but for chance. */
export const readDays = (): readonly Float64Array[] => readLines('elb-request-count.txt', scale)

/** As busy as processors were: at their greatest, six times a hundred requests a second. */
export const readProcessorDays = (): readonly Float64Array[] => readLines('group-processors.txt', 6)

function readLines(file: string, times: number): readonly Float64Array[] {
  const text = readFileSync(new URL(file, import.meta.url), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line, day) =>
      spread(
        line.split(' ').flatMap((value) => Array<number>(stepSeconds).fill(Number(value) * times)),
        day,
      ),
    )
}

/** Quiet, then in ten seconds eight times as many for ten minutes, then quiet again. */
export function makeFlashCrowd(seed: number): Float64Array {
  const quiet = 80
  const crowd = 640
  const rates = Array.from({ length: 2 * 3600 }, (_, second) => {
    const since = second - 1800
    if (since < 0 || since >= 600) return quiet
    return quiet + (crowd - quiet) * Math.min(1, since / 10)
  })
  return spread(rates, seed)
}

/** Requests come independently of each other: around the mean by about its square root. */
function spread(rates: readonly number[], seed: number): Float64Array {
  const chance = createChance(seed + 1)
  return Float64Array.from(rates, (rate) => {
    // Twelve uniform numbers make one that is as good as normal.
    let normal = -6
    for (let i = 0; i < 12; i++) normal += chance.below(1_000_000) / 1_000_000
    return Math.max(0, Math.round(rate + normal * Math.sqrt(rate)))
  })
}
