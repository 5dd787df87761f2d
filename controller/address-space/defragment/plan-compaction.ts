/**
 * How to empty as many shards of one network as can be, with the fewest holders moved. Pure.
 *
 * As a network's addresses are interchangeable, a set of shards can be kept if they have, filled, an address for every
 * holder. The fewest that can are as many as the largest ones that it takes. Which of the sets of so many has the most
 * holders in it already, so that the fewest move, is a knapsack: it is solved exactly, over how much less a set can
 * hold than the largest ones, which is never more than one shard can. Where a network has so many shards, no two of the
 * same capacity, that there are more than `choicesMaximum` ways to go on, some are left out: then it moves few, and may be
 * there are fewer.
 */

import { describeEvacuation, type Evacuation, type SpaceShard } from './space-shard.ts'

/**
 * One shard is kept at least, so that the network has addresses to give. Shards that are reserved or migrating, or held by
 * others, stay as they are; whoever is leaving a migrating one takes room as well.
 * @example planCompaction('net_…', shards) // { evacuate: [{ shardId: 'shd_…', … }], moves: 3, addressesFreed: 1024 }
 */
export function planCompaction(networkId: string, shards: readonly SpaceShard[]): Evacuation {
  const own = shards.filter((shard) => shard.networkId === networkId)
  const inUse = own.filter(({ status }) => status === 'in-use')
  const [fixed, open] = [inUse.filter(isFixed), inUse.filter((shard) => !isFixed(shard))]
  const needed = own.reduce((sum, { status, holders }) => (status === 'reserved' ? sum : sum + holders), 0)
  const largestFirst = open.toSorted((a, b) => capacityOf(b) - capacityOf(a))
  let keptCount = 0
  let capacity = fixed.reduce((sum, shard) => sum + capacityOf(shard), 0)
  for (const shard of largestFirst) {
    if (keptCount + fixed.length > 0 && capacity >= needed) break
    keptCount++
    capacity += capacityOf(shard)
  }
  if (keptCount === open.length) return describeEvacuation([])
  if (keptCount === 0) return describeEvacuation(open)
  const kept = keepMostHolders(largestFirst, keptCount, capacity - needed)
  return describeEvacuation(open.filter((shard) => !kept.has(shard)))
}

const isFixed = ({ isHeldByOthers }: SpaceShard) => isHeldByOthers === true
const capacityOf = ({ holders, freeAddresses }: SpaceShard) => holders + freeAddresses

/** Shards of one capacity. However many of them are kept, they are those with the most holders, which come first. */
interface CapacityClass {
  readonly shards: readonly SpaceShard[]
  /** By how many are kept: how many holders stay. */
  readonly holdersStaying: readonly number[]
  /** From the capacity of the smallest of the largest ones: what each that is chosen otherwise than there costs. */
  readonly distance: number
  /** All of them are among the largest ones; else none is. */
  readonly isAbove: boolean
}

/** So that a plan is made in a fraction of a second, whatever there is. */
const choicesMaximum = 2000

interface Choice {
  readonly keptCount: number
  /** How much less the chosen ones can hold than the largest ones. */
  readonly loss: number
  readonly holdersStaying: number
  /** The last of what it consists of: so many of a class, after what had been chosen before. */
  readonly last: { readonly one: CapacityClass; readonly count: number; readonly before: Choice } | null
}

/** Of all sets of so many shards that can hold `slack` less than the largest at most, the one with the most holders. */
function keepMostHolders(
  largestFirst: readonly SpaceShard[],
  keptCount: number,
  slack: number,
): ReadonlySet<SpaceShard> {
  const smallest = largestFirst[keptCount - 1]
  if (smallest === undefined) throw new Error('BUG: more shards are kept than there are')
  const threshold = capacityOf(smallest)
  const classes = [...Map.groupBy(largestFirst, capacityOf)].map(([capacity, shards]) =>
    createClass(shards, capacity - threshold),
  )
  const ofThreshold = classes.find(({ distance }) => distance === 0)
  if (ofThreshold === undefined) throw new Error('BUG: a capacity of which there is no shard')
  let choices: readonly Choice[] = [{ keptCount: 0, loss: 0, holdersStaying: 0, last: null }]
  for (const one of classes) {
    if (one !== ofThreshold) choices = thinOut(dropWorse(extend(choices, one, slack)))
  }
  // Those of the threshold's own capacity cost nothing either way: they fill up the number.
  const filled = choices.flatMap((choice) => {
    const count = keptCount - choice.keptCount
    return count < 0 || count > ofThreshold.shards.length ? [] : [keep(choice, ofThreshold, count, 0)]
  })
  const [first, ...others] = filled
  if (first === undefined) throw new Error('BUG: the largest shards are no choice')
  const best = others.reduce((one, other) => (other.holdersStaying > one.holdersStaying ? other : one), first)
  return new Set(listKept(best))
}

function createClass(shards: readonly SpaceShard[], above: number): CapacityClass {
  const sorted = shards.toSorted((a, b) => b.holders - a.holders || a.block.first - b.block.first)
  const holdersStaying = [0]
  for (const { holders } of sorted) holdersStaying.push((holdersStaying.at(-1) ?? 0) + holders)
  return { shards: sorted, holdersStaying, distance: Math.abs(above), isAbove: above > 0 }
}

function extend(choices: readonly Choice[], one: CapacityClass, slack: number): readonly Choice[] {
  return choices.flatMap((choice) => {
    const most = Math.min(one.shards.length, Math.floor((slack - choice.loss) / one.distance))
    return Array.from({ length: most + 1 }, (_, otherwise) =>
      keep(choice, one, one.isAbove ? one.shards.length - otherwise : otherwise, otherwise * one.distance),
    )
  })
}

const keep = (choice: Choice, one: CapacityClass, count: number, loss: number): Choice => ({
  keptCount: choice.keptCount + count,
  loss: choice.loss + loss,
  holdersStaying: choice.holdersStaying + (one.holdersStaying[count] ?? 0),
  last: { one, count, before: choice },
})

function listKept(choice: Choice): readonly SpaceShard[] {
  const kept: SpaceShard[] = []
  for (let { last } = choice; last !== null; last = last.before.last) kept.push(...last.one.shards.slice(0, last.count))
  return kept
}

/** Equally many of each number, and of these evenly between the one that loses least and the one with the most holders. */
function thinOut(choices: readonly Choice[]): readonly Choice[] {
  if (choices.length <= choicesMaximum) return choices
  const groups = [...Map.groupBy(choices, ({ keptCount }) => keptCount).values()]
  const most = Math.max(2, Math.floor(choicesMaximum / groups.length))
  return groups.flatMap((same) => {
    if (same.length <= most) return same
    return Array.from({ length: most }, (_, i) => same[Math.round((i * (same.length - 1)) / (most - 1))] ?? []).flat()
  })
}

/** Without those than which another of as many shards loses no more and has no fewer holders. */
function dropWorse(choices: readonly Choice[]): readonly Choice[] {
  return [...Map.groupBy(choices, ({ keptCount }) => keptCount).values()].flatMap((same) => {
    let most = -1
    return same
      .toSorted((a, b) => a.loss - b.loss || b.holdersStaying - a.holdersStaying)
      .filter(({ holdersStaying }) => {
        const isBetter = holdersStaying > most
        if (isBetter) most = holdersStaying
        return isBetter
      })
  })
}
