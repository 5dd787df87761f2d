/** What is seen of microshards and nodes when it is decided what to do with them. Types only. */

import type { OperationKind } from '../../control-plane/microshard-directory.ts'

export interface MicroshardSight {
  readonly id: string
  /** Null: wherever the servers put it. */
  readonly node: string | null
  /** The node that an operation is bringing it to. */
  readonly headedFor: string | null
  readonly bytes: number
  /** Nodes that have a copy: to one of them it is moved by another leader, and nothing is copied. */
  readonly copies: readonly string[]
  /** Distinct keys that its objects lie at: a key is never cut. */
  readonly keys: number
  /** Whether it takes part in an operation. */
  readonly isBusy: boolean
  /** Accesses a second that cost its node something, on average lately. */
  readonly load: number
  /** The highest load of five minutes within the last day. */
  readonly dayPeak: number
  /** By location, accesses a second of any kind. */
  readonly locations: ReadonlyMap<string, number>
  /** Its expected load after one step, two and so on up to the horizon; null: no forecast has earned to be believed. */
  readonly expected: readonly number[] | null
}

export interface NodeSight {
  readonly name: string
  /** Null: nobody has told. */
  readonly location: string | null
  /** It answers, and is not to be emptied. */
  readonly isAlive: boolean
}

export interface OperationSight {
  readonly id: string
  readonly kind: OperationKind
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly isRunning: boolean
  readonly sources: readonly string[]
  readonly targets: readonly string[]
}

export interface Sight {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** In the order of the ring. */
  readonly microshards: readonly MicroshardSight[]
  readonly nodes: readonly NodeSight[]
  /** Those under way and the last that have ended, whoever has begun them. */
  readonly operations: readonly OperationSight[]
  /** How many requests a second use both microshards. */
  readonly together: readonly (readonly [string, string, number])[]
  /** Of all accesses to all microshards, lately. */
  readonly p99Milliseconds: number
  readonly errorShare: number
  /** From one expected load to the next. */
  readonly stepSeconds: number
}
