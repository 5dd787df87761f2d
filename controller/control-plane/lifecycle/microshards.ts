/**
 * The service behind `/v1/directory` and `/v1/microshards`: shows where everything is, and begins and aborts operations,
 * which are driven elsewhere. It reads the store's directory and changes nothing but what operations are wanted.
 */

import type {
  DirectoryView,
  KeyWeightsView,
  MicroshardMerge,
  MicroshardMigrate,
  MicroshardOperationView,
  MicroshardReshard,
  MicroshardSplit,
  MicroshardView,
  NodeView,
  ShardLocation,
} from '../../contract/microshard.ts'
import { type Outcome, type Problem, refuse, succeed } from '../../contract/problem.ts'
import type { MicroshardSize } from '../directory/microshard-streams.ts'
import { nodeOfServer, type StoreNodes } from '../directory/nodes.ts'
import type { WatchedDirectory } from '../directory/watched-directory.ts'
import { streamName } from '../message.ts'
import { findOperationOf, type MicroshardDirectory, type MicroshardEntry } from '../microshard-directory.ts'
import type { ShardKey } from '../shard-key.ts'
import { createNamedId } from '../shard-key.ts'
import { countByArc, sumWithin } from './count-by-arc.ts'
import { chooseSplit, type KeyLoads } from './key-loads.ts'
import { describeUnknownNode, planDrain, viewNodes } from './nodes-of-microshards.ts'
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
import { planReshard, planWeights } from './plan-reshard.ts'
import { listEntries, locateShard, viewDirectory, viewEntry, viewOperation } from './view-directory.ts'
import { viewWeights } from './view-weights.ts'

export interface MicroshardsService {
  showDirectory(): Promise<DirectoryView>
  locate(asked: { readonly user: string; readonly action: string }): Promise<ShardLocation>
  list(): Promise<readonly MicroshardView[]>
  show(id: string): Promise<Outcome<MicroshardView>>
  split(id: string, input: MicroshardSplit, seed: string): Promise<Outcome<MicroshardOperationView>>
  merge(id: string, input: MicroshardMerge, seed: string): Promise<Outcome<MicroshardOperationView>>
  migrate(id: string, input: MicroshardMigrate, seed: string): Promise<Outcome<MicroshardOperationView>>
  /** The same, for whoever decides where microshards should be. To ask for it again finds what was begun. */
  moveMicroshard(id: string, node: string): Promise<Outcome<MicroshardOperationView>>
  /** Those that are there, and those that were and hold microshards. */
  listNodes(): Promise<readonly NodeView[]>
  /** From now on the node is to hold nothing, or may again. What it holds goes to others, one after the other. */
  drainNode(name: string): Promise<Outcome<NodeView>>
  resumeNode(name: string): Promise<Outcome<NodeView>>
  /** The weights of keys, how far the ring has gone over to them, and which the measured load calls for. */
  showWeights(): Promise<KeyWeightsView>
  /** Names other weights, to which the microshards go over one after the other; or only tells what that would do. */
  reshard(input: MicroshardReshard): Promise<Outcome<KeyWeightsView>>
  /** The next microshard's turn. Refused: none is left, or free just now. */
  reshardNext(seed: string): Promise<Outcome<MicroshardOperationView>>
  abort(operationId: string): Promise<Outcome<MicroshardOperationView>>
  showOperation(operationId: string): Promise<Outcome<MicroshardOperationView>>
  /** Answers the operation as it has ended, or as it is when the time is over. */
  waitForEnd(
    operationId: string,
    wait: { readonly milliseconds: number; readonly signal: AbortSignal },
  ): Promise<Outcome<MicroshardOperationView>>
}

/** What is needed to put microshards where they are best. */
export type MicroshardPlacement = Pick<MicroshardsService, 'listNodes' | 'list' | 'moveMicroshard'>

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
const noSize: MicroshardSize = { messages: 0, bytes: 0, servers: [] }

