/**
 * What must be remembered from one decision to the next: since when something has been so, and what was done within the
 * last hour. A value; `remember` brings it up to what is seen. Pure.
 */

import type { MicroshardPolicies, PlacementPolicy } from '../../contract/microshard-policies.ts'
import type { OperationKind } from '../../control-plane/microshard-directory.ts'
import type { Sight } from './sight.ts'

/** By name or id, since when; milliseconds since the epoch. */
export type Since = Readonly<Record<string, number>>

export interface LifecycleState {
  /** Microshards above the mark of a split. */
  readonly hotSince: Since
  /** Pairs of neighbours below the mark of a merge, by both ids. */
  readonly coldSince: Since
  /** Nodes that are hot, or are expected to be. */
  readonly nodeSince: Since
  readonly nodeAheadSince: Since
  /** Rules that are met. */
  readonly ruleSince: Since
  readonly policy: PlacementPolicy
  /** By microshard, by what it has come, or was last decided to change, and when. */
  readonly changed: Readonly<Record<string, { readonly at: number; readonly kind: OperationKind }>>
  /** What was begun within the last hour, or decided in a dry run. */
  readonly begun: readonly Begun[]
  /** Since when another number of nodes is wanted, and how many were asked for last. */
  readonly nodesSince: { readonly more: number | null; readonly fewer: number | null; readonly asked: number | null }
}

export interface Begun {
  readonly at: number
  readonly bytes: number
  readonly sources: readonly string[]
}

export const churnMilliseconds = 3_600_000

export const firstState: LifecycleState = {
  hotSince: {},
  coldSince: {},
  nodeSince: {},
  nodeAheadSince: {},
  ruleSince: {},
  policy: 'equal',
  changed: {},
  begun: [],
  nodesSince: { more: null, fewer: null, asked: null },
}

/** Takes in what others have done, and forgets what is over. */
export function rememberOperations(
  state: LifecycleState,
  { now, operations, microshards }: Sight,
  { cooldownSeconds }: Pick<MicroshardPolicies, 'cooldownSeconds'>,
): LifecycleState {
  const changed = { ...state.changed }
  for (const { kind, startedAt, targets } of operations) {
    for (const target of targets) changed[target] ??= { at: startedAt, kind }
  }
  const oldest = now - Math.max(churnMilliseconds, cooldownSeconds * 1000)
  const bytesOf = new Map(microshards.map(({ id, bytes }) => [id, bytes]))
  const known = new Set(state.begun.map(({ sources }) => nameSources(sources)))
  const others = operations
    .filter(({ sources }) => !known.has(nameSources(sources)))
    .map(({ startedAt, sources }) => ({
      at: startedAt,
      sources,
      bytes: sources.reduce((sum, id) => sum + (bytesOf.get(id) ?? 0), 0),
    }))
  return {
    ...state,
    changed: Object.fromEntries(Object.entries(changed).filter(([, { at }]) => at > oldest)),
    begun: [...state.begun, ...others].filter(({ at }) => at > now - churnMilliseconds),
  }
}

/** Numbers of microshards are never used again, so an operation is known by its sources. */
const nameSources = (sources: readonly string[]) => sources.toSorted().join(' ')

/** Since when each is so: begun now where it is new, and forgotten where it is not so any more. */
export function keepSince(before: Since, names: Iterable<string>, now: number): Since {
  return Object.fromEntries([...names].map((name) => [name, before[name] ?? now]))
}

export const lasted = (since: Since, name: string, seconds: number, now: number): boolean => {
  const from = since[name]
  return from !== undefined && now - from >= seconds * 1000
}
