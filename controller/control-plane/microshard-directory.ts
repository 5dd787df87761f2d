/**
 * The directory as a value: which arc of the key ring is kept in which microshard, in which epoch and on which node, and
 * which operations change that. Pure; `directory/watched-directory.ts` keeps it.
 */

import { placeMicroshards } from './directory/nodes.ts'
import { firstKeyLayout, type KeyLayout, pointOf, toPoint } from './key-layout.ts'
import type { ShardKey } from './shard-key.ts'

export interface MicroshardEntry {
  readonly id: string
  /** The first and the last point of its arc. */
  readonly from: ShardKey
  readonly to: ShardKey
  /** Higher than that of every microshard that has kept a part of this arc before. */
  readonly epoch: number
  /** The directory's version that brought this entry. */
  readonly version: number
  /** The node that holds it, or leads it where several do; null: wherever the servers put it. */
  readonly node: string | null
  /** The version of the key layout that its arc is meant by. */
  readonly layout: number
}

export const operationKinds = ['split', 'merge', 'migrate', 'reshard'] as const
export type OperationKind = (typeof operationKinds)[number]

/**
 * `making` the targets' streams → `copying` while the sources are written → `sealing` the sources, then the rest is
 * copied → (the directory is switched) → `dropping` the sources once their events have come out. `aborting` drops the
 * targets instead. Where a node has a copy of the source already, nothing is handed over: it is made to lead, `leading`.
 */
export const operationPhases = ['making', 'copying', 'sealing', 'dropping', 'leading', 'aborting'] as const
export type OperationPhase = (typeof operationPhases)[number]

/** Sources hand their arcs over to targets, which cover the same arcs. */
export interface MicroshardOperation {
  readonly id: string
  readonly kind: OperationKind
  readonly phase: OperationPhase
  readonly sources: readonly MicroshardEntry[]
  readonly targets: readonly MicroshardEntry[]
  /** Targets that were given up: their streams are dropped at the end. */
  readonly discarded: readonly string[]
  /** It was aborted after the sources had been sealed, so that its targets are the sources' own arcs again. */
  readonly isReturning: boolean
  /** Since the switch: by source where it ends, and by target where what has been copied ends. */
  readonly cuts: Readonly<Record<string, number>>
  readonly starts: Readonly<Record<string, number>>
  readonly startedAt: string
}

export interface FinishedOperation {
  readonly id: string
  readonly kind: OperationKind
  readonly outcome: 'done' | 'aborted'
  readonly sources: readonly string[]
  readonly targets: readonly string[]
  readonly startedAt: string
  readonly finishedAt: string
}

export interface MicroshardDirectory {
  readonly format: number
  /** Counts up by one with each change of the directory. */
  readonly version: number
  /** Those that arcs are meant by, and some before them; the newest last. */
  readonly keyLayouts: readonly KeyLayout[]
  /** The number that the next microshard is called by: none is ever used twice. */
  readonly nextMicroshard: number
  /** In the order of the ring, without a gap: those that are read and written. */
  readonly microshards: readonly MicroshardEntry[]
  readonly operations: readonly MicroshardOperation[]
  /** The last ones, oldest first. */
  readonly finished: readonly FinishedOperation[]
  readonly placement: DirectoryPlacement
}

/** What the microshards have been placed over. */
export interface DirectoryPlacement {
  /** The nodes that they were spread over last, in the order of their names. */
  readonly nodes: readonly string[]
  /** Nodes that are to hold none. */
  readonly drained: readonly string[]
}

export const directoryFormat = 3
export const finishedOperationsMaximum = 32

const firstMicroshards = 4
export const noPlacement: DirectoryPlacement = { nodes: [], drained: [] }
const lastPoint = 2n ** 64n - 1n
export const ringStart = toPoint(0n)
export const ringEnd = toPoint(lastPoint)
export const keyBefore = (key: ShardKey): ShardKey => toPoint(BigInt(`0x${key}`) - 1n)
export const keyAfter = (key: ShardKey): ShardKey => toPoint(BigInt(`0x${key}`) + 1n)

