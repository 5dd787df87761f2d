/**
 * How actions on one object get written: decided on what memory shows and written on that condition; when another was
 * faster, handed to reconciliation, which fetches the latest, decides again and writes, with a bound. Touches the store.
 */

import type { Clash } from '../../contract/escalation.ts'
import type { ActionOutcome } from '../act.ts'
import type { ShardKey } from '../shard-key.ts'
import {
  OutcomeUnknownError,
  type StoredObject,
  StoreUnavailableError,
  shardKeyOf,
  type VersionConflict,
} from '../store.ts'
import type { ActionMeans } from './action-queue.ts'
import { listDifferences } from './clash.ts'
import {
  type ConditionalWriteOutcome,
  nameOfObject,
  performConditionalWrite,
  versionOf,
  type WriteMeans,
} from './conditional-write.ts'
import { type AnyAction, type AnyObject, type Fold, foldActions, type Verdict } from './fold-actions.ts'
import { proveUndone } from './prove-undone.ts'
import type { RecentActions } from './recent-actions.ts'

/** An action that somebody waits for. */
export interface Pending {
  readonly action: AnyAction
  readonly resolve: (outcome: ActionOutcome<unknown, unknown>) => void
  readonly reject: (cause: unknown) => void
  /** What it was decided on at first, and what it wanted: for those who fail in the end. */
  first: { readonly base: AnyObject | null; readonly wanted: unknown } | null
}

/** On one object, in the order in which they came. */
export type Batch = Pending[]

export interface WriteCounts {
  /** Writes that were stored. */
  written: number
  /** Actions that these did. */
  done: number
  /** Writes that were begun and found another's: work for nothing. */
  wasted: number
  /** Writes that were not begun, since a look before them found another's. */
  aborted: number
  /** Actions that were given up, as others kept winning. */
  contended: number
}

export interface BatchWriter {
  /** Settles all but those that it returns, which need a write of their own. Never rejects. */
  write(batch: Batch): Promise<Batch>
  /**
   * Decides actions of one object anew, on the latest, until they are written, refused, or given up; the waits between
   * are drawn at random. Returns those that need a write of their own.
   */
  reconcileControlPlaneAction(shardKey: ShardKey, originalActions: Batch): Promise<Batch>
  counts(): WriteCounts
}

/** One writer wins each round of a race, so that this many can meet on one object and all come through. */
export const actionAttemptsMaximum = 32
/** Waits double from the first to the last, and each is drawn at random up to that. */
const waitMillisecondsMaximum = 64
/** Of those whose outcome nobody knew; more are forgotten, oldest first. */
const doubtsMaximum = 10_000

