/** Loads of microshards for a replay: a day's rhythm that is made up, and real series of measures. Pure but for what it is given. */

import type { SimulatedKey } from '../../test/simulation/policies-world.ts'
import { createChance } from '../../test/simulation/random.ts'
import type { EvenSeries } from '../forecast/series.ts'

const daySeconds = 86_400
const meanAccesses = 100
const keyBytes = 20e6
/** In how many parts of the world it is day at another time. */
const regions = 6
const noise = 0.1

/** Each has its day, in one of six parts of the world; how large it is differs by a factor of seven. */
export function makeDailyKeys(seed: number, count: number): readonly SimulatedKey[] {
  const chance = createChance(seed)
  return Array.from({ length: count }, () => {
    const phase = chance.below(regions) / regions
    const scale = drawScale(chance.next())
    const own = createChance(chance.below(2 ** 31))
    const noises = Float64Array.from({ length: 4099 }, () => 1 + noise * (own.next() - 0.5))
    return {
      bytes: keyBytes,
      loadAt(second) {
        const rhythm = 3 * Math.max(0.05, Math.sin(2 * Math.PI * (second / daySeconds + phase))) ** 2
        return scale * rhythm * (noises[Math.floor(second / 60) % noises.length] ?? 1)
      },
    }
  })
}

/** Each replays a real series, from some place on and over again, made as large as the others on average. */
export function makeRealKeys(seed: number, count: number, series: readonly EvenSeries[]): readonly SimulatedKey[] {
  const chance = createChance(seed)
  return Array.from({ length: count }, () => {
    const replayed = chance.pick(series)
    if (replayed === undefined) throw new Error('there is no series to replay')
    const { values, stepMs } = replayed
    const mean = values.reduce((sum, value) => sum + Math.max(0, value), 0) / values.length
    const scale = drawScale(chance.next()) / Math.max(1e-9, mean)
    const from = chance.below(values.length)
    return {
      bytes: keyBytes,
      loadAt: (second) =>
        scale * Math.max(0, values[(from + Math.floor((second * 1000) / stepMs)) % values.length] ?? 0),
    }
  })
}

/** From 0.37 to 2.7 times the mean. */
const drawScale = (drawn: number) => meanAccesses * Math.exp(2 * drawn - 1)
