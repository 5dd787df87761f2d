/** What instances say: requests that haproxy has served, and the daemons' own words. */

import * as v from 'valibot'
import { clientAddressForms } from '../../agent/contract/log-forms.ts'
import { dropReasons, logKinds, requestSchema } from '../../agent/contract/log-lines.ts'

export { clientAddressForms } from '../../agent/contract/log-forms.ts'
export { logKinds } from '../../agent/contract/log-lines.ts'

/** A balancer's wish: whether requests are written down at all, how many of them, and what of their clients. */
export const loggingSchema = v.strictObject({
  /** Off unless it is said: whoever was there, and when, is nobody's to keep without a reason. */
  access: v.optional(v.picklist(['off', 'on']), 'off'),
  /** One request of so many, as 1/100. */
  sample: v.optional(
    v.pipe(v.string(), v.regex(/^1\/([1-9]\d{0,3}|10000)$/, 'must be 1/1 to 1/10000: one request of so many')),
    '1/1',
  ),
  /** `shortened`: the first 24 bits of IPv4, 48 of IPv6. What is left out never leaves the instance. */
  clientAddress: v.optional(v.picklist(clientAddressForms), 'shortened'),
})
export type Logging = v.InferOutput<typeof loggingSchema>

export const logEntrySchema = v.object({
  /** Its place, for `after` and Last-Event-ID. */
  id: v.string(),
  /** Of a request when it was over. */
  at: v.string(),
  loadBalancerId: v.string(),
  instanceId: v.string(),
  host: v.string(),
  kind: v.picklist(logKinds),
  /** Of kind `access`. */
  request: v.nullable(requestSchema),
  /** The daemon's own words. */
  message: v.nullable(v.string()),
  /** In place of lines that are not here, and why: `rate`, `unread` or `buffer`. */
  dropped: v.nullable(v.object({ lines: v.number(), reason: v.picklist(dropReasons) })),
})
export type LogEntry = v.InferOutput<typeof logEntrySchema>

export const logEntryIdPattern = /^(\d{1,15})-(\d{1,4})$/
