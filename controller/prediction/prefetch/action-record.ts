/** What the log keeps of an action: who did what when, what it looked at, what it used. Its form on the bus. Pure. */

import * as v from 'valibot'

const idSchema = v.pipe(v.string(), v.maxLength(64))
const fieldsSchema = v.record(v.pipe(v.string(), v.maxLength(64)), v.pipe(v.string(), v.maxLength(200)))

export const actionRecordSchema = v.object({
  /** The token that asked. */
  userAccountId: idSchema,
  scope: v.picklist(['admin', 'project']),
  projectId: v.nullable(idSchema),
  /** The operation's id. */
  actionType: v.pipe(v.string(), v.maxLength(64)),
  /** Milliseconds since the epoch, by its controller's clock. */
  at: v.pipe(v.number(), v.finite()),
  /** True: it changed nothing, and may be made again. */
  isRead: v.boolean(),
  /** What it looked at: the path's parameters, and of reads the query. */
  parameters: fieldsSchema,
  query: fieldsSchema,
  status: v.pipe(v.number(), v.integer()),
  milliseconds: v.pipe(v.number(), v.minValue(0)),
  bytes: v.pipe(v.number(), v.minValue(0)),
})
export type ActionRecord = v.InferOutput<typeof actionRecordSchema>

export const recordFormat = 1

const batchSchema = v.object({
  format: v.literal(recordFormat),
  /** Which controller has served them. */
  controller: v.string(),
  actions: v.array(v.unknown()),
})

export interface ActionBatch {
  readonly controller: string
  readonly actions: readonly ActionRecord[]
}

export const encodeActions = (controller: string, actions: readonly ActionRecord[]): string =>
  JSON.stringify({ format: recordFormat, controller, actions })

/** What can't be understood is left out: of another format all of it, else single ones. Never throws. */
export function decodeActions(data: Uint8Array): ActionBatch {
  const batch = v.safeParse(batchSchema, parseOrNull(data))
  if (!batch.success) return { controller: '', actions: [] }
  const { controller, actions } = batch.output
  return { controller, actions: actions.filter((action) => v.is(actionRecordSchema, action)) }
}

function parseOrNull(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data))
  } catch {
    return null
  }
}
