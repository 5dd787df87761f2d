/** Which free address is given next, in the order that a policy asks for. Pure: chance is an argument. */

import type { AddressPolicy } from '../contract/address-space.ts'
import { compareIds, findPlace, type NetworkShards, type Shard } from './allocator-space.ts'
import type { DraftShard, DraftSpace } from './draft-space.ts'
import { findFree, listFree } from './taken-bitmap.ts'

export interface Choice {
  readonly opened: DraftShard
  readonly offset: number
}

export interface Choosing {
  /** Whose sequence goes on: the network's, or that of the shard that is asked for alone. */
  readonly sequenceId: string
  readonly shards: NetworkShards
  /** Out of this one nothing is given. */
  readonly exceptShardId: string | null
}

/**
 * An address out of these shards of a network; null: they have none to give. It looks at those alone that have something
 * to give, and in their order: how many there are makes no difference.
 * @param random that many random bytes
 */
export function chooseAddress(
  draft: DraftSpace,
  choosing: Choosing,
  order: AddressPolicy['allocationOrder'],
  random: (bytes: number) => Uint8Array,
): Choice | null {
  const { shards } = choosing
  switch (order) {
    case undefined:
      return chooseFirst(draft, choosing, shards.giving)
    case 'pack':
      return chooseByShare(draft, choosing, fullestFirst(draft, shards.byShare), (a, b) => a > b)
    case 'spread':
      return chooseByShare(draft, choosing, shards.byShare, (a, b) => a < b)
    case 'sequential':
      return chooseNext(draft, choosing)
    case 'random':
      return chooseAtRandom(draft, choosing, random)
    default:
      return order satisfies never
  }
}

/** The lowest of the first shard that has one, so that the younger shards stay empty as long as they can. */
function chooseFirst(draft: DraftSpace, choosing: Choosing, shards: Iterable<Shard>): Choice | null {
  for (const shard of shards) {
    const choice = findIn(draft, choosing, shard)
    if (choice !== null) return choice
  }
  return null
}

/**
 * The lowest of the shard whose share of held addresses comes before that of all others; of equals the first. What this
 * batch has touched has another share than when it began, so that these are looked at apart from the others.
 */
function chooseByShare(
  draft: DraftSpace,
  choosing: Choosing,
  ordered: Iterable<Shard>,
  comesBefore: (share: number, other: number) => boolean,
): Choice | null {
  const { giving } = choosing.shards
  const touched = draft
    .listTouched()
    .filter((shard) => giving[findPlace(giving, (one) => compareIds(one, shard) >= 0)]?.id === shard.id)
  const candidates = touched.flatMap((shard) => findIn(draft, choosing, shard) ?? [])
  for (const shard of ordered) {
    const choice = draft.isTouched(shard.id) ? null : findIn(draft, choosing, shard)
    if (choice === null) continue
    candidates.push(choice)
    break
  }
  const [first, ...others] = candidates.toSorted((a, b) => compareIds(a.opened.shard, b.opened.shard))
  if (first === undefined) return null
  const shareOf = ({ opened }: Choice) => draft.heldShareOf(opened.shard)
  return others.reduce((best, other) => (comesBefore(shareOf(other), shareOf(best)) ? other : best), first)
}

/** The other way round, but of equals still the first: from the end, a stretch of equals at a time. */
function* fullestFirst(draft: DraftSpace, byShare: readonly Shard[]): Generator<Shard> {
  let end = byShare.length
  for (let last = byShare[end - 1]; last !== undefined; last = byShare[end - 1]) {
    const share = draft.storedShareOf(last)
    const begin = findPlace(byShare, (one) => draft.storedShareOf(one) >= share)
    for (let place = begin; place < end; place++) {
      const shard = byShare[place]
      if (shard !== undefined) yield shard
    }
    end = begin
  }
}

/** After the one given last, through the other shards in their order, and back to where that shard begins. */
function chooseNext(draft: DraftSpace, choosing: Choosing): Choice | null {
  const { sequenceId, shards } = choosing
  const { giving } = shards
  const last = draft.lastGivenIn(sequenceId, shards)
  const shardId = last?.shardId ?? ''
  const begin = findPlace(giving, ({ id }) => id >= shardId)
  for (let step = 0; step <= giving.length; step++) {
    const shard = giving[(begin + step) % giving.length]
    if (shard === undefined) continue
    const from = step === 0 && shard.id === shardId ? (last?.offset ?? -1) + 1 : 0
    const choice = findIn(draft, choosing, shard, from)
    if (choice === null) continue
    draft.noteGiven(sequenceId, choice.opened, { offset: choice.offset, turn: (last?.turn ?? 0) + 1 })
    return choice
  }
  return null
}

/** Drawn and drawn again, until chance has drawn one of a shard that has it; then all are counted. */
const drawsMaximum = 64

/** A shard as likely as it has addresses left, and any of these. */
function chooseAtRandom(draft: DraftSpace, choosing: Choosing, random: (bytes: number) => Uint8Array): Choice | null {
  const { giving, capacityMost } = choosing.shards
  for (let draw = 0; draw < drawsMaximum; draw++) {
    const shard = giving[drawNumber(giving.length, random)]
    if (shard === undefined) return null
    if (drawNumber(capacityMost, random) >= draft.countNotHeld(shard)) continue
    const choice = drawIn(draft, choosing, shard, random)
    if (choice !== null) return choice
  }
  const left = new Set(giving)
  while (left.size > 0) {
    const shard = drawShard(draft, [...left], random)
    if (shard === null) return null
    const choice = drawIn(draft, choosing, shard, random)
    if (choice !== null) return choice
    left.delete(shard)
  }
  return null
}

function drawIn(
  draft: DraftSpace,
  choosing: Choosing,
  shard: Shard,
  random: (bytes: number) => Uint8Array,
): Choice | null {
  const first = findIn(draft, choosing, shard)
  if (first === null) return null
  const free = listFree(first.opened.bitmap, first.opened.kept)
  const offset = free[drawNumber(free.length, random)] ?? first.offset
  return { opened: first.opened, offset }
}

function drawShard(draft: DraftSpace, shards: readonly Shard[], random: (bytes: number) => Uint8Array): Shard | null {
  const counts = shards.map((shard) => Math.max(0, draft.countNotHeld(shard)))
  const total = counts.reduce((sum, count) => sum + count, 0)
  let drawn = drawNumber(total, random)
  for (const [i, shard] of shards.entries()) {
    const count = counts[i] ?? 0
    if (drawn < count) return shard
    drawn -= count
  }
  return null
}

/** From 0 to below `end`; 0 where there is none. */
function drawNumber(end: number, random: (bytes: number) => Uint8Array): number {
  const drawn = random(4).reduce((value, byte) => value * 256 + byte, 0)
  return end === 0 ? 0 : drawn % end
}

/** The lowest at or after `from`. One that has none at all is not opened again in this batch. */
function findIn(draft: DraftSpace, { exceptShardId }: Choosing, shard: Shard, from = 0): Choice | null {
  if (shard.id === exceptShardId || draft.barren.has(shard.id) || draft.countNotHeld(shard) <= 0) return null
  const opened = draft.open(shard)
  const offset = opened === null ? null : findFree(opened.bitmap, from, opened.kept)
  if (opened !== null && offset !== null) return { opened, offset }
  if (from === 0) draft.barren.add(shard.id)
  return null
}
