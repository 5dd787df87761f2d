/**
 * In what resolutions measures are kept, in pieces of what length, and for how long; and which one answers a question.
 * Pure data and choice.
 */

/** `readings`: as they came, each once; at 10 s a window is one reading of what is measured every 10 s. */
export interface Tier {
  readonly name: 'readings' | 'minute' | 'fiveMinutes' | 'hour'
  /** Of a window. */
  readonly seconds: number
  /** A block holds so much time; a whole number of the pieces of the tier below. */
  readonly blockSeconds: number
  readonly keptSeconds: number
  /** The oldest go first where there is more. */
  readonly bytesMaximum: number
  readonly stream: string
}

const [minute, hour, day] = [60, 3600, 86_400]
const gibibyte = 1024 ** 3

export const readingsTier: Tier = {
  name: 'readings',
  seconds: 10,
  blockSeconds: 15 * minute,
  keptSeconds: 26 * hour,
  bytesMaximum: gibibyte,
  stream: 'METRICS_10S',
}

/** From fine to coarse; each is made of the one before it. */
export const rollupTiers: readonly Tier[] = [
  {
    name: 'minute',
    seconds: minute,
    blockSeconds: hour,
    keptSeconds: 8 * day,
    bytesMaximum: gibibyte,
    stream: 'METRICS_1M',
  },
  {
    name: 'fiveMinutes',
    seconds: 5 * minute,
    blockSeconds: 6 * hour,
    keptSeconds: 40 * day,
    bytesMaximum: gibibyte,
    stream: 'METRICS_5M',
  },
  {
    name: 'hour',
    seconds: hour,
    blockSeconds: 4 * day,
    keptSeconds: 400 * day,
    bytesMaximum: gibibyte,
    stream: 'METRICS_1H',
  },
]

export const tiers: readonly Tier[] = [readingsTier, ...rollupTiers]

/** What a stream of blocks is like: one message a block, the latest. */
export const blockSubjects = (tier: Tier) => `metrics.${tier.name}.>`
/** `owner`: a holder and a type, as ownerOfBlock has it. */
export const blockSubject = (tier: Tier, owner: string, start: number) =>
  `metrics.${tier.name}.${owner}.${Math.floor(start / 1000)}`

export const startOfBlock = (tier: Tier, time: number): number => {
  const milliseconds = tier.blockSeconds * 1000
  return Math.floor(time / milliseconds) * milliseconds
}

/** The starts of the blocks that touch a range. */
export function listBlocks(tier: Tier, from: number, to: number): number[] {
  const starts: number[] = []
  for (let start = startOfBlock(tier, from); start < to; start += tier.blockSeconds * 1000) starts.push(start)
  return starts
}

/**
 * The coarsest whose windows make whole steps; where that does not reach back to the beginning any more, the finest that
 * does. Null: nothing is kept for so long.
 */
export function chooseTier(stepSeconds: number, from: number, now: number): Tier | null {
  const reaches = (tier: Tier) => from >= now - tier.keptSeconds * 1000
  const fitting = tiers.filter((tier) => stepSeconds % tier.seconds === 0 && reaches(tier))
  return fitting.at(-1) ?? tiers.find(reaches) ?? null
}
