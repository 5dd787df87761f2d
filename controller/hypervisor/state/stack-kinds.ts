/**
 * What the store keeps of a stack: who holds it, its state's description, and the parts that the state's bytes lie in.
 * All of one entity group, so that a state and the lock that it was written under change together or not at all.
 */

import type { LockInfo } from '../../contract/stack.ts'
import { defineKind } from '../../control-plane/store.ts'

const dataType = 'stack'

export interface StackValue {
  readonly name: string
  readonly projectId: string | null
  readonly lock: { readonly info: LockInfo; readonly takenBy: string; readonly takenAt: string } | null
}
export const stackKind = defineKind<StackValue>({ name: 'stack', prefix: 'stk', dataType })

/** It has the stack's id. Its versions, and those of the parts, are the history of the state. */
export interface StackStateValue {
  readonly serial: number | null
  readonly lineage: string | null
  /** Of the state as it was sent. */
  readonly bytes: number
  readonly keyVersion: number
  /** Which version of each part is this state's. */
  readonly parts: readonly number[]
  readonly writtenBy: string
}
export const stackStateKind = defineKind<StackStateValue>({ name: 'stack-state', prefix: 'stk', dataType })

/** Its id is named by the stack and its place. */
export interface StackPartValue {
  /** Base64 of a stretch of what is sealed. */
  readonly sealed: string
}
export const stackPartKind = defineKind<StackPartValue>({ name: 'stack-part', prefix: 'stp', dataType })
