/**
 * Policies under many loads: they come to rest under a load that is constant, never exceed their budget, never bring a
 * microshard to a worse place than it left, and are not worse with forecasts than without. `SLUICE_SIMULATIONS=n` runs that
 * many seeds of each.
 */

import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { defaultMicroshardPolicies, type MicroshardPolicies } from '../../controller/contract/microshard-policies.ts'
import type { MigrateDecision } from '../../controller/prediction/policies/decision.ts'
import { churnMilliseconds } from '../../controller/prediction/policies/lifecycle-state.ts'
import {
  type Foresight,
  type PoliciesTurn,
  type PoliciesWorldOptions,
  runWorld,
  type SimulatedKey,
  type WorldSummary,
} from './policies-world.ts'
import { type Chance, createChance } from './random.ts'

setDefaultTimeout(120_000)

const seeds = Number(process.env.SLUICE_SIMULATIONS ?? 1)
const nodeCount = 3
const turnSeconds = 300
const day = 86_400
const days = 3
const policies: MicroshardPolicies = {
  ...defaultMicroshardPolicies,
  mode: 'on',
  churn: { operationsPerHour: 6, bytesPerHour: 2 * 1024 ** 3, atOnce: 2 },
}
const nodes = Array.from({ length: nodeCount }, (_, i) => ({
  name: `node-${i + 1}`,
  location: i % 2 === 0 ? 'east' : 'west',
  isAlive: true,
}))

/** The truth costs nothing to know, and shows the same rules; forecasts are those of the bench, and of a thorough run. */
const foresights: readonly Foresight[] = ['truth', 'forecast']
const isThorough = seeds > 1
/** What a single overload more or less of a few hundred comes to. */
const noiseShare = 0.02

type Shape = 'steady' | 'daily' | 'weekly' | 'flash crowd' | 'drift' | 'alternation'
const shapes: readonly Shape[] = ['steady', 'daily', 'weekly', 'flash crowd', 'drift', 'alternation']

const wave = (turns: number) => 1 + 0.9 * Math.sin(2 * Math.PI * turns)

/** How a key's load goes, over its mean. */
function drawLoad(shape: Shape, chance: Chance): (second: number) => number {
  const phase = chance.below(4) / 4
  const isChosen = chance.happens(0.1)
  const beginsAt = (1 + (days - 2) * chance.next()) * day
  switch (shape) {
    case 'steady':
      return () => 1
    case 'daily':
      return (second) => wave(second / day + phase)
    case 'weekly':
      return (second) => wave(second / day + phase) * (second % (7 * day) < 5 * day ? 1 : 0.3)
    case 'flash crowd':
      return (second) => (isChosen && second >= beginsAt && second < beginsAt + 2 * 3600 ? 20 : 1)
    case 'drift':
      return (second) => 1 + (isChosen ? 10 : 0.5) * (second / (days * day))
    case 'alternation':
      // As long as it takes to move what was hot: whoever follows it is always late.
      return (second) => (Math.floor(second / 900) % 2 === Math.round(phase) % 2 ? 3 : 0.2)
    default:
      return shape satisfies never
  }
}

function drawKeys(shape: Shape, seed: number): readonly SimulatedKey[] {
  const chance = createChance(seed)
  return Array.from({ length: 24 }, () => {
    const scale = 40 * Math.exp(2 * chance.next() - 1)
    const load = drawLoad(shape, chance)
    return {
      bytes: 1e6 * (1 + chance.below(100)),
      location: chance.happens(0.5) ? 'east' : 'west',
      loadAt: (second) => scale * load(second),
    }
  })
}

interface Judged extends WorldSummary {
  readonly turns: readonly PoliciesTurn[]
}

function judge(shape: Shape, seed: number, foresight: Foresight): Judged {
  const options: PoliciesWorldOptions = {
    nodes,
    keys: drawKeys(shape, seed),
    microshards: 12,
    policies,
    foresight,
    turnSeconds,
  }
  const turns: PoliciesTurn[] = []
  const summary = runWorld(options, { turns: (days * day) / turnSeconds, onTurn: (turn) => turns.push(turn) })
  return { ...summary, turns }
}

