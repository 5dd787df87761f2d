/**
 * The service behind `/v1/directory` and `/v1/microshards`: shows where everything is, and begins and aborts operations,
 * which are driven elsewhere. It reads the store's directory and changes nothing but what operations are wanted.
 */

import type {
  DirectoryView,
  MicroshardMerge,
  MicroshardMigrate,
  MicroshardOperationView,
  MicroshardSplit,
  MicroshardView,
  ShardLocation,
} from '../../contract/microshard.ts'
import { type Outcome, type Problem, refuse, succeed } from '../../contract/problem.ts'
import type { MicroshardSize } from '../directory/microshard-streams.ts'
import type { StoreNodes } from '../directory/nodes.ts'
import type { WatchedDirectory } from '../directory/watched-directory.ts'
import { streamName } from '../message.ts'
import { findOperationOf, type MicroshardDirectory, type MicroshardEntry } from '../microshard-directory.ts'
import type { ShardKey } from '../shard-key.ts'
import { createNamedId } from '../shard-key.ts'
import { chooseSplit, type KeyLoads } from './key-loads.ts'
import {
  describeUnknownMicroshard,
  describeUnknownOperation,
  type OperationStart,
  planAbort,
  planMerge,
  planMigration,
  planSplit,
  type StartPlan,
} from './plan-operation.ts'
import { listEntries, locateShard, viewDirectory, viewEntry, viewOperation } from './view-directory.ts'

export interface MicroshardsService {
  showDirectory(): Promise<DirectoryView>
  locate(asked: { readonly user: string; readonly action: string }): Promise<ShardLocation>
  list(): Promise<readonly MicroshardView[]>
  show(id: string): Promise<Outcome<MicroshardView>>
  split(id: string, input: MicroshardSplit, seed: string): Promise<Outcome<MicroshardOperationView>>
  merge(id: string, input: MicroshardMerge, seed: string): Promise<Outcome<MicroshardOperationView>>
  migrate(id: string, input: MicroshardMigrate, seed: string): Promise<Outcome<MicroshardOperationView>>
  abort(operationId: string): Promise<Outcome<MicroshardOperationView>>
  showOperation(operationId: string): Promise<Outcome<MicroshardOperationView>>
  /** Answers the operation as it has ended, or as it is when the time is over. */
  waitForEnd(
    operationId: string,
    wait: { readonly milliseconds: number; readonly signal: AbortSignal },
  ): Promise<Outcome<MicroshardOperationView>>
}

