/**
 * What an operation does with streams, and the types of what it copies: the seam between the driver and JetStream, which
 * a simulation stands in for. Types only.
 */

import type { MicroshardPlace } from '../message.ts'
import type { MicroshardEntry } from '../microshard-directory.ts'
import type { ShardKey } from '../shard-key.ts'
import type { CopiedUpTo } from './copied-header.ts'

export interface LifecycleStreams {
  /** Makes the stream of a microshard where its entry says, unless it is there. */
  make(entry: MicroshardEntry): Promise<void>
  /** Makes the node of an entry lead its stream, of which it has a copy. Rejects when it does not within some seconds. */
  lead(entry: MicroshardEntry): Promise<void>
  isThere(microshardId: string): Promise<boolean>
  /** Removes a microshard's stream, if it is there. */
  drop(microshardId: string): Promise<void>
  /** From now on the microshard takes no write, for ever. Answers the sequence after which nothing of it lies. */
  seal(place: MicroshardPlace): Promise<number>
  /** Some messages after a sequence, in order, without those of events. */
  readAfter(place: MicroshardPlace, sequence: number): Promise<SourcePart>
  /** How far a target's stream is. */
  readCopied(place: MicroshardPlace): Promise<TargetEnd>
  /** Writes messages behind a sequence, which is the stream's last. */
  append(place: MicroshardPlace, messages: readonly CopyMessage[], after: number): Promise<AppendOutcome>
  /** Whether events wait in a microshard to be relayed. */
  hasWaitingEvents(place: MicroshardPlace): Promise<boolean>
}

export interface SourceMessage {
  readonly subject: string
  readonly sequence: number
  readonly data: Uint8Array
  /** Null: it belongs to no arc, as a barrier. */
  readonly shardKey: ShardKey | null
}

export interface SourcePart {
  readonly messages: readonly SourceMessage[]
  /** All that is kept up to this sequence has been read. */
  readonly upTo: number
}

export interface CopyMessage {
  readonly subject: string
  readonly data: Uint8Array
  readonly copiedUpTo: CopiedUpTo
}

export interface TargetEnd {
  readonly lastSequence: number
  /** What its last message says; null: that is no copy, since the target has taken over already. */
  readonly copiedUpTo: CopiedUpTo | null
}

export type AppendOutcome =
  | { readonly kind: 'stored'; readonly lastSequence: number }
  /** The stream ends elsewhere, by another driver or an earlier write of this one; or nobody knows what was stored. */
  | { readonly kind: 'elsewhere' }
