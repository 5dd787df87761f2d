/**
 * How the ring goes over to other weights of its keys: pure. The weights are named first, as the newest layout; then
 * microshard after microshard, in the order of the ring, hands its arc over to one that means the same clients by the new
 * layout. Both sides of where the ring has come to stay readable, since no client lies on both.
 */

import type { Problem } from '../../contract/problem.ts'
import {
  alignUp,
  clientBitsMinimum,
  type KeyLayout,
  type KeyWeights,
  keyLayoutsMaximum,
  pointOf,
} from '../key-layout.ts'
import {
  findMicroshard,
  findOperationOf,
  isWithin,
  keyAfter,
  keyBefore,
  type MicroshardDirectory,
  type MicroshardEntry,
  newestLayout,
  pointIn,
  ringEnd,
} from '../microshard-directory.ts'
import type { ShardKey } from '../shard-key.ts'
import { type Arc, begin, chooseNodes, type OperationStart, type StartPlan } from './plan-operation.ts'

/** By shard key, what it weighs. */
type Loads = ReadonlyMap<ShardKey, number>

/** Those that are not meant by the newest layout yet. */
export function listUnsharded(directory: MicroshardDirectory): readonly MicroshardEntry[] {
  const { version } = newestLayout(directory)
  return directory.microshards.filter(({ layout }) => layout !== version)
}

/** Names other weights; the microshards follow one after the other. */
export function planWeights(directory: MicroshardDirectory, weights: KeyWeights): StartPlan {
  const problem = findFault(directory, weights)
  if (problem !== null) return { kind: 'keep', because: { problem } }
  const layout = { version: newestLayout(directory).version + 1, ...weights }
  const keyLayouts = [...directory.keyLayouts, layout].slice(-keyLayoutsMaximum)
  return { kind: 'change', directory: { ...directory, version: directory.version + 1, keyLayouts } }
}

export function findFault(directory: MicroshardDirectory, weights: KeyWeights): Problem | null {
  const { clientBits, dataTypeBits, timeBits } = weights
  if (clientBits < clientBitsMinimum) {
    return {
      code: 'invalid',
      title: 'Too few bits tell clients apart',
      detail: `${clientBits} bits for clients are fewer than ${clientBitsMinimum}.`,
      remedy: `Give clients ${clientBitsMinimum} to 32 bits.`,
      errors: [{ field: 'clientBits', message: `is less than ${clientBitsMinimum}` }],
    }
  }
  const newest = newestLayout(directory)
  const isSame =
    newest.clientBits === clientBits && newest.dataTypeBits === dataTypeBits && newest.timeBits === timeBits
  if (isSame) {
    return {
      code: 'conflict',
      title: 'These are its weights',
      detail: `The weights ${newest.version} are the same.`,
      remedy: 'Name others; `sluice microshard weights` says which the measured load calls for.',
    }
  }
  const kept = [...directory.keyLayouts].slice(1 - keyLayoutsMaximum)
  if (layoutsInUse(directory).every(({ version }) => kept.some((one) => one.version === version))) return null
  return {
    code: 'conflict',
    title: 'Too many weights are in use',
    detail: `The ring is meant by ${layoutsInUse(directory).length} different weights at once.`,
    remedy: 'Wait until the re-shard has ended that is under way.',
  }
}

function layoutsInUse({ microshards, operations, keyLayouts }: MicroshardDirectory): readonly KeyLayout[] {
  const entries = [...microshards, ...operations.flatMap(({ sources, targets }) => [...sources, ...targets])]
  const used = new Set(entries.map(({ layout }) => layout))
  return keyLayouts.filter(({ version }, i) => used.has(version) || i === keyLayouts.length - 1)
}

/**
 * The next microshard's turn. Where its arc ends in the middle of a client, the rest of that client comes along, and what
 * is left of the last one keeps its layout. Null: all have had theirs, or take part in other operations just now.
 */
export function planReshard(directory: MicroshardDirectory, start: OperationStart, loads: Loads): StartPlan | null {
  const { microshards } = directory
  const newest = newestLayout(directory)
  const place = microshards.findIndex(({ layout }) => layout !== newest.version)
  const first = microshards[place]
  if (first === undefined) return null
  const end = first.to === ringEnd ? null : alignUp(keyAfter(first.to), layoutsInUse(directory))
  const sources = microshards.slice(place).filter(({ from }) => end === null || from < end)
  const last = sources.at(-1)
  if (last === undefined || sources.some(({ id }) => findOperationOf(directory, id) !== null)) return null
  const hasRest = end !== null && last.to >= end
  const to = hasRest ? keyBefore(end) : last.to
  const own = new Map<ShardKey, number>()
  for (const [key, load] of loads) {
    if (!sources.some((source) => isWithin(directory, source, key))) continue
    const point = pointOf(newest, key)
    own.set(point, (own.get(point) ?? 0) + load)
  }
  const pieces = cutEvenly(first.from, to, sources.length - (hasRest && sources.length > 1 ? 1 : 0), own)
  const arcs = pieces.map((piece, i): Arc => {
    return { ...piece, node: sources[i]?.node ?? first.node, layout: newest.version }
  })
  if (hasRest) arcs.push({ from: end, to: last.to, node: last.node, layout: last.layout })
  return begin(directory, start, 'reshard', sources, chooseNodes(directory, start, arcs))
}

/** At most so many arcs, as equally loaded as points allow, each but the first beginning at a point that is loaded. */
function cutEvenly(from: ShardKey, to: ShardKey, parts: number, loads: Loads): readonly Pick<Arc, 'from' | 'to'>[] {
  const points = [...loads].filter(([point]) => from < point && point <= to).sort(([a], [b]) => (a < b ? -1 : 1))
  const total = points.reduce((sum, [, load]) => sum + load, 0)
  const cuts: ShardKey[] = []
  let below = 0
  for (const [point, load] of points) {
    if (cuts.length + 1 < parts && below >= (total * (cuts.length + 1)) / parts) cuts.push(point)
    below += load
  }
  return [from, ...cuts].map((begins, i) => {
    const next = cuts[i]
    return { from: begins, to: next === undefined ? to : keyBefore(next) }
  })
}

export interface ReshardFigures {
  /** Those that have to hand their arcs over. */
  readonly microshards: number
  readonly keys: number
  readonly keysMoved: number
  readonly objects: number
  readonly objectsMoved: number
}

/** What is left to do until all keys have the newest weights: those move whose point is another by then. */
export function measureReshard(directory: MicroshardDirectory, objects: Loads): ReshardFigures {
  const newest = newestLayout(directory)
  const counted = [...objects].filter(([, count]) => count > 0)
  const moved = counted.filter(([key]) => {
    const entry = findMicroshard(directory, key)
    return pointIn(directory, entry, key) !== pointOf(newest, key)
  })
  const sum = (pairs: typeof counted) => pairs.reduce((all, [, count]) => all + count, 0)
  return {
    microshards: listUnsharded(directory).length,
    keys: counted.length,
    keysMoved: moved.length,
    objects: sum(counted),
    objectsMoved: sum(moved),
  }
}
