/**
 * What an operation makes of the directory, step by step: pure. Every step is planned on the directory as it is, so that
 * whoever drives an operation, and however many do, none can take a step twice or one that is not the next.
 */

import type { Problem } from '../../contract/problem.ts'
import type { DirectoryPlan } from '../directory/watched-directory.ts'
import {
  findOperationOf,
  finishedOperationsMaximum,
  keyBefore,
  type MicroshardDirectory,
  type MicroshardEntry,
  type MicroshardOperation,
  type OperationKind,
} from '../microshard-directory.ts'
import type { ShardKey } from '../shard-key.ts'

export interface OperationStart {
  readonly id: string
  readonly startedAt: string
}

export type StartPlan = DirectoryPlan<{ readonly problem: Problem }>
/** Kept as it is: another has taken this step, or another way. */
export type StepPlan = DirectoryPlan<'overtaken'>

/** Cuts a microshard in two at a key, the first of the upper half. */
export function planSplit(
  directory: MicroshardDirectory,
  start: OperationStart,
  { microshardId, at }: { readonly microshardId: string; readonly at: ShardKey },
): StartPlan {
  const source = findFree(directory, microshardId)
  if ('problem' in source) return keep(source.problem)
  if (at <= source.from || at > source.to) {
    return keep({
      code: 'invalid',
      title: 'It does not lie in this microshard',
      detail: `Microshard ${source.id} keeps ${source.from} to ${source.to}, and can't be split at ${at}.`,
      remedy: 'Name the first key of the upper half, or leave it out: then it is split where its load halves.',
    })
  }
  const arcs = [
    { from: source.from, to: keyBefore(at), node: source.node },
    { from: at, to: source.to, node: source.node },
  ]
  return begin(directory, start, 'split', [source], arcs)
}

/** Joins a microshard with its neighbour. */
export function planMerge(
  directory: MicroshardDirectory,
  start: OperationStart,
  { microshardId, withId }: { readonly microshardId: string; readonly withId: string },
): StartPlan {
  const [one, other] = [findFree(directory, microshardId), findFree(directory, withId)]
  if ('problem' in one) return keep(one.problem)
  if ('problem' in other) return keep(other.problem)
  const place = directory.microshards.findIndex(({ id }) => id === one.id)
  const neighbours = [directory.microshards[place - 1], directory.microshards[place + 1]].flatMap(
    (entry) => entry ?? [],
  )
  if (!neighbours.some(({ id }) => id === other.id)) {
    return keep({
      code: 'conflict',
      title: 'They are not neighbours',
      detail: `Microshards ${one.id} and ${other.id} do not keep arcs that touch each other.`,
      remedy: `Neighbours of ${one.id}: ${neighbours.map(({ id }) => id).join(', ') || 'none, it keeps the whole ring'}.`,
    })
  }
  const [lower, upper] = one.from < other.from ? [one, other] : [other, one]
  return begin(directory, start, 'merge', [lower, upper], [{ from: lower.from, to: upper.to, node: one.node }])
}

/** Moves a microshard to a node, which is there and alive. */
export function planMigration(
  directory: MicroshardDirectory,
  start: OperationStart,
  { microshardId, node }: { readonly microshardId: string; readonly node: string | null },
): StartPlan {
  const source = findFree(directory, microshardId)
  if ('problem' in source) return keep(source.problem)
  return begin(directory, start, 'migrate', [source], [{ from: source.from, to: source.to, node }])
}

/** The targets' streams are there. */
export const planCopying = (directory: MicroshardDirectory, done: MicroshardOperation): StepPlan =>
  step(directory, done, 'making', (operation) => ({ ...operation, phase: 'copying' }))

/** The copy is close behind: from now on the sources may be sealed. A sealed one never takes a write again. */
export const planSealing = (directory: MicroshardDirectory, done: MicroshardOperation): StepPlan =>
  step(directory, done, 'copying', (operation) => ({ ...operation, phase: 'sealing' }))

/** All is copied up to the cuts: from now on the targets are read and written. */
export function planSwitch(
  directory: MicroshardDirectory,
  done: MicroshardOperation,
  ends: Pick<MicroshardOperation, 'cuts' | 'starts'>,
): StepPlan {
  const planned = step(directory, done, 'sealing', (operation) => ({ ...operation, phase: 'dropping', ...ends }))
  if (planned.kind === 'keep') return planned
  const operation = findOperation(planned.directory, done.id)
  if (operation === null) throw new Error(`BUG: operation ${done.id} is gone`)
  const targets = operation.targets.map((entry) => ({ ...entry, version: planned.directory.version }))
  const { sources } = operation
  const others = directory.microshards.filter(({ id }) => !sources.some((source) => source.id === id))
  return {
    kind: 'change',
    directory: {
      ...planned.directory,
      microshards: [...others, ...targets].sort((a, b) => (a.from < b.from ? -1 : 1)),
      operations: planned.directory.operations.map((one) => (one.id === done.id ? { ...operation, targets } : one)),
    },
  }
}

/** All that is not needed any more is gone. */
export function planFinish(directory: MicroshardDirectory, id: string, finishedAt: string): StepPlan {
  const operation = findOperation(directory, id)
  if (operation?.phase !== 'dropping' && operation?.phase !== 'aborting') return overtaken
  const { kind, sources, targets, startedAt } = operation
  const isDone = operation.phase === 'dropping' && !operation.isReturning
  const finished = {
    id,
    kind,
    outcome: isDone ? ('done' as const) : ('aborted' as const),
    sources: sources.map(({ id }) => id),
    targets: targets.map(({ id }) => id),
    startedAt,
    finishedAt,
  }
  return {
    kind: 'change',
    directory: {
      ...directory,
      version: directory.version + 1,
      operations: directory.operations.filter((one) => one.id !== id),
      finished: [...directory.finished, finished].slice(-finishedOperationsMaximum),
    },
  }
}

