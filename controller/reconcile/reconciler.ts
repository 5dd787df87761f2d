/**
 * One turn: read what is desired and what was observed, plan, apply, report. It takes no input and never fails: what
 * went wrong is in its report, and the next turn is the retry.
 */

import { isOpen } from '../address-space/migration/plan-migrations.ts'
import type { ApplyOutcome } from '../control-plane/apply-outcome.ts'
import { isLifeWaiting } from '../load-balancing/life/plan-life.ts'
import { isStaying } from '../load-balancing/scaling/advance-slots.ts'
import type { ExpectedLoads } from '../load-balancing/scaling/expected-loads.ts'
import type { LoadHistory } from '../load-balancing/scaling/load-history.ts'
import { measureLoads, planScaling } from '../load-balancing/scaling/plan-scaling.ts'
import type { ControllerContext } from '../services.ts'
import { type ApplyContext, applyOperation, groupStatuses, recordStatuses } from './apply-operation.ts'
import { judgeHosts } from './judge-hosts.ts'
import { describeOperation, type ReconcileOperation, tracesOf } from './operation.ts'
import { planReconcile, type ReconcileInput } from './plan-reconcile.ts'
import { type Sight, seesTheSame } from './quiet.ts'
import { type HostContent, renderAllHosts } from './render-host-instructions.ts'
import { readSnapshot, rendersTheSame, type Snapshot } from './snapshot.ts'

export interface TurnReport {
  readonly operations: number
  readonly failures: readonly { readonly operation: string; readonly reason: string }[]
}

export interface Reconciler {
  turn(): Promise<TurnReport>
}

type ReconcilerContext = ApplyContext &
  Pick<ControllerContext, 'observed' | 'settings' | 'logger'> & {
    readonly loadHistory: LoadHistory
    readonly expectedLoads: Pick<ExpectedLoads, 'foresee'>
  }

/** Statuses are many when everything changes at once; the store takes so many transactions at a time. */
const parallelMaximum = 24

export function createReconciler(context: ReconcilerContext): Reconciler {
  let rendered: { readonly snapshot: Snapshot; readonly contents: ReadonlyMap<string, HostContent> } | null = null

  /** What the last turn saw when there was nothing to do. */
  let atRest: Sight | null = null

  /** Reports wake a turn far more often than the desired state changes: what says the same is not rendered again. */
  function render(snapshot: Snapshot): ReadonlyMap<string, HostContent> {
    if (rendered === null || !rendersTheSame(rendered.snapshot, snapshot)) {
      rendered = { snapshot, contents: renderAllHosts(snapshot, context.settings) }
    }
    return rendered.contents
  }

  async function plan(): Promise<readonly ReconcileOperation[]> {
    const { store, publisher, observed, loadHistory, expectedLoads } = context
    let snapshot = readSnapshot(store)
    // Read again after each wait: a host may have come meanwhile.
    while (!publisher.knows(listHostNames(snapshot))) {
      await publisher.load(listHostNames(snapshot))
      snapshot = readSnapshot(store)
    }
    const published = new Map(publisher.published)
    const now = context.now()
    const hosts = judgeHosts(snapshot, observed, now)
    const loads = measureLoads(snapshot, hosts, { windows: observed.loads, history: loadHistory, expectedLoads, now })
    const { settings } = context
    const input = { snapshot, contents: render(snapshot), published, observed, loads, settings, now }
    const sight = { input, hosts }
    // Load and schedules change where nothing else does.
    if (atRest !== null && seesTheSame(atRest, sight)) return planScaling(input)
    const operations = planReconcile(input)
    const isWaiting = isTimeAwaited(input)
    atRest = operations.length === 0 && !isWaiting ? sight : null
    return operations
  }

  async function applyAndLog(operation: ReconcileOperation): Promise<ApplyOutcome> {
    const outcome = await applyOperation(context, operation)
    const line = { operation: describeOperation(operation), outcome: outcome.kind, traceparents: tracesOf(operation) }
    context.logger.info(line, 'applied')
    return outcome
  }

  async function apply(operations: readonly ReconcileOperation[]): Promise<TurnReport> {
    const statuses = operations.filter((operation) => operation.kind === 'recordStatus')
    const steps = [
      ...operations
        .filter((operation) => operation.kind !== 'recordStatus')
        .map((operation) => ({ name: describeOperation(operation), run: () => applyAndLog(operation) })),
      ...groupStatuses(statuses).map((group) => ({
        name: `record ${group.length} statuses`,
        run: () => recordStatuses(context, group),
      })),
    ]
    const outcomes = await runAll(steps.map(({ run }) => run))
    const failures = steps.flatMap(({ name }, i) => {
      const outcome = outcomes[i]
      return outcome?.kind === 'failed' ? [{ operation: name, reason: outcome.reason }] : []
    })
    return { operations: operations.length, failures }
  }

  return {
    async turn() {
      try {
        return await apply(await plan())
      } catch (error) {
        return { operations: 0, failures: [{ operation: 'plan', reason: describeError(error) }] }
      }
    },
  }
}

/** What a migration, an instance in trouble, or a slot on its way out waits for may be nothing but time. */
function isTimeAwaited(input: ReconcileInput): boolean {
  const { migrations, slots } = input.snapshot
  return (
    [...migrations.values()].some(isOpen) ||
    [...slots.values()].some(({ value }) => !value.slots.every(isStaying)) ||
    isLifeWaiting(input)
  )
}

const listHostNames = ({ hosts }: Snapshot) => [...hosts.values()].map(({ value }) => value.name)

/** In their order, so many at a time; one that throws has failed, and keeps no other from being done. */
async function runAll(runs: readonly (() => Promise<ApplyOutcome>)[]): Promise<readonly ApplyOutcome[]> {
  const outcomes: ApplyOutcome[] = []
  let next = 0
  const work = async () => {
    for (let i = next++; i < runs.length; i = next++) {
      const run = runs[i]
      if (run === undefined) return
      outcomes[i] = await run().catch((error: unknown) => ({ kind: 'failed', reason: describeError(error) }) as const)
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallelMaximum, runs.length) }, work))
  return outcomes
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
