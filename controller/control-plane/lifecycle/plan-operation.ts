/**
 * What an operation makes of the directory, step by step: pure. Every step is planned on the directory as it is, so that
 * whoever drives an operation, and however many do, none can take a step twice or one that is not the next.
 */

import type { Problem } from '../../contract/problem.ts'
import { chooseNode } from '../directory/nodes.ts'
import type { DirectoryPlan } from '../directory/watched-directory.ts'
import {
  type FinishedOperation,
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
  /** Those that new microshards may be put on. Fewer than two, or left out: they stay where the old ones were. */
  readonly nodes?: readonly string[]
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
  const { layout, node } = source
  const arcs = [
    { from: source.from, to: keyBefore(at), node, layout },
    { from: at, to: source.to, node, layout },
  ]
  return begin(directory, start, 'split', [source], chooseNodes(directory, start, arcs))
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
  if (one.layout !== other.layout) {
    return keep({
      code: 'conflict',
      title: 'Their keys have other weights',
      detail: `Microshard ${one.id} has the weights ${one.layout}, and ${other.id} the weights ${other.layout}.`,
      remedy: 'Wait until the re-shard has come to both of them.',
    })
  }
  const [lower, upper] = one.from < other.from ? [one, other] : [other, one]
  const arc = { from: lower.from, to: upper.to, node: one.node, layout: one.layout }
  return begin(directory, start, 'merge', [lower, upper], chooseNodes(directory, start, [arc]))
}

/** Moves a microshard to a node, which is there and alive; one that has a copy of it already is only made to lead. */
export function planMigration(
  directory: MicroshardDirectory,
  start: OperationStart,
  { microshardId, node, hasCopy }: { microshardId: string; node: string | null; hasCopy?: boolean },
): StartPlan {
  const source = findFree(directory, microshardId)
  if ('problem' in source) return keep(source.problem)
  const { from, to, layout } = source
  if (hasCopy !== true) return begin(directory, start, 'migrate', [source], [{ from, to, node, layout }])
  const operation = { ...describeStart(start, 'migrate', [source], [{ ...source, node }]), phase: 'leading' as const }
  const operations = [...directory.operations, operation]
  return { kind: 'change', directory: { ...directory, version: directory.version + 1, operations } }
}

/** The node leads. */
export function planLed(directory: MicroshardDirectory, done: MicroshardOperation, finishedAt: string): StepPlan {
  const operation = findOperation(directory, done.id)
  if (operation?.phase !== 'leading') return overtaken
  const version = directory.version + 1
  const led = new Map(operation.targets.map((entry) => [entry.id, { ...entry, version }]))
  const microshards = directory.microshards.map((entry) => led.get(entry.id) ?? entry)
  return { kind: 'change', directory: { ...conclude(directory, operation, 'done', finishedAt), microshards } }
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
  const isDone = operation.phase === 'dropping' && !operation.isReturning
  return { kind: 'change', directory: conclude(directory, operation, isDone ? 'done' : 'aborted', finishedAt) }
}

function conclude(
  directory: MicroshardDirectory,
  { id, kind, sources, targets, startedAt }: MicroshardOperation,
  outcome: FinishedOperation['outcome'],
  finishedAt: string,
): MicroshardDirectory {
  const names = (entries: readonly MicroshardEntry[]) => entries.map((entry) => entry.id)
  const finished = { id, kind, outcome, sources: names(sources), targets: names(targets), startedAt, finishedAt }
  return {
    ...directory,
    version: directory.version + 1,
    operations: directory.operations.filter((one) => one.id !== id),
    finished: [...directory.finished, finished].slice(-finishedOperationsMaximum),
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
    case 'leading':
      // Its target is its source, which must not be dropped.
      return replace(directory, { ...operation, phase: 'aborting', targets: [] })
    case 'sealing': {
      const arcs = operation.sources.map(({ from, to, node, layout }) => ({ from, to, node, layout }))
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

export type Arc = Pick<MicroshardEntry, 'from' | 'to' | 'node' | 'layout'>

/** By rendezvous hashing with bounded loads, as all the others lie. */
export function chooseNodes(
  directory: MicroshardDirectory,
  { nodes = [] }: OperationStart,
  arcs: readonly Arc[],
): readonly Arc[] {
  if (nodes.length < 2) return arcs
  const placed = directory.microshards.map(({ node }) => node)
  return arcs.map((arc, i) => {
    const node = chooseNode(String(directory.nextMicroshard + i), nodes, placed)
    placed.push(node)
    return { ...arc, node }
  })
}

export function begin(
  directory: MicroshardDirectory,
  start: OperationStart,
  kind: OperationKind,
  sources: readonly MicroshardEntry[],
  arcs: readonly Arc[],
): { readonly kind: 'change'; readonly directory: MicroshardDirectory } {
  const { entries, nextMicroshard } = nameTargets(directory, sources, arcs)
  const operations = [...directory.operations, describeStart(start, kind, sources, entries)]
  return { kind: 'change', directory: { ...directory, version: directory.version + 1, nextMicroshard, operations } }
}

const describeStart = (
  { id, startedAt }: OperationStart,
  kind: OperationKind,
  sources: readonly MicroshardEntry[],
  targets: readonly MicroshardEntry[],
): MicroshardOperation => ({
  id,
  kind,
  phase: 'making',
  sources,
  targets,
  discarded: [],
  isReturning: false,
  cuts: {},
  starts: {},
  startedAt,
})

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
