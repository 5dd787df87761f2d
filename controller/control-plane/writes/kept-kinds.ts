/**
 * What is kept of changes that take longer than their request, and of those that wait for a person. Both are of one
 * entity group, so that a change is given up and escalated in one transaction.
 */

import type { Clash, Escalation, OriginalAction, PendingAction } from '../../contract/escalation.ts'
import type { RequestInfo } from '../../services.ts'
import { defineKind } from '../store.ts'

/** Whose it is, and what makes its repetition the same: all that there was besides the action itself. */
export type KeptRequest = Pick<
  RequestInfo,
  'caller' | 'traceparent' | 'actionId' | 'seed' | 'expectedVersion' | 'doneAfter'
>

export interface PendingActionValue {
  /** Null: the rack's. */
  readonly projectId: string | null
  readonly action: OriginalAction
  readonly request: KeptRequest
  /** In no version of its object up to this one had it been done when it was first asked for. */
  readonly basis: { readonly id: string; readonly version: number } | null
  readonly status: PendingAction['status']
  readonly problem: PendingAction['problem']
  readonly escalationId: string | null
  /** How often it was tried since it was kept: who carries it on says so, and others leave it alone. */
  readonly rounds: number
}

export interface EscalationValue {
  readonly projectId: string | null
  readonly action: OriginalAction
  readonly request: KeptRequest
  readonly clash: Clash
  readonly status: Escalation['status']
  readonly resolution: Escalation['resolution']
}

const dataType = 'action'
export const pendingActionKind = defineKind<PendingActionValue>({ name: 'pending-action', prefix: 'act', dataType })
export const escalationKind = defineKind<EscalationValue>({ name: 'escalation', prefix: 'esc', dataType })
