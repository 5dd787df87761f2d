/**
 * Measures the defragmentation planner: against the optimum by brute force on small spaces, and against emptying the
 * emptiest shards first fit on 1,000 random histories; and how long a plan takes. Needs no lab. Results go to
 * `bench/results/defragment.json`. Run it by `bun bench/defragment.ts`.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { table } from '../cli/output.ts'
import { compactByBruteForce, defragmentByBruteForce } from '../controller/address-space/defragment/brute-force.ts'
import { planCompaction } from '../controller/address-space/defragment/plan-compaction.ts'
import { planDefragmentation } from '../controller/address-space/defragment/plan-defragmentation.ts'
import { createRandomSpace } from '../controller/address-space/defragment/random-space.ts'
import type { SpaceShard } from '../controller/address-space/defragment/space-shard.ts'
import { createChance } from '../test/simulation/random.ts'
import { carryOut, evacuateFirstFit } from './defragment/first-fit.ts'
import { createRandomHistory, type HistoryEnd, historySettings } from './defragment/random-history.ts'
import { percentile } from './statistics.ts'

const smallSpaces = 2000
const smallSizes = [16, 32, 64, 128]
const histories = 1000
/** Histories that left room for everything are passed over: so many are begun at most. */
const seedsMaximum = 20_000
const largePoolShards = 1000
const timings = 20

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

function summarizeHistories(outcomes: readonly HistoryOutcome[]) {
  const both = outcomes.flatMap(({ plannerMoves, firstFitMoves, plannerShards, firstFitShards }) =>
    plannerMoves === null || firstFitMoves === null
      ? []
      : [{ plannerMoves, firstFitMoves, plannerShards, firstFitShards }],
  )
  const total = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0)
  const describe = (moves: readonly number[], shards: readonly number[]) => ({
    movesTotal: total(moves),
    movesMedian: moves.length === 0 ? 0 : percentile(moves, 0.5),
    movesP99: moves.length === 0 ? 0 : percentile(moves, 0.99),
    shardsEmptied: total(shards),
  })
  const planner = describe(
    both.map(({ plannerMoves }) => plannerMoves),
    both.map(({ plannerShards }) => plannerShards),
  )
  const firstFit = describe(
    both.map(({ firstFitMoves }) => firstFitMoves),
    both.map(({ firstFitShards }) => firstFitShards),
  )
  return {
    histories: outcomes.length,
    freedByPlanner: outcomes.filter(({ plannerMoves }) => plannerMoves !== null).length,
    freedByFirstFit: outcomes.filter(({ firstFitMoves }) => firstFitMoves !== null).length,
    plansCarriedOut: outcomes.filter(({ isCarriedOut }) => isCarriedOut).length,
    plannerNeededMore: both.filter(({ plannerMoves, firstFitMoves }) => plannerMoves > firstFitMoves).length,
    whereBothFreed: { histories: both.length, planner, firstFit },
    movesRatio: planner.movesTotal / Math.max(1, firstFit.movesTotal),
  }
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
    defragmentMilliseconds: time(() => planDefragmentation({ area, sizeAddresses: 4096, shards: all })),
    compactMilliseconds: time(() => planCompaction('network-0', all)),
  }
}

function time(work: () => unknown): number {
  const samples = Array.from({ length: timings }, () => {
    const begin = performance.now()
    work()
    return performance.now() - begin
  })
  return Math.round(percentile(samples, 0.5) * 100) / 100
}

async function main(): Promise<void> {
  const begin = performance.now()
  const small = compareWithOptimum()
  const compactions = compareCompactions()
  const outcomes = runHistories()
  const history = summarizeHistories(outcomes)
  const large = timePlans()
  const report = {
    measuredAt: new Date().toISOString(),
    durationSeconds: Math.round((performance.now() - begin) / 100) / 10,
    cores: availableParallelism(),
    bun: Bun.version,
    settings: { smallSpaces, smallSizes, ...historySettings },
    notes: [
      'No shard larger than the block is emptied for it, by any of the three.',
      'First fit empties the emptiest shards in order, skips those whose holders do not fit, and stops when a block is free.',
      'Moves are compared where both freed a block.',
    ],
    results: { small, compactions, histories: history, large },
    outcomes,
  }
  const folder = new URL('./results/', import.meta.url).pathname
  await mkdir(folder, { recursive: true })
  await writeFile(`${folder}defragment.json`, `${JSON.stringify(report, null, 1)}\n`)
  console.log(describeReport(report.results))
}

function describeReport({ small, compactions, histories: history, large }: ReportResults): string {
  const { planner, firstFit } = history.whereBothFreed
  const of = (part: number, whole: number) => `${part} of ${whole}`
  return table(
    ['', 'planner', 'first fit', 'optimum'],
    [
      ['small: as the optimum', of(small.same, small.questions), '', ''],
      ['small: blocks freed', String(small.possible), String(small.firstFitFreed), ''],
      ['small: moves', String(small.moves), '', String(small.movesOfOptimum)],
      ['small: moves where both freed', String(small.plannerMovesWhereBoth), String(small.firstFitMoves), ''],
      ['compactions as the optimum', of(compactions.same, compactions.networks), '', ''],
      [
        'histories: blocks freed',
        of(history.freedByPlanner, history.histories),
        of(history.freedByFirstFit, history.histories),
        '',
      ],
      ['histories: plans carried out', of(history.plansCarriedOut, history.freedByPlanner), '', ''],
      ['histories: moves', String(planner.movesTotal), String(firstFit.movesTotal), ''],
      ['histories: moves, median', String(planner.movesMedian), String(firstFit.movesMedian), ''],
      ['histories: moves, p99', String(planner.movesP99), String(firstFit.movesP99), ''],
      ['histories: shards emptied', String(planner.shardsEmptied), String(firstFit.shardsEmptied), ''],
      [`a plan over ${large.shards} shards, ms`, String(large.defragmentMilliseconds), '', ''],
      ['compaction of 200 of them, ms', String(large.compactMilliseconds), '', ''],
    ],
  )
}

interface ReportResults {
  readonly small: ReturnType<typeof compareWithOptimum>
  readonly compactions: ReturnType<typeof compareCompactions>
  readonly histories: ReturnType<typeof summarizeHistories>
  readonly large: ReturnType<typeof timePlans>
}

await main()
