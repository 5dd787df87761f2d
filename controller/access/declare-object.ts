/**
 * How every named object comes to be: its name, then a unit of quota, then the object itself with its event; each taken
 * idempotently with the object's id as owner, so that a creation cut off anywhere is carried on by its repetition, or
 * swept. Signature first; the body is this room's.
 */

import type { Outcome } from '../contract/problem.ts'
import type { QuotaNoun } from '../contract/project.ts'
import type { EventDraft, Kind, StoredObject, Write } from '../control-plane/store.ts'
import type { ControllerContext, RequestInfo } from '../services.ts'

export interface Declaration<Value> {
  readonly kind: Kind<Value>
  /** From createObjectId(request, …): the same for a repetition. */
  readonly id: string
  /** Whose names it shares: a project's id, a user, or `system`. */
  readonly scope: string
  readonly name: string
  readonly quota?: { readonly noun: QuotaNoun; readonly projectId: string }
  readonly value: Value
  /** Written with it, in the same entity group: status, occupancy. */
  readonly beside?: readonly Write[]
  readonly events: readonly EventDraft[]
}

export type DeclareObject = <Value>(
  context: ControllerContext,
  declaration: Declaration<Value>,
  request: RequestInfo,
) => Promise<Outcome<StoredObject<Value>>>
