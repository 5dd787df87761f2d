/** Which free address is given next, in the order that a policy asks for. Pure: chance is an argument. */

import type { AddressPolicy } from '../contract/address-space.ts'
import type { StoredObject } from '../control-plane/store.ts'
import type { ShardValue } from '../objects.ts'
import type { DraftShard, DraftSpace } from './draft-space.ts'
import { findFree, listFree } from './taken-bitmap.ts'

export interface Choice {
  readonly opened: DraftShard
  readonly offset: number
}

type Shard = StoredObject<ShardValue>

/**
 * An address out of these shards of a network, which are in the order in which they were made; null: they have none to
 * give. `all` are the network's shards, those among them that give nothing now too.
 * @param random that many random bytes
 */
export function chooseAddress(
  draft: DraftSpace,
  { shards, all }: { readonly shards: readonly Shard[]; readonly all: readonly Shard[] },
  order: AddressPolicy['allocationOrder'],
  random: (bytes: number) => Uint8Array,
): Choice | null {
  switch (order) {
    case undefined:
      return chooseFirst(draft, shards)
    case 'pack':
      return chooseByShare(draft, shards, (a, b) => a > b)
    case 'spread':
      return chooseByShare(draft, shards, (a, b) => a < b)
    case 'sequential':
      return chooseNext(draft, new Set(shards), all)
    case 'random':
      return chooseAtRandom(draft, shards, random)
    default:
      return order satisfies never
  }
}

/** The lowest of the first shard that has one, so that the younger shards stay empty as long as they can. */
function chooseFirst(draft: DraftSpace, shards: readonly Shard[]): Choice | null {
  for (const shard of shards) {
    const choice = findIn(draft, shard)
    if (choice !== null) return choice
  }
  return null
}

/** The lowest of the shard whose share of held addresses comes before that of all others; of equals the first. */
function chooseByShare(
  draft: DraftSpace,
  shards: readonly Shard[],
  comesBefore: (share: number, other: number) => boolean,
): Choice | null {
  const left = new Set(shards)
  while (left.size > 0) {
    let best: Shard | null = null
    for (const shard of left) {
      if (draft.countNotHeld(shard) <= 0) left.delete(shard)
      else if (best === null || comesBefore(draft.heldShareOf(shard), draft.heldShareOf(best))) best = shard
    }
    if (best === null) return null
    const choice = findIn(draft, best)
    if (choice !== null) return choice
    left.delete(best)
  }
  return null
}

/** After the one given last, through the other shards in their order, and back to where that shard begins. */
function chooseNext(draft: DraftSpace, giving: ReadonlySet<Shard>, all: readonly Shard[]): Choice | null {
  let current = 0
  let last = { offset: -1, turn: 0 }
  for (const [i, { id }] of all.entries()) {
    const given = draft.lastGivenOf(id)
    if (given !== null && given.turn > last.turn) [current, last] = [i, given]
  }
  for (let step = 0; step <= all.length; step++) {
    const shard = all[(current + step) % all.length]
    if (shard === undefined || !giving.has(shard)) continue
    const choice = findIn(draft, shard, step === 0 ? last.offset + 1 : 0)
    if (choice === null) continue
    choice.opened.lastGiven = { offset: choice.offset, turn: last.turn + 1 }
    return choice
  }
  return null
}

/** A shard as likely as it has addresses left, and any of these. */
function chooseAtRandom(
  draft: DraftSpace,
  shards: readonly Shard[],
  random: (bytes: number) => Uint8Array,
): Choice | null {
  const left = new Set(shards)
  while (left.size > 0) {
    const shard = drawShard(draft, [...left], random)
    const opened = shard === null ? null : draft.open(shard)
    const free = opened === null ? [] : listFree(opened.bitmap, opened.kept)
    const offset = free[drawNumber(free.length, random)]
    if (opened !== null && offset !== undefined) return { opened, offset }
    if (shard === null) return null
    left.delete(shard)
  }
  return null
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

function findIn(draft: DraftSpace, shard: Shard, from = 0): Choice | null {
  if (draft.countNotHeld(shard) <= 0) return null
  const opened = draft.open(shard)
  const offset = opened === null ? null : findFree(opened.bitmap, from, opened.kept)
  return opened === null || offset === null ? null : { opened, offset }
}