/**
 * Gives an operation up. Before it seals, its targets are dropped and nothing has happened. A sealed source never opens
 * again, since one who was to open it may do so late: then the arcs are copied back into microshards as they were.
 */
export function planAbort(directory: MicroshardDirectory, id: string): StartPlan {
  const operation = findOperation(directory, id)
  if (operation === null) return keep(describeUnknownOperation(id))
  if (operation.isReturning) return keep(describeEnding(operation))
  switch (operation.phase) {
    case 'making':
    case 'copying':
      return replace(directory, { ...operation, phase: 'aborting' })
    case 'sealing': {
      const arcs = operation.sources.map(({ from, to, node }) => ({ from, to, node }))
      const { entries, nextMicroshard } = nameTargets(directory, operation.sources, arcs)
      const discarded = [...operation.discarded, ...operation.targets.map(({ id }) => id)]
      const returning = { ...operation, phase: 'making' as const, targets: entries, discarded, isReturning: true }
      return replace({ ...directory, nextMicroshard }, returning)
    }
    case 'aborting':
    case 'dropping':
      return keep(describeEnding(operation))
    default:
      return operation.phase satisfies never
  }
}

export function findOperation(
  directory: Pick<MicroshardDirectory, 'operations'>,
  id: string,
): MicroshardOperation | null {
  return directory.operations.find((operation) => operation.id === id) ?? null
}

export const describeUnknownOperation = (id: string): Problem => ({
  code: 'not-found',
  title: 'There is no such operation',
  detail: `No operation '${id}' is under way or among the last ones.`,
  remedy: 'See GET /v1/microshards for those under way.',
})

export const describeUnknownMicroshard = (id: string): Problem => ({
  code: 'not-found',
  title: 'There is no such microshard',
  detail: `The directory has no microshard '${id}'.`,
  remedy: 'See GET /v1/microshards: a split, a merge or a migration gives its targets new numbers.',
})

const overtaken: StepPlan = { kind: 'keep', because: 'overtaken' }
const keep = (problem: Problem): StartPlan => ({ kind: 'keep', because: { problem } })

const sameEntries = (some: readonly MicroshardEntry[], others: readonly MicroshardEntry[]) =>
  some.length === others.length && some.every(({ id }, i) => id === others[i]?.id)

const describeEnding = ({ id, kind, phase, isReturning }: MicroshardOperation): Problem => ({
  code: 'conflict',
  title: 'It can not be aborted any more',
  detail:
    phase === 'dropping'
      ? `The ${kind} ${id} has been switched; what is left is to drop what is not needed any more.`
      : `The ${kind} ${id} is being aborted already.`,
  remedy: isReturning || phase === 'aborting' ? 'Wait for its end.' : 'Undo it by an operation the other way round.',
})

/** A microshard that takes part in no operation. */
function findFree(directory: MicroshardDirectory, id: string): MicroshardEntry | { readonly problem: Problem } {
  const operation = findOperationOf(directory, id)
  if (operation !== null) {
    return {
      problem: {
        code: 'conflict',
        title: 'Another operation is under way',
        detail: `Microshard ${id} takes part in the ${operation.kind} ${operation.id}, which is ${operation.phase}.`,
        remedy: 'Wait for its end, or abort it.',
      },
    }
  }
  return directory.microshards.find((entry) => entry.id === id) ?? { problem: describeUnknownMicroshard(id) }
}

type Arc = Pick<MicroshardEntry, 'from' | 'to' | 'node'>

function begin(
  directory: MicroshardDirectory,
  { id, startedAt }: OperationStart,
  kind: OperationKind,
  sources: readonly MicroshardEntry[],
  arcs: readonly Arc[],
): StartPlan {
  const { entries, nextMicroshard } = nameTargets(directory, sources, arcs)
  const operation: MicroshardOperation = {
    id,
    kind,
    phase: 'making',
    sources,
    targets: entries,
    discarded: [],
    isReturning: false,
    cuts: {},
    starts: {},
    startedAt,
  }
  const operations = [...directory.operations, operation]
  return { kind: 'change', directory: { ...directory, version: directory.version + 1, nextMicroshard, operations } }
}

/** Numbers that were never used, and an epoch above all that the arcs have seen. */
function nameTargets(
  directory: MicroshardDirectory,
  sources: readonly MicroshardEntry[],
  arcs: readonly Arc[],
): { readonly entries: readonly MicroshardEntry[]; readonly nextMicroshard: number } {
  const epoch = 1 + Math.max(...sources.map((source) => source.epoch))
  const version = directory.version + 1
  const entries = arcs.map((arc, i) => ({ id: String(directory.nextMicroshard + i), ...arc, epoch, version }))
  return { entries, nextMicroshard: directory.nextMicroshard + arcs.length }
}

/** `done` is the operation as it was when the step was begun: what was done to targets that were given up is for nothing. */
function step(
  directory: MicroshardDirectory,
  done: MicroshardOperation,
  from: MicroshardOperation['phase'],
  change: (operation: MicroshardOperation) => MicroshardOperation,
): StepPlan {
  const operation = findOperation(directory, done.id)
  const isSame = operation?.phase === from && sameEntries(operation.targets, done.targets)
  return isSame ? replace(directory, change(operation)) : overtaken
}

function replace(
  directory: MicroshardDirectory,
  operation: MicroshardOperation,
): { readonly kind: 'change'; readonly directory: MicroshardDirectory } {
  const operations = directory.operations.map((one) => (one.id === operation.id ? operation : one))
  return { kind: 'change', directory: { ...directory, version: directory.version + 1, operations } }
}
