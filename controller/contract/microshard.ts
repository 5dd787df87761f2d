/** Microshards, the directory that says where they are, and the operations that split, merge and migrate them. */

import * as v from 'valibot'

export const microshardIdSchema = v.pipe(v.string(), v.regex(/^[0-9a-z]{1,16}$/))
export const nodeNameSchema = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,99}$/))
export const operationIdSchema = v.pipe(v.string(), v.regex(/^mop_[0-9a-hjkmnp-tv-z]{25}$/))
const shardKeySchema = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/, 'must be a point of the ring: 16 hex digits'))

export const microshardOperationKinds = ['split', 'merge', 'migrate', 'reshard'] as const
export const microshardPhases = ['making', 'copying', 'sealing', 'dropping', 'leading', 'aborting'] as const

const entryFields = {
  id: v.string(),
  /** The first and the last point of its arc of the key ring. */
  from: v.string(),
  to: v.string(),
  epoch: v.number(),
  /** The version of the directory that brought it as it is. */
  version: v.number(),
  /** The version of the key's weights that its arc is meant by. */
  layout: v.number(),
  /** `active`: it is read and written. `inactive`: it is being made, is sealed, or is about to be dropped. */
  status: v.picklist(['active', 'inactive']),
  /** The node that holds it, or leads it where several do. */
  node: v.nullable(v.string()),
  /** Where that node is reached, `ip:port`. */
  address: v.nullable(v.string()),
  /** Of the operation that it takes part in. */
  operationId: v.nullable(v.string()),
  phase: v.nullable(v.picklist(microshardPhases)),
}

export const microshardEntrySchema = v.object(entryFields)
export const microshardSchema = v.object({
  ...entryFields,
  messages: v.number(),
  bytes: v.number(),
  /** Objects that are not deleted. */
  objects: v.number(),
  /** Distinct keys that they lie at: it can't be split into more parts than these. */
  keys: v.number(),
})

export const microshardOperationSchema = v.object({
  id: v.string(),
  kind: v.picklist(microshardOperationKinds),
  status: v.picklist(['running', 'done', 'aborted']),
  /** Null once it has ended. */
  phase: v.nullable(v.picklist(microshardPhases)),
  sources: v.array(v.string()),
  targets: v.array(v.string()),
  startedAt: v.string(),
  finishedAt: v.nullable(v.string()),
})

export const keyLayoutSchema = v.object({
  version: v.number(),
  clientBits: v.number(),
  dataTypeBits: v.number(),
  timeBits: v.number(),
})

const bitsOf = (minimum: number, maximum: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(minimum), v.maxValue(maximum))
/** How many of the ring's bits tell clients, data types and hours apart. */
export const keyWeightsSchema = v.strictObject({
  clientBits: bitsOf(8, 32),
  dataTypeBits: bitsOf(0, 16),
  timeBits: bitsOf(0, 16),
})
export const reshardSchema = v.strictObject({
  weights: keyWeightsSchema,
  /** Only tells what it would do. */
  dryRun: v.optional(v.boolean()),
})
export const keyWeightsViewSchema = v.object({
  ...keyLayoutSchema.entries,
  isDryRun: v.boolean(),
  /** `settled`: all microshards mean their arcs by these weights. `resharding`: they go over to them, one by one. */
  status: v.picklist(['settled', 'resharding']),
  /** Of all. */
  microshards: v.number(),
  /** What is left to do. A key moves where its point of the ring is another by these weights. */
  remaining: v.object({
    microshards: v.number(),
    keys: v.number(),
    keysMoved: v.number(),
    objects: v.number(),
    objectsMoved: v.number(),
  }),
  /** What the load of the last minutes calls for: null when there was none. */
  suggestion: v.nullable(
    v.object({
      weights: keyWeightsSchema,
      /** Bits of information in the load: of clients, of types given the client, of hours given both. */
      entropy: v.object({ client: v.number(), dataType: v.number(), time: v.number() }),
    }),
  ),
})

export const directorySchema = v.object({
  version: v.number(),
  format: v.number(),
  /** The weights of a key's factors: how many of the ring's bits each of them has. */
  keyLayout: keyLayoutSchema,
  /** Those that arcs are meant by, and some before them; the newest last. */
  keyLayouts: v.array(keyLayoutSchema),
  /** In the order of the ring; those that are not active follow. */
  microshards: v.array(microshardEntrySchema),
  /** Those under way and the last that have ended. */
  operations: v.array(microshardOperationSchema),
})

/** A NATS server that microshards can be on. */
export const nodeSchema = v.object({
  name: v.string(),
  /** Where it is reached, `ip:port`. Null: it is not known just now. */
  address: v.nullable(v.string()),
  /** Where it stands, as whoever set it up has named it. */
  location: v.nullable(v.string()),
  /** `present`: it takes microshards. `draining`: it is to hold none, and does yet. `drained`: it holds none. */
  status: v.picklist(['present', 'absent', 'draining', 'drained']),
  /** How many microshards the directory says that it holds, or leads where several hold them. */
  microshards: v.number(),
  /** Of how many microshards it has a copy. */
  copies: v.number(),
})

/** Where an action of a user's is done. */
export const shardLocationSchema = v.object({
  user: v.string(),
  action: v.string(),
  shardKey: v.string(),
  microshardId: v.string(),
  epoch: v.number(),
  node: v.nullable(v.string()),
  /** `ip:port`. */
  address: v.nullable(v.string()),
  /** Of the directory. */
  version: v.number(),
})

export const splitSchema = v.strictObject({
  /** The first key of the upper half; left out: where its load halves. */
  at: v.optional(shardKeySchema),
})
export const mergeSchema = v.strictObject({ withId: microshardIdSchema })
export const migrateSchema = v.strictObject({ toNode: v.pipe(v.string(), v.minLength(1), v.maxLength(100)) })

export type KeyWeightsView = v.InferOutput<typeof keyWeightsViewSchema>
export type MicroshardReshard = v.InferOutput<typeof reshardSchema>
export type NodeView = v.InferOutput<typeof nodeSchema>
export type MicroshardView = v.InferOutput<typeof microshardSchema>
export type MicroshardEntryView = v.InferOutput<typeof microshardEntrySchema>
export type MicroshardOperationView = v.InferOutput<typeof microshardOperationSchema>
export type DirectoryView = v.InferOutput<typeof directorySchema>
export type ShardLocation = v.InferOutput<typeof shardLocationSchema>
export type MicroshardSplit = v.InferOutput<typeof splitSchema>
export type MicroshardMerge = v.InferOutput<typeof mergeSchema>
export type MicroshardMigrate = v.InferOutput<typeof migrateSchema>
