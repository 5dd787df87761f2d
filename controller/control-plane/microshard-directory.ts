/**
 * The directory as a value: which arc of the key ring is kept in which microshard, in which epoch and on which node, and
 * which operations change that. Pure; `directory/watched-directory.ts` keeps it.
 */

import * as v from 'valibot'
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
}

export const operationKinds = ['split', 'merge', 'migrate'] as const
export type OperationKind = (typeof operationKinds)[number]

/**
 * `making` the targets' streams → `copying` while the sources are written → `sealing` the sources, then the rest is
 * copied → (the directory is switched) → `dropping` the sources once their events have come out. `aborting` drops the
 * targets instead.
 */
export const operationPhases = ['making', 'copying', 'sealing', 'dropping', 'aborting'] as const
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

/** How the 64 bits of a shard key are divided. Another layout is another order of the ring. */
export interface KeyLayout {
  readonly version: number
  readonly clientBits: number
  readonly dataTypeBits: number
  readonly timeBits: number
}

export interface MicroshardDirectory {
  readonly format: number
  /** Counts up by one with each change of the directory. */
  readonly version: number
  readonly keyLayout: KeyLayout
  /** The number that the next microshard is called by: none is ever used twice. */
  readonly nextMicroshard: number
  /** In the order of the ring, without a gap: those that are read and written. */
  readonly microshards: readonly MicroshardEntry[]
  readonly operations: readonly MicroshardOperation[]
  /** The last ones, oldest first. */
  readonly finished: readonly FinishedOperation[]
}

export const directoryFormat = 2
export const finishedOperationsMaximum = 32
export const keyLayout: KeyLayout = { version: 1, clientBits: 32, dataTypeBits: 16, timeBits: 16 }

const firstMicroshards = 4
const lastPoint = 2n ** 64n - 1n

const toKey = (point: bigint): ShardKey => point.toString(16).padStart(16, '0')
export const keyBefore = (key: ShardKey): ShardKey => toKey(BigInt(`0x${key}`) - 1n)

/** Equal arcs of the whole ring, each in its first epoch. */
export function planFirstDirectory(count = firstMicroshards): MicroshardDirectory {
  const arc = (lastPoint + 1n) / BigInt(count)
  const microshards = Array.from({ length: count }, (_, i) => ({
    id: String(i + 1),
    from: toKey(BigInt(i) * arc),
    to: toKey(i === count - 1 ? lastPoint : BigInt(i + 1) * arc - 1n),
    epoch: 1,
    version: 1,
    node: null,
  }))
  const common = { format: directoryFormat, version: 1, keyLayout, operations: [], finished: [] }
  return { ...common, nextMicroshard: count + 1, microshards }
}

/** The microshard that keeps a point of the ring. */
export function findMicroshard(
  directory: Pick<MicroshardDirectory, 'microshards' | 'version'>,
  shardKey: ShardKey,
): MicroshardEntry {
  const { microshards } = directory
  let [low, high] = [0, microshards.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((microshards[middle]?.from ?? '') <= shardKey) low = middle
    else high = middle - 1
  }
  const entry = microshards[low]
  if (entry === undefined || shardKey < entry.from || shardKey > entry.to) {
    throw new Error(`BUG: no microshard keeps ${shardKey}; directory ${directory.version}`)
  }
  return entry
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

const shardKeySchema = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/))
const idSchema = v.pipe(v.string(), v.regex(/^[0-9a-z]+$/))
const countSchema = v.pipe(v.number(), v.integer(), v.minValue(1))
const nodeSchema = v.nullable(v.string())

const entrySchema = v.object({
  id: idSchema,
  from: shardKeySchema,
  to: shardKeySchema,
  epoch: countSchema,
  version: countSchema,
  node: nodeSchema,
})