/** Within any hour. */
function expectBudgetKept(turns: readonly PoliciesTurn[]): void {
  const begun = turns.flatMap(({ second, decisions, sight }) =>
    decisions.map((decision) => {
      const ids = decision.kind === 'merge' ? [decision.microshard, decision.neighbour] : [decision.microshard]
      const bytes = sight.microshards.reduce((sum, one) => (ids.includes(one.id) ? sum + one.bytes : sum), 0)
      return { second, bytes }
    }),
  )
  for (const { second } of begun) {
    const within = begun.filter((one) => one.second >= second && one.second < second + churnMilliseconds / 1000)
    expect(within.length).toBeLessThanOrEqual(policies.churn.operationsPerHour)
    expect(within.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(policies.churn.bytesPerHour)
  }
}

/** What was known when it was decided: of now, and for what is done ahead, up to the horizon. */
function expectNoWorsePlaces(turns: readonly PoliciesTurn[]): void {
  for (const { decisions, sight } of turns) {
    const moves = decisions.filter((one): one is MigrateDecision => one.kind === 'migrate')
    // Only the first of a turn is decided on what is seen; the next one on what comes of it as well.
    for (const move of moves.slice(0, 1)) {
      const moved = sight.microshards.find(({ id }) => id === move.microshard)
      const loadOf = (name: string | null, at: number) =>
        sight.microshards
          .filter((one) => (one.headedFor ?? one.node) === name)
          .reduce((sum, one) => sum + (at === 0 ? one.load : (one.expected?.[at - 1] ?? one.load)), 0)
      const points = 1 + Math.max(0, ...sight.microshards.map(({ expected }) => expected?.length ?? 0))
      const peakOf = (name: string | null, added: boolean) =>
        Math.max(
          ...Array.from({ length: points }, (_, at) => {
            const own = at === 0 ? (moved?.load ?? 0) : (moved?.expected?.[at - 1] ?? moved?.load ?? 0)
            const total = nodes.reduce((sum, node) => sum + loadOf(node.name, at), 0)
            return total === 0 ? 0 : ((loadOf(name, at) + (added ? own : 0)) * nodes.length) / total
          }),
        )
      const [left, found] = [peakOf(move.fromNode, false), peakOf(move.toNode, true)]
      expect(found).toBeLessThanOrEqual(Math.max(left, policies.placement.untilOverMean) + 1e-9)
    }
  }
}

describe.each(shapes)('%s', (shape) => {
  for (let seed = 1; seed <= seeds; seed++) {
    test(`seed ${seed}: within the budget, and never to a worse place`, () => {
      const blind = judge(shape, seed, 'none')
      const foreseeing = (isThorough ? foresights : foresights.slice(0, 1)).map((one) => judge(shape, seed, one))
      for (const { turns } of [blind, ...foreseeing]) {
        expectBudgetKept(turns)
        expectNoWorsePlaces(turns)
      }
      for (const { overloadShare } of foreseeing) {
        expect(overloadShare).toBeLessThanOrEqual(blind.overloadShare * 1.1 + noiseShare)
      }
    })
  }
})

test('with forecasts too, on a day’s rhythm', () => {
  const [blind, foreseeing] = [judge('daily', 1, 'none'), judge('daily', 1, 'forecast')]
  expectBudgetKept(foreseeing.turns)
  expectNoWorsePlaces(foreseeing.turns)
  expect(foreseeing.overloadShare).toBeLessThanOrEqual(blind.overloadShare * 1.1 + noiseShare)
})

test('under a constant load they come to rest, and stay there', () => {
  for (let seed = 1; seed <= 4 * seeds; seed++) {
    const { turns } = judge('steady', seed, 'none')
    const late = turns.filter(({ second }) => second >= 1.5 * day)
    expect(late.flatMap(({ decisions }) => decisions)).toEqual([])
  }
})
