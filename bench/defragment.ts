/**
 * The planners that make room: against the optimum by brute force on small spaces, and against emptying the emptiest
 * shards first fit on 1,000 random histories; and how long a plan takes. Needs no lab, and is the same in each run but for
 * the times.
 */

import { compactByBruteForce, defragmentByBruteForce } from '../controller/address-space/defragment/brute-force.ts'
import { planCompaction } from '../controller/address-space/defragment/plan-compaction.ts'
import { planDefragmentation } from '../controller/address-space/defragment/plan-defragmentation.ts'
import { createRandomSpace } from '../controller/address-space/defragment/random-space.ts'
import type { SpaceShard } from '../controller/address-space/defragment/space-shard.ts'
import { createChance } from '../test/simulation/random.ts'
import type { Bench } from './bench.ts'
import { carryOut, evacuateFirstFit } from './defragment/first-fit.ts'
import { createRandomHistory, type HistoryEnd, historySettings } from './defragment/random-history.ts'
import { plotRows } from './plot.ts'

const smallSpaces = 2000
const smallSizes = [16, 32, 64, 128]
const histories = 1000
/** Histories that left room for everything are passed over: so many are begun at most. */
const seedsMaximum = 20_000
const largePoolShards = 1000
const timings = 20
const planMillisecondsAimed = 50

export const defragment: Bench = {
  summary: 'moves that free a block, against the optimum on small pools and first fit on random histories',

  async run({ tell }) {
    const small = compareWithOptimum()
    tell(`${small.same} of ${small.questions} plans for small pools are the optimum`)
    const compactions = compareCompactions()
    tell(`${compactions.same} of ${compactions.networks} compactions are`)
    const outcomes = runHistories()
    tell(`${outcomes.length} histories`)
    const times = timePlans()
    const both = outcomes.filter((one) => one.plannerMoves !== null && one.firstFitMoves !== null)
    const freedBy = (side: 'plannerMoves' | 'firstFitMoves') => outcomes.filter((one) => one[side] !== null).length
    const planner = both.map(({ plannerMoves }) => plannerMoves ?? 0)
    const firstFit = both.map(({ firstFitMoves }) => firstFitMoves ?? 0)
    const carriedOut = outcomes.filter(({ isCarriedOut }) => isCarriedOut).length
    const worse = both.filter(({ plannerMoves, firstFitMoves }) => (plannerMoves ?? 0) > (firstFitMoves ?? 0)).length
    return {
      title: 'Making room: moves that free a block',
      settings: { smallSpaces, smallSizes, histories, ...historySettings, largePoolShards, timings },
      series: [
        { name: namePlanner, unit: 'moves', samples: planner },
        { name: nameFirstFit, unit: 'moves', samples: firstFit, isFloor: true },
        { name: `a plan for a pool of ${times.shards} shards`, unit: 'ms', samples: times.defragment },
        { name: 'a compaction of 200 of them', unit: 'ms', samples: times.compact },
      ],
      ratios: [
        { name: 'all moves to those of first fit, where both freed a block', value: total(planner) / total(firstFit) },
        { name: 'blocks freed to those of first fit', value: freedBy('plannerMoves') / freedBy('firstFitMoves') },
        { name: 'moves to the optimum, small pools', value: small.moves / small.movesOfOptimum },
      ],
      aims: [
        exactly('plans that are the optimum, of all for small pools', small.same, small.questions),
        exactly('compactions that are the optimum, of all', compactions.same, compactions.networks),
        exactly('histories', outcomes.length, histories),
        exactly('plans that free their block when they are carried out, of all', carriedOut, freedBy('plannerMoves')),
        exactly('histories in which first fit freed a block with fewer moves', worse, 0),
        {
          aim: `the longest plan for a pool of ${times.shards} shards ≤ ${planMillisecondsAimed} ms`,
          measured: Math.max(...times.defragment),
          unit: 'ms',
          met: Math.max(...times.defragment) <= planMillisecondsAimed,
        },
      ],
      notes: [
        `Of ${outcomes.length} histories with enough free addresses, though in no one block, the planner freed a block in ${freedBy('plannerMoves')}, first fit in ${freedBy('firstFitMoves')}. In the others something is in the way of every block, mostly that a network's other shards have no room for those who would have to move.`,
        `It emptied ${total(both.map(({ plannerShards }) => plannerShards))} shards where both freed a block, first fit ${total(both.map(({ firstFitShards }) => firstFitShards))}.`,
        `On ${small.questions} questions about pools of eight shards at most it freed ${small.possible} blocks, as brute force did, by ${small.moves} moves; first fit freed ${small.firstFitFreed} of these by ${small.firstFitMoves} moves, where the planner needed ${small.plannerMovesWhereBoth}.`,
        'First fit empties the emptiest shards in order, skips those whose holders do not fit, and stops when a block is free. None of the three empties a shard that is larger than the block.',
      ],
      details: { small, compactions },
    }
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `${result.settings.histories} random histories of a /${historySettings.poolPrefixLength} where both freed a block; ratio of all moves ${result.ratios[0]?.value.toFixed(3)}; ${result.measuredAt.slice(0, 10)}`,
      unit: 'holders moved',
      isLogarithmic: true,
      rows: result.series
        .filter(({ unit }) => unit === 'moves')
        .map(({ name, samples, isFloor }) => ({ label: name, samples, isFloor: isFloor ?? false })),
    }),
}