/** Equal arcs of the whole ring, each in its first epoch, on these nodes; fewer than two are nothing to be placed on. */
export function planFirstDirectory(count = firstMicroshards, nodes: readonly string[] = []): MicroshardDirectory {
  const arc = (lastPoint + 1n) / BigInt(count)
  const ids = Array.from({ length: count }, (_, i) => String(i + 1))
  const placed = nodes.length < 2 ? null : placeMicroshards(ids, nodes)
  const microshards = ids.map((id, i) => ({
    id,
    from: toPoint(BigInt(i) * arc),
    to: toPoint(i === count - 1 ? lastPoint : BigInt(i + 1) * arc - 1n),
    epoch: 1,
    version: 1,
    node: placed?.get(id) ?? null,
    layout: firstKeyLayout.version,
  }))
  const placement = placed === null ? noPlacement : { nodes: nodes.toSorted(), drained: [] }
  const common = {
    format: directoryFormat,
    version: 1,
    keyLayouts: [firstKeyLayout],
    operations: [],
    finished: [],
    placement,
  }
  return { ...common, nextMicroshard: count + 1, microshards }
}

/** What it takes to find a microshard. */
export type Ring = Pick<MicroshardDirectory, 'microshards' | 'keyLayouts' | 'version'>

/**
 * The microshard that keeps a shard key. While the ring goes over to another layout, the key has a point by each of them,
 * and lies where a microshard is meant by the very layout that leads there: arcs of different layouts share no client.
 */
export function findMicroshard(ring: Ring, shardKey: ShardKey): MicroshardEntry {
  for (let i = ring.keyLayouts.length - 1; i >= 0; i--) {
    const layout = ring.keyLayouts[i]
    if (layout === undefined) continue
    const entry = findByPoint(ring, pointOf(layout, shardKey))
    if (entry?.layout === layout.version) return entry
  }
  throw new Error(`BUG: no microshard keeps ${shardKey}; directory ${ring.version}`)
}

function findByPoint({ microshards }: Ring, point: ShardKey): MicroshardEntry | null {
  let [low, high] = [0, microshards.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((microshards[middle]?.from ?? '') <= point) low = middle
    else high = middle - 1
  }
  const entry = microshards[low]
  return entry === undefined || point < entry.from || point > entry.to ? null : entry
}

export function newestLayout({ keyLayouts }: Pick<Ring, 'keyLayouts'>): KeyLayout {
  const newest = keyLayouts.at(-1)
  if (newest === undefined) throw new Error('BUG: a directory without weights')
  return newest
}

/** Where a shard key lies, as a microshard means it. */
export function pointIn(
  { keyLayouts }: Pick<Ring, 'keyLayouts'>,
  { layout }: MicroshardEntry,
  key: ShardKey,
): ShardKey {
  const meant = keyLayouts.find(({ version }) => version === layout)
  if (meant === undefined) throw new Error(`BUG: nobody knows the weights ${layout}`)
  return pointOf(meant, key)
}

/** Whether a shard key lies in the arc of a microshard. */
export function isWithin(ring: Pick<Ring, 'keyLayouts'>, entry: MicroshardEntry, shardKey: ShardKey): boolean {
  const point = pointIn(ring, entry, shardKey)
  return entry.from <= point && point <= entry.to
}

/** The operation that a microshard takes part in, as a source or a target. */
export function findOperationOf(
  directory: Pick<MicroshardDirectory, 'operations'>,
  microshardId: string,
): MicroshardOperation | null {
  const takesPart = ({ id }: MicroshardEntry) => id === microshardId
  const found = directory.operations.find(({ sources, targets }) => sources.some(takesPart) || targets.some(takesPart))
  return found ?? null
}