export function createBatchWriter(means: ActionMeans & WriteMeans & { readonly recent: RecentActions }): BatchWriter {
  const { store } = means
  const counts: WriteCounts = { written: 0, done: 0, wasted: 0, aborted: 0, contended: 0 }
  /** The version before which an action in doubt has certainly not been done. */
  const doubts = new Map<string, number>()

  /** The first try, on what memory shows; what comes of it is written, or reconciled. */
  async function write(batch: Batch): Promise<Batch> {
    try {
      return await writeOrReconcile(batch)
    } catch (cause) {
      // One that can't be written must not take the others with it.
      if (batch.length > 1 && !(cause instanceof OutcomeUnknownError)) {
        for (const pending of batch) await write([pending])
        return []
      }
      for (const { reject } of batch) reject(cause)
      return []
    }
  }

  async function writeOrReconcile(batch: Batch): Promise<Batch> {
    const [first] = batch
    if (first === undefined) return []
    const shardKey = shardKeyOf(first.action.kind, first.action.id)
    const round = await attempt(shardKey, batch, false)
    if (round.kind === 'settled') return round.left
    return [...(await reconcileControlPlaneAction(shardKey, round.taken)), ...round.left]
  }

  async function reconcileControlPlaneAction(shardKey: ShardKey, originalActions: Batch): Promise<Batch> {
    let waiting = originalActions
    let conflicts: readonly VersionConflict[] = []
    for (let count = 2; count <= actionAttemptsMaximum; count++) {
      await means.sleep?.(drawWait(means.random, count))
      const round = await attempt(shardKey, waiting, true)
      if (round.kind === 'settled') return round.left
      conflicts = round.conflicts
      waiting = [...round.taken, ...round.left]
    }
    for (const pending of waiting) await giveUp(pending, conflicts)
    return []
  }

  async function attempt(shardKey: ShardKey, batch: Batch, isLatest: boolean): Promise<Round> {
    const [first] = batch
    if (first === undefined) return { kind: 'settled', left: [] }
    const { kind, id } = first.action
    const current = await readCurrent(first.action, isLatest)
    const readAt = means.now()
    const fold = await foldActions(
      current,
      batch.map(({ action }) => action),
      (action) => isUntold(current, action),
    )
    const taken = batch.slice(0, fold.verdicts.length)
    const left = batch.slice(fold.verdicts.length)
    for (const [i, pending] of taken.entries()) pending.first ??= { base: current, wanted: fold.wanted[i] ?? null }
    if (fold.write === null) {
      await settle(taken, fold, current, null)
      return { kind: 'settled', left }
    }
    const { traceparent } = first.action
    const data = { kind, id, base: current, readAt, ...fold.write, traceparent }
    const outcome = await performConditionalWrite(means, shardKey, data, versionOf(current) + 1).catch(
      (cause: unknown) => {
        if (cause instanceof OutcomeUnknownError) noteDoubts(fold.write?.actionIds ?? [], versionOf(current))
        throw cause
      },
    )
    return judge(outcome, { taken, left, fold, current })
  }

  async function judge(outcome: ConditionalWriteOutcome, tried: Tried): Promise<Round> {
    const { taken, left, fold, current } = tried
    switch (outcome.outcome) {
      case 'committed': {
        const [object] = outcome.objects
        counts.written++
        counts.done += fold.write?.actionIds.length ?? 0
        await settle(taken, fold, current, object ?? null)
        return { kind: 'settled', left }
      }
      case 'conflict':
        counts.wasted++
        return { kind: 'stale', taken, left, conflicts: outcome.conflicts }
      case 'stale':
        counts.aborted++
        return { kind: 'stale', taken, left, conflicts: [describeStale(tried, outcome.actualVersion)] }
      case 'unavailable':
        for (const { resolve } of taken) resolve(outcome)
        return { kind: 'settled', left }
      default:
        return outcome satisfies never
    }
  }

  async function readCurrent({ kind, id }: AnyAction, latest: boolean): Promise<AnyObject | null> {
    if (!latest) return store.getOrTombstone(kind, id)
    try {
      return await store.getOrTombstone(kind, id, { latest })
    } catch (cause) {
      // Memory is at least as new as what stood in the way.
      if (!(cause instanceof StoreUnavailableError)) throw cause
      return store.getOrTombstone(kind, id)
    }
  }

  function noteDoubts(actionIds: readonly string[], version: number): void {
    for (const actionId of actionIds) {
      if (!doubts.has(actionId)) doubts.set(actionId, version)
    }
    for (const oldest of doubts.keys()) {
      if (doubts.size <= doubtsMaximum) break
      doubts.delete(oldest)
    }
  }

  async function isUntold(current: AnyObject | null, action: AnyAction): Promise<boolean> {
    const { actionId } = action
    const afterVersion = action.doneAfterVersion ?? doubts.get(actionId)
    if (afterVersion === undefined) return false
    const proof = await proveUndone(means, action, current, { actionId, afterVersion })
    // One that is found done is told so by its repetition: its id is looked for in all versions then.
    return proof !== 'undone'
  }

  /** Tells all that took part what became of them. */
  async function settle(taken: Batch, fold: Fold, current: AnyObject | null, stored: AnyObject | null): Promise<void> {
    for (const [i, pending] of taken.entries()) {
      const verdict = fold.verdicts[i]
      if (verdict === undefined) throw new Error('BUG: an action without a verdict')
      if (verdict.kind === 'failed') {
        pending.reject(verdict.cause)
        continue
      }
      try {
        pending.resolve(await describeOutcome(pending, verdict, stored ?? current))
      } catch (cause) {
        pending.reject(cause)
      }
    }
  }

  async function describeOutcome(
    pending: Pending,
    verdict: Exclude<Verdict, { kind: 'failed' }>,
    object: AnyObject | null,
  ): Promise<ActionOutcome<unknown, unknown>> {
    switch (verdict.kind) {
      case 'written':
        return { outcome: 'done', object, isRepeated: false }
      case 'kept':
        return { outcome: 'done', object: object === null || object.value === null ? null : object, isRepeated: false }
      case 'refused':
        return { outcome: 'refused', problem: verdict.problem }
      case 'repeated':
        return verdict.isOfThisWrite
          ? { outcome: 'done', object, isRepeated: true }
          : recall(pending, { outcome: 'done', object, isRepeated: true })
      case 'untold':
        return recall(pending)
      default:
        return verdict satisfies never
    }
  }

  /**
   * The object as the action left it: the oldest kept version that records it. Where no leader tells, what is known of it
   * anyway; that nothing was changed is not among that.
   */
  async function recall(
    pending: Pending,
    known?: ActionOutcome<unknown, unknown>,
  ): Promise<ActionOutcome<unknown, unknown>> {
    const { kind, id, actionId } = pending.action
    try {
      const history = await store.history(kind, id)
      const object = history.find(({ actionIds }) => actionIds.includes(actionId))
      if (object !== undefined) return { outcome: 'done', object, isRepeated: true }
      const latest = history.at(-1) ?? null
      const name = nameOfObject(pending.action)
      const isSeen = means.recent.find(name, actionId, Number.POSITIVE_INFINITY, 0) === 'done'
      if (isSeen) return { outcome: 'done', object: latest, isRepeated: true }
      return { outcome: 'untold', clash: describeClash(pending, 'untold', latest) }
    } catch (cause) {
      if (!(cause instanceof StoreUnavailableError)) throw cause
      if (known !== undefined) return known
      throw new OutcomeUnknownError(`whether ${actionId} is done could not be read`, { cause })
    }
  }

  async function giveUp(pending: Pending, conflicts: readonly VersionConflict[]): Promise<void> {
    counts.contended++
    const { kind, id } = pending.action
    const latest = await store.getOrTombstone(kind, id)
    pending.resolve({ outcome: 'contended', conflicts, clash: describeClash(pending, 'contended', latest) })
  }

  return { write, reconcileControlPlaneAction, counts: () => ({ ...counts }) }
}

