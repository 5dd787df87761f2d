/** RFC 9457 problems: what was wrong, with what, and what to do. The one shape of every refusal. */

import * as v from 'valibot'
import type { Clash } from './escalation.ts'

export const problemCodes = {
  malformed: 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  'method-not-allowed': 405,
  conflict: 409,
  'name-taken': 409,
  'in-use': 409,
  overlap: 409,
  'quota-exceeded': 409,
  escalated: 409,
  locked: 423,
  'idempotency-key-reused': 422,
  'precondition-failed': 412,
  'payload-too-large': 413,
  invalid: 422,
  'no-space': 409,
  'no-host': 409,
  'too-many-requests': 429,
  internal: 500,
  unavailable: 503,
  timeout: 504,
} as const

export type ProblemCode = keyof typeof problemCodes

export const problemSchema = v.object({
  type: v.string(),
  title: v.string(),
  status: v.number(),
  code: v.string(),
  detail: v.string(),
  /** What to do about it. */
  remedy: v.optional(v.string()),
  /** The fields at fault, as paths: `listeners[0].port`. */
  errors: v.optional(v.array(v.object({ field: v.string(), message: v.string() }))),
  /** Of a change that waits for a person: `GET /v1/escalations/{id}`. */
  escalationId: v.optional(v.string()),
  /** The trace of the request, for the logs. */
  traceId: v.optional(v.string()),
})

/** A refusal as a value within the controller; routes dress it as RFC 9457. */
export interface Problem {
  readonly code: ProblemCode
  readonly title: string
  readonly detail: string
  readonly remedy?: string
  readonly errors?: readonly { readonly field: string; readonly message: string }[]
  readonly retryAfterSeconds?: number
  readonly escalationId?: string
  /** More members of the problem document, as RFC 9457 lets there be: for programs that look for them. */
  readonly members?: Readonly<Record<string, unknown>>
  /** What kept the change from being made; from it an escalation is raised. It is not answered. */
  readonly clash?: Clash
}

export type Outcome<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: Problem }

export const succeed = <Value>(value: Value): Outcome<Value> => ({ ok: true, value })
export const refuse = (problem: Problem): { readonly ok: false; readonly problem: Problem } => ({ ok: false, problem })