export interface MicroshardsOptions {
  readonly directory: Pick<WatchedDirectory, 'current' | 'refresh' | 'change' | 'reachNewer'>
  readonly nodes: StoreNodes
  readonly loads: Pick<KeyLoads, 'list'>
  /** By key, how many objects lie there. */
  readonly countByKey: () => ReadonlyMap<ShardKey, number>
  /** By stream, how large it is. */
  readonly measure: () => Promise<ReadonlyMap<string, MicroshardSize>>
  /** Which of a client's things an action touches. */
  readonly dataTypeOf: (action: string) => string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

type Kept = { readonly known: MicroshardOperationView } | { readonly problem: Problem }

const operationPrefix = 'mop'
const waitTurnMilliseconds = 1_000

export function createMicroshardsService(options: MicroshardsOptions): MicroshardsService {
  const { directory, nodes } = options

  /** The same request, asked again, finds what it began. */
  async function begin(
    kind: string,
    seed: string,
    plan: (directory: MicroshardDirectory, start: OperationStart) => StartPlan,
  ): Promise<Outcome<MicroshardOperationView>> {
    const id = createNamedId(operationPrefix, 'system', kind, seed)
    const start = { id, startedAt: new Date(options.now()).toISOString() }
    const planned = await directory.change<Kept>((current) => {
      const known = viewOperation(current, id)
      return known === null ? plan(current, start) : { kind: 'keep', because: { known } }
    })
    if (planned.kind === 'change') return show(planned.directory, id)
    const { because } = planned
    return 'known' in because ? succeed(because.known) : refuse(because.problem)
  }

  async function listWithSizes(entries: readonly MicroshardEntry[]): Promise<readonly MicroshardView[]> {
    const [found, sizes] = await Promise.all([nodes.list(), options.measure()])
    const current = directory.current()
    const counts = countByArc(entries, options.countByKey())
    return entries.map((entry): MicroshardView => {
      const { messages, bytes } = sizes.get(streamName(entry.id)) ?? { messages: 0, bytes: 0 }
      const { objects, keys } = counts.get(entry.id) ?? { objects: 0, keys: 0 }
      return { ...viewEntry(current, entry, found), messages, bytes, objects, keys }
    })
  }

  return {
    showDirectory: async () => viewDirectory(directory.current(), await nodes.list()),

    async locate({ user, action }) {
      return locateShard(directory.current(), await nodes.list(), {
        user,
        action,
        dataType: options.dataTypeOf(action),
      })
    },

    list: () => listWithSizes(listEntries(directory.current())),

    async show(id) {
      const entry = listEntries(directory.current()).find((one) => one.id === id)
      const [view] = entry === undefined ? [] : await listWithSizes([entry])
      return view === undefined ? refuse(describeUnknownMicroshard(id)) : succeed(view)
    },

    split: (id, { at }, seed) =>
      begin('split', seed, (current, start) => {
        const entry = current.microshards.find((one) => one.id === id)
        if (at !== undefined || entry === undefined || findOperationOf(current, id) !== null) {
          return planSplit(current, start, { microshardId: id, at: at ?? '' })
        }
        const point = chooseSplit(entry, { writes: options.loads.list(), objects: options.countByKey() })
        if (point === null) return { kind: 'keep', because: { problem: describeSingleKey(id) } }
        return planSplit(current, start, { microshardId: id, at: point.at })
      }),

    merge: (id, { withId }, seed) =>
      begin('merge', seed, (current, start) => planMerge(current, start, { microshardId: id, withId })),

    async migrate(id, { toNode }, seed) {
      const found = await nodes.list()
      const wanted = found.find(({ name }) => name === toNode)
      const alive = found.filter(({ isAlive }) => isAlive).map(({ name }) => name)
      if (wanted === undefined || !wanted.isAlive) {
        return refuse({
          code: 'no-host',
          title: wanted === undefined ? 'There is no such node' : 'The node does not answer',
          detail: `Microshard ${id} can't be migrated to '${toNode}', which ${wanted === undefined ? 'is not known' : 'is not alive'}.`,
          remedy: `Nodes that are alive: ${alive.join(', ') || 'none'}.`,
          errors: [{ field: 'toNode', message: wanted === undefined ? 'is not known' : 'is not alive' }],
        })
      }
      return begin('migrate', seed, (current, start) => {
        const entry = current.microshards.find((one) => one.id === id)
        const isThere = entry !== undefined && viewEntry(current, entry, found).node === toNode
        return isThere
          ? { kind: 'keep', because: { problem: describeSameNode(id, toNode, alive) } }
          : planMigration(current, start, { microshardId: id, node: toNode })
      })
    },

    async abort(operationId) {
      const planned = await directory.change((current) => planAbort(current, operationId))
      return planned.kind === 'keep' ? refuse(planned.because.problem) : show(planned.directory, operationId)
    },

    showOperation: async (operationId) => show(directory.current(), operationId),

    async waitForEnd(operationId, { milliseconds, signal }) {
      const deadline = performance.now() + milliseconds
      for (;;) {
        const current = directory.current()
        const shown = show(current, operationId)
        const left = deadline - performance.now()
        if (!shown.ok || shown.value.status !== 'running' || left <= 0 || signal.aborted) return shown
        await directory.reachNewer(current.version, Math.min(left, waitTurnMilliseconds))
      }
    },
  }
}

function show(directory: MicroshardDirectory, id: string): Outcome<MicroshardOperationView> {
  const view = viewOperation(directory, id)
  return view === null ? refuse(describeUnknownOperation(id)) : succeed(view)
}

function countByArc(
  entries: readonly MicroshardEntry[],
  counts: ReadonlyMap<ShardKey, number>,
): ReadonlyMap<string, { readonly objects: number; readonly keys: number }> {
  const keys = [...counts].filter(([, count]) => count > 0).sort(([a], [b]) => (a < b ? -1 : 1))
  return new Map(
    entries.map(({ id, from, to }) => {
      const own = keys.slice(findFirst(keys, from), findFirst(keys, to, true))
      return [id, { keys: own.length, objects: own.reduce((sum, [, count]) => sum + count, 0) }]
    }),
  )
}

/** The place of the first key that is not below a point, or that is above it. */
function findFirst(keys: readonly (readonly [ShardKey, number])[], point: ShardKey, isAbove = false): number {
  let [low, high] = [0, keys.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const key = keys[middle]?.[0] ?? ''
    if (key < point || (isAbove && key === point)) low = middle + 1
    else high = middle
  }
  return low
}

const describeSingleKey = (id: string) =>
  ({
    code: 'conflict',
    title: 'There is nothing to cut',
    detail: `What microshard ${id} keeps lies at fewer than two keys, and a key is never cut.`,
    remedy: 'Split another one, or name a point of its arc by `at`.',
  }) as const

const describeSameNode = (id: string, node: string, alive: readonly string[]) =>
  ({
    code: 'conflict',
    title: 'It is there already',
    detail: `Microshard ${id} is on node '${node}'.`,
    remedy: `Other nodes: ${alive.filter((name) => name !== node).join(', ') || 'none'}.`,
    errors: [{ field: 'toNode', message: 'is where it is' }],
  }) as const
