/** The directory as JSON, in the formats that this program can read. Pure. */

import * as v from 'valibot'
import { firstKeyLayout, type KeyLayout, keyLayoutsMaximum } from '../key-layout.ts'
import {
  directoryFormat,
  keyBefore,
  type MicroshardDirectory,
  type MicroshardEntry,
  noPlacement,
  operationKinds,
  operationPhases,
  ringEnd,
  ringStart,
} from '../microshard-directory.ts'

const shardKeySchema = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/))
const idSchema = v.pipe(v.string(), v.regex(/^[0-9a-z]+$/))
const countSchema = v.pipe(v.number(), v.integer(), v.minValue(1))
const nodeSchema = v.nullable(v.string())
const bitsSchema = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(64))

const entrySchema = v.object({
  id: idSchema,
  from: shardKeySchema,
  to: shardKeySchema,
  epoch: countSchema,
  version: countSchema,
  node: nodeSchema,
  // Of the second format there is one layout alone.
  layout: v.optional(countSchema, firstKeyLayout.version),
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

const layoutSchema = v.object({
  version: countSchema,
  clientBits: bitsSchema,
  dataTypeBits: bitsSchema,
  timeBits: bitsSchema,
})

const commonEntries = {
  version: countSchema,
  nextMicroshard: countSchema,
  operations: v.array(operationSchema),
  finished: v.array(finishedSchema),
}

/** An entry is a list and ends where the next begins: ten thousand of them have to fit into one message. */
const packedEntries = [idSchema, shardKeySchema, countSchema, countSchema, nodeSchema] as const

const directorySchema = v.object({
  ...commonEntries,
  format: v.literal(directoryFormat),
  keyLayouts: v.pipe(v.array(layoutSchema), v.minLength(1), v.maxLength(keyLayoutsMaximum)),
  microshards: v.pipe(v.array(v.tuple([...packedEntries, countSchema])), v.minLength(1)),
  placement: v.object({ nodes: v.array(v.string()), drained: v.array(v.string()) }),
})

const secondFormatSchema = v.object({
  ...commonEntries,
  format: v.literal(2),
  keyLayout: v.object({ ...layoutSchema.entries, version: v.literal(firstKeyLayout.version) }),
  microshards: v.pipe(v.array(v.tuple(packedEntries)), v.minLength(1)),
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
  const microshards = directory.microshards.map(({ id, from, epoch, version, node, layout }) => [
    id,
    from,
    epoch,
    version,
    node,
    layout,
  ])
  return JSON.stringify({ ...directory, microshards })
}

/**
 * Reads a directory's JSON, also one of an older format. A newer format is refused: writing by wrong rules would lose
 * data.
 */
export function parseDirectory(text: string): MicroshardDirectory {
  const content: unknown = JSON.parse(text)
  const { format } = v.parse(v.object({ format: v.number() }), content)
  const directory = readFormat(format, content)
  refuseDisorder(directory)
  return directory
}

function readFormat(format: number, content: unknown): MicroshardDirectory {
  switch (format) {
    case 1:
      return upgradeFirstFormat(v.parse(firstFormatSchema, content))
    case 2:
      return upgradeSecondFormat(v.parse(secondFormatSchema, content))
    case directoryFormat: {
      const { microshards, ...rest } = v.parse(directorySchema, content)
      return { ...rest, microshards: unpack(microshards) }
    }
    default:
      throw new Error(
        `the store's directory has format ${format}, and this program knows format ${directoryFormat}: ` +
          'run the version of sluice that wrote it, or a newer one',
      )
  }
}

type Packed = readonly [string, string, number, number, string | null, number]

const unpack = (packed: readonly Packed[]): readonly MicroshardEntry[] =>
  packed.map(([id, from, epoch, version, node, layout], i) => {
    const next = packed[i + 1]?.[1]
    return { id, from, to: next === undefined ? ringEnd : keyBefore(next), epoch, version, node, layout }
  })

/** The same map in the format of today, and a version further, so that everyone takes it for news. */
function upgradeFirstFormat(first: v.InferOutput<typeof firstFormatSchema>): MicroshardDirectory {
  const version = first.version + 1
  const layout = firstKeyLayout.version
  const microshards = first.microshards.map((entry) => ({ ...entry, version, node: null, layout }))
  const numbers = microshards.map(({ id }) => (/^\d+$/.test(id) ? Number(id) : 0))
  const nextMicroshard = Math.max(...numbers) + 1
  return { ...today(version, [firstKeyLayout]), nextMicroshard, microshards, operations: [], finished: [] }
}

function upgradeSecondFormat(second: v.InferOutput<typeof secondFormatSchema>): MicroshardDirectory {
  const { keyLayout, microshards, nextMicroshard, operations, finished } = second
  const packed = microshards.map((entry): Packed => [...entry, keyLayout.version])
  const rest = { nextMicroshard, operations, finished, microshards: unpack(packed) }
  return { ...today(second.version + 1, [keyLayout]), ...rest }
}

const today = (version: number, keyLayouts: readonly KeyLayout[]) => ({
  format: directoryFormat,
  version,
  keyLayouts,
  placement: noPlacement,
})

function refuseDisorder({ microshards, keyLayouts }: MicroshardDirectory): void {
  if (microshards[0]?.from !== ringStart) throw new Error("the store's directory does not begin where the ring begins")
  for (const [i, { id, from, to, layout }] of microshards.entries()) {
    const next = microshards[i + 1]
    const end = next === undefined ? ringEnd : keyBefore(next.from)
    if (from > to || to !== end) throw new Error(`the store's directory has a gap or an overlap at microshard ${id}`)
    if (!keyLayouts.some(({ version }) => version === layout)) {
      throw new Error(`the store's directory does not tell the weights ${layout} of microshard ${id}`)
    }
  }
}