interface Tried {
  readonly taken: Batch
  readonly left: Batch
  readonly fold: Fold
  readonly current: AnyObject | null
}

type Round =
  | { readonly kind: 'settled'; readonly left: Batch }
  | {
      readonly kind: 'stale'
      readonly taken: Batch
      readonly left: Batch
      readonly conflicts: readonly VersionConflict[]
    }

function describeStale({ taken, current }: Tried, actualVersion: number): VersionConflict {
  const [first] = taken
  const expectedVersion = current === null || current.value === null ? 'absent' : current.version
  return { kind: first?.action.kind.name ?? '', id: first?.action.id ?? '', expectedVersion, actualVersion }
}

function describeClash(
  { action, first }: Pending,
  reason: Clash['reason'],
  latest: StoredObject<unknown> | null,
): Clash {
  const base = first?.base ?? null
  return {
    kind: action.kind.name,
    id: action.id,
    reason,
    baseVersion: base === null || base.value === null ? null : base.version,
    latestVersion: latest === null || latest.value === null ? null : latest.version,
    differences: listDifferences(base?.value ?? null, first?.wanted ?? null, latest?.value ?? null),
  }
}

/** At random, so that those who met once do not meet again. */
function drawWait(random: (bytes: number) => Uint8Array, attempt: number): number {
  const [byte = 0] = random(1)
  return (Math.min(2 ** (attempt - 2), waitMillisecondsMaximum) * byte) / 255
}