const namePlanner = 'moves that free a block: planner'
const nameFirstFit = 'moves that free a block: first fit'

const total = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0)

const exactly = (words: string, measured: number, wanted: number) => ({
  aim: `${words} = ${wanted}`,
  measured,
  unit: '',
  met: measured === wanted,
})

/** On spaces of at most eight shards in a pool, where every set of them can be tried. */
function compareWithOptimum() {
  const counts = { questions: 0, possible: 0, same: 0, moves: 0, movesOfOptimum: 0, firstFitFreed: 0, firstFitMoves: 0 }
  let plannerMovesWhereBoth = 0
  for (let seed = 1; seed <= smallSpaces; seed++) {
    const space = createRandomSpace(createChance(seed))
    for (const sizeAddresses of smallSizes) {
      const question = { ...space, sizeAddresses }
      const plan = planDefragmentation(question)
      const best = defragmentByBruteForce(question)
      counts.questions++
      const isSame =
        plan.kind === 'impossible'
          ? best === null
          : best?.moves === plan.moves && best.shards === plan.evacuate.length && best.first === plan.block.first
      if (isSame) counts.same++
      counts.movesOfOptimum += best?.moves ?? 0
      if (plan.kind === 'impossible') continue
      counts.possible++
      counts.moves += plan.moves
      const firstFit = evacuateFirstFit(question)
      if (!firstFit.isFreed) continue
      counts.firstFitFreed++
      counts.firstFitMoves += firstFit.moves
      plannerMovesWhereBoth += plan.moves
    }
  }
  return { ...counts, plannerMovesWhereBoth }
}

function compareCompactions() {
  const counts = { networks: 0, same: 0, shardsEmptied: 0, moves: 0 }
  for (let seed = 1; seed <= smallSpaces; seed++) {
    const { shards } = createRandomSpace(createChance(seed))
    for (const networkId of new Set(shards.map((shard) => shard.networkId))) {
      if (networkId === null) continue
      const plan = planCompaction(networkId, shards)
      const best = compactByBruteForce(networkId, shards)
      counts.networks++
      if (best.shards === plan.evacuate.length && best.moves === plan.moves) counts.same++
      counts.shardsEmptied += plan.evacuate.length
      counts.moves += plan.moves
    }
  }
  return counts
}

interface HistoryOutcome {
  readonly wantedAddresses: number
  /** Null: no such block can be freed. */
  readonly plannerMoves: number | null
  readonly firstFitMoves: number | null
  readonly plannerShards: number
  readonly firstFitShards: number
  readonly isCarriedOut: boolean
}

function judgeHistory({ area, shards, wantedAddresses }: HistoryEnd): HistoryOutcome {
  const question = { area, shards, sizeAddresses: wantedAddresses }
  const plan = planDefragmentation(question)
  const firstFit = evacuateFirstFit(question)
  const isPlanned = plan.kind === 'planned'
  const emptied = new Set(isPlanned ? plan.evacuate.map(({ shardId }) => shardId) : [])
  return {
    wantedAddresses,
    plannerMoves: isPlanned ? plan.moves : null,
    firstFitMoves: firstFit.isFreed ? firstFit.moves : null,
    plannerShards: emptied.size,
    firstFitShards: firstFit.isFreed ? firstFit.shardsEmptied : 0,
    isCarriedOut: isPlanned && carryOut(shards, emptied, plan.block),
  }
}

function runHistories(): readonly HistoryOutcome[] {
  const outcomes: HistoryOutcome[] = []
  for (let seed = 1; seed <= seedsMaximum && outcomes.length < histories; seed++) {
    const end = createRandomHistory(createChance(seed))
    if (end !== null) outcomes.push(judgeHistory(end))
  }
  return outcomes
}

/** A thousand shards of 1,024 addresses each, all in use; of two wanted sizes, and of capacities that all differ. */
function timePlans() {
  const chance = createChance(7)
  const shards = Array.from({ length: largePoolShards }, (_, i): SpaceShard => {
    const usable = 1021 - chance.below(200)
    const holders = chance.below(usable)
    return {
      id: `shard-${i}`,
      block: { first: 2 ** 31 + i * 1024, prefixLength: 22 },
      networkId: `network-${i % 5}`,
      status: 'in-use',
      holders,
      freeAddresses: usable - holders,
    }
  })
  const area = { first: 2 ** 31, prefixLength: 12 }
  // Filled up behind the shards, so that no block is free.
  const rest = { first: 2 ** 31 + largePoolShards * 1024, prefixLength: 22 }
  const filled = Array.from({ length: 2 ** 10 - largePoolShards }, (_, i): SpaceShard => {
    const block = { ...rest, first: rest.first + i * 1024 }
    return { id: `rest-${i}`, block, networkId: null, status: 'reserved', holders: 0, freeAddresses: 0 }
  })
  const all = [...shards, ...filled]
  return {
    shards: all.length,
    defragment: time(() => planDefragmentation({ area, sizeAddresses: 4096, shards: all })),
    compact: time(() => planCompaction('network-0', all)),
  }
}

/** Milliseconds of each, once it has been run some times. */
function time(work: () => unknown): readonly number[] {
  const samples = Array.from({ length: 2 * timings }, () => {
    const begin = performance.now()
    work()
    return performance.now() - begin
  })
  return samples.slice(timings)
}
