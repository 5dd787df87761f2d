/** What is decided, and why: each with the figures that it was decided on, so that it can be judged afterwards. Pure. */

import type { PlacementPolicy } from '../../contract/microshard-policies.ts'
import type { MicroshardSight } from './sight.ts'

interface Reasoned {
  /** A sentence. */
  readonly reason: string
  /** By name, what the sentence is about; the same that an event carries. */
  readonly figures: Readonly<Record<string, number>>
  /** It is done for what is expected, and not for what is. */
  readonly isAhead: boolean
}

export interface SplitDecision extends Reasoned {
  readonly kind: 'split'
  readonly microshard: string
}
export interface MergeDecision extends Reasoned {
  readonly kind: 'merge'
  readonly microshard: string
  readonly neighbour: string
}
export interface MigrateDecision extends Reasoned {
  readonly kind: 'migrate'
  readonly microshard: string
  readonly fromNode: string | null
  readonly toNode: string
  readonly policy: PlacementPolicy
}
/** From now on microshards are placed by another policy. */
export interface PolicyDecision extends Reasoned {
  readonly kind: 'policy'
  readonly policy: PlacementPolicy
  /** Null: none is met. */
  readonly rule: string | null
}
export interface NodesDecision extends Reasoned {
  readonly kind: 'nodes'
  readonly present: number
  readonly wanted: number
}

export type OperationDecision = SplitDecision | MergeDecision | MigrateDecision
export type Decision = OperationDecision | PolicyDecision | NodesDecision

/** What would be done, and what it waits for. */
export interface HeldBack {
  readonly decision: OperationDecision
  readonly because: 'churnOperations' | 'churnBytes' | 'atOnce'
}

export const microshardsOf = (decision: OperationDecision): readonly string[] =>
  decision.kind === 'merge' ? [decision.microshard, decision.neighbour] : [decision.microshard]

/** What a move copies: nothing to where a copy is. */
export const copiedBytes = ({ bytes, copies }: Pick<MicroshardSight, 'bytes' | 'copies'>, toNode: string): number =>
  copies.includes(toNode) ? 0 : bytes