const operationSchema = v.object({
  id: v.string(),
  kind: v.picklist(operationKinds),
  phase: v.picklist(operationPhases),
  sources: v.array(entrySchema),
  targets: v.array(entrySchema),
  discarded: v.array(idSchema),
  isReturning: v.boolean(),
  cuts: v.record(idSchema, v.number()),
  starts: v.record(idSchema, v.number()),
  startedAt: v.string(),
})

const finishedSchema = v.object({
  id: v.string(),
  kind: v.picklist(operationKinds),
  outcome: v.picklist(['done', 'aborted']),
  sources: v.array(idSchema),
  targets: v.array(idSchema),
  startedAt: v.string(),
  finishedAt: v.string(),
})

/** An entry is a list and ends where the next begins: ten thousand of them have to fit into one message. */
const packedEntrySchema = v.tuple([idSchema, shardKeySchema, countSchema, countSchema, nodeSchema])

const directorySchema = v.object({
  format: v.literal(directoryFormat),
  version: countSchema,
  keyLayout: v.object({
    version: v.literal(keyLayout.version),
    clientBits: v.literal(keyLayout.clientBits),
    dataTypeBits: v.literal(keyLayout.dataTypeBits),
    timeBits: v.literal(keyLayout.timeBits),
  }),
  nextMicroshard: countSchema,
  microshards: v.pipe(v.array(packedEntrySchema), v.minLength(1)),
  operations: v.array(operationSchema),
  finished: v.array(finishedSchema),
})

const firstFormatSchema = v.object({
  format: v.literal(1),
  version: countSchema,
  microshards: v.pipe(
    v.array(v.object({ id: idSchema, from: shardKeySchema, to: shardKeySchema, epoch: countSchema })),
    v.minLength(1),
  ),
})

export function encodeDirectory(directory: MicroshardDirectory): string {
  const microshards = directory.microshards.map(({ id, from, epoch, version, node }) => [
    id,
    from,
    epoch,
    version,
    node,
  ])
  return JSON.stringify({ ...directory, microshards })
}

/**
 * Reads a directory's JSON, also one of the first format. A newer format is refused: writing by wrong rules would lose
 * data.
 */
export function parseDirectory(text: string): MicroshardDirectory {
  const content: unknown = JSON.parse(text)
  const { format } = v.parse(v.object({ format: v.number() }), content)
  if (format === 1) return upgradeFirstFormat(v.parse(firstFormatSchema, content))
  if (format !== directoryFormat) {
    throw new Error(
      `the store's directory has format ${format}, and this program knows format ${directoryFormat}: ` +
        'run the version of sluice that wrote it, or a newer one',
    )
  }
  const { microshards: packed, ...rest } = v.parse(directorySchema, content)
  const microshards = packed.map(([id, from, epoch, version, node], i) => {
    const next = packed[i + 1]?.[1]
    return { id, from, to: next === undefined ? toKey(lastPoint) : keyBefore(next), epoch, version, node }
  })
  refuseDisorder(microshards)
  return { ...rest, microshards }
}

/** The same map in the format of today, and a version further, so that everyone takes it for news. */
function upgradeFirstFormat(first: v.InferOutput<typeof firstFormatSchema>): MicroshardDirectory {
  const version = first.version + 1
  const microshards = first.microshards.map((entry) => ({ ...entry, version, node: null }))
  refuseDisorder(microshards)
  const numbers = microshards.map(({ id }) => (/^\d+$/.test(id) ? Number(id) : 0))
  const nextMicroshard = Math.max(...numbers) + 1
  return { format: directoryFormat, version, keyLayout, nextMicroshard, microshards, operations: [], finished: [] }
}

function refuseDisorder(microshards: readonly MicroshardEntry[]): void {
  if (microshards[0]?.from !== toKey(0n)) throw new Error("the store's directory does not begin where the ring begins")
  for (const [i, { id, from, to }] of microshards.entries()) {
    const next = microshards[i + 1]
    const end = next === undefined ? toKey(lastPoint) : keyBefore(next.from)
    if (from > to || to !== end) throw new Error(`the store's directory has a gap or an overlap at microshard ${id}`)
  }
}