export function createMicroshardsService(options: MicroshardsOptions): MicroshardsService {
  const { directory, nodes } = options

  /** The same request, asked again, finds what it began. */
  async function begin(
    kind: string,
    seed: string,
    plan: (directory: MicroshardDirectory, start: OperationStart) => StartPlan,
  ): Promise<Outcome<MicroshardOperationView>> {
    const id = createNamedId(operationPrefix, 'system', kind, seed)
    const startedAt = new Date(options.now()).toISOString()
    const alive = (await nodes.list()).filter(({ isAlive }) => isAlive).map(({ name }) => name)
    const planned = await directory.change<Kept>((current) => {
      const known = viewOperation(current, id)
      const free = alive.filter((name) => !current.placement.drained.includes(name))
      return known === null ? plan(current, { id, startedAt, nodes: free }) : { kind: 'keep', because: { known } }
    })
    if (planned.kind === 'change') return show(planned.directory, id)
    const { because } = planned
    return 'known' in because ? succeed(because.known) : refuse(because.problem)
  }

  async function listWithSizes(entries: readonly MicroshardEntry[]): Promise<readonly MicroshardView[]> {
    const [found, sizes] = await Promise.all([nodes.list(), options.measure()])
    const current = directory.current()
    const counts = countByArc(current, entries, options.countByKey())
    return entries.map((entry): MicroshardView => {
      const { messages, bytes } = sizes.get(streamName(entry.id)) ?? noSize
      const { objects, keys } = counts.get(entry.id) ?? { objects: 0, keys: 0 }
      return { ...viewEntry(current, entry, found), messages, bytes, objects, keys }
    })
  }

  async function changeDrained(name: string, isDrained: boolean): Promise<Outcome<NodeView>> {
    const found = await nodes.list()
    const planned = await directory.change((current) => planDrain(current, found, name, isDrained))
    if (planned.kind === 'keep' && planned.because !== null) return refuse(planned.because)
    const current = planned.kind === 'change' ? planned.directory : await directory.refresh()
    const node = viewNodes(current, found, await options.measure()).find((one) => one.name === name)
    return node === undefined ? refuse(describeUnknownNode(name, found)) : succeed(node)
  }

  const self: MicroshardsService = {
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
        const [writes, objects] = [options.loads.list(), options.countByKey()]
        const loads = { writes: sumWithin(current, entry, writes), objects: sumWithin(current, entry, objects) }
        const point = chooseSplit(entry, loads)
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
      const { servers } = (await options.measure()).get(streamName(id)) ?? noSize
      const hasCopy = servers.some((server) => nodeOfServer(server) === toNode)
      return begin('migrate', seed, (current, start) => {
        const entry = current.microshards.find((one) => one.id === id)
        const isThere = entry !== undefined && viewEntry(current, entry, found).node === toNode
        if (isThere) return { kind: 'keep', because: { problem: describeSameNode(id, toNode, alive) } }
        if (current.placement.drained.includes(toNode)) {
          return { kind: 'keep', because: { problem: describeDrained(id, toNode, current, alive) } }
        }
        return planMigration(current, start, { microshardId: id, node: toNode, hasCopy })
      })
    },

    moveMicroshard(id, node) {
      const version = directory.current().microshards.find((entry) => entry.id === id)?.version ?? 0
      return self.migrate(id, { toNode: node }, `${id} ${version} ${node}`)
    },

    listNodes: async () => viewNodes(directory.current(), await nodes.list(), await options.measure()),
    drainNode: (name) => changeDrained(name, true),
    resumeNode: (name) => changeDrained(name, false),

    showWeights: async () => viewWeights(await directory.refresh(), options.loads.list(), options.countByKey()),

    async reshard({ weights, dryRun }) {
      type Kept = { readonly problem: Problem } | { readonly dryRun: MicroshardDirectory }
      const planned = await directory.change<Kept>((current) => {
        const plan = planWeights(current, weights)
        if (plan.kind === 'keep') return plan
        return dryRun === true ? { kind: 'keep', because: { dryRun: plan.directory } } : plan
      })
      const view = (named: MicroshardDirectory) => viewWeights(named, options.loads.list(), options.countByKey())
      if (planned.kind === 'change') return succeed(view(planned.directory))
      const { because } = planned
      return 'problem' in because ? refuse(because.problem) : succeed({ ...view(because.dryRun), isDryRun: true })
    },

    async reshardNext(seed) {
      const written = options.loads.list()
      const loads = written.size > 0 ? written : options.countByKey()
      return await begin(
        'reshard',
        seed,
        (current, start) =>
          planReshard(current, start, loads) ?? { kind: 'keep', because: { problem: describeBusy() } },
      )
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
  return self
}

function show(directory: MicroshardDirectory, id: string): Outcome<MicroshardOperationView> {
  const view = viewOperation(directory, id)
  return view === null ? refuse(describeUnknownOperation(id)) : succeed(view)
}

const describeBusy = (): Problem => ({
  code: 'conflict',
  title: 'The re-shard waits',
  detail: 'The next microshards take part in other operations, or none is left.',
  remedy: 'It goes on by itself.',
})

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

const describeDrained = (id: string, node: string, { placement }: MicroshardDirectory, alive: readonly string[]) =>
  ({
    code: 'conflict',
    title: 'The node is to hold nothing',
    detail: `Microshard ${id} can't be moved to '${node}', which is drained.`,
    remedy: `Other nodes: ${alive.filter((name) => !placement.drained.includes(name)).join(', ') || 'none'}.`,
    errors: [{ field: 'toNode', message: 'is drained' }],
  }) as const
