/** The directory as callers see it. Pure. */

import type {
  DirectoryView,
  MicroshardEntryView,
  MicroshardOperationView,
  ShardLocation,
} from '../../contract/microshard.ts'
import type { StoreNode } from '../directory/nodes.ts'
import {
  type FinishedOperation,
  findMicroshard,
  findOperationOf,
  type MicroshardDirectory,
  type MicroshardEntry,
  type MicroshardOperation,
  newestLayout,
  pointIn,
} from '../microshard-directory.ts'
import { getShardKey } from '../shard-key.ts'

export function viewDirectory(directory: MicroshardDirectory, nodes: readonly StoreNode[]): DirectoryView {
  const { version, format, keyLayouts } = directory
  return {
    version,
    format,
    keyLayout: newestLayout(directory),
    keyLayouts: [...keyLayouts],
    microshards: listEntries(directory).map((entry) => viewEntry(directory, entry, nodes)),
    operations: [...directory.operations.map(viewRunning), ...directory.finished.toReversed().map(viewFinished)],
  }
}

/** Those that are written first, then those that are to be, or were until now. */
export function listEntries({ microshards, operations }: MicroshardDirectory): readonly MicroshardEntry[] {
  const kept = new Set(microshards.map(({ id }) => id))
  const others = operations.flatMap(({ sources, targets }) => [...sources, ...targets])
  return [...microshards, ...others.filter(({ id }) => !kept.has(id))]
}

export function viewEntry(
  directory: MicroshardDirectory,
  entry: MicroshardEntry,
  nodes: readonly StoreNode[],
): MicroshardEntryView {
  const { id, from, to, epoch, version, layout } = entry
  const operation = findOperationOf(directory, id)
  const isKept = directory.microshards.some((one) => one.id === id)
  return {
    id,
    from,
    to,
    epoch,
    version,
    layout,
    status: isKept && !isSealed(operation, id) ? 'active' : 'inactive',
    ...locate(entry, nodes),
    operationId: operation?.id ?? null,
    phase: operation?.phase ?? null,
  }
}

export function viewOperation(directory: MicroshardDirectory, id: string): MicroshardOperationView | null {
  const running = directory.operations.find((operation) => operation.id === id)
  if (running !== undefined) return viewRunning(running)
  const finished = directory.finished.find((operation) => operation.id === id)
  return finished === undefined ? null : viewFinished(finished)
}

/** Where an action of a user's is done; its data type tells which of the user's things it touches. */
export function locateShard(
  directory: MicroshardDirectory,
  nodes: readonly StoreNode[],
  asked: { readonly user: string; readonly action: string; readonly dataType: string },
): ShardLocation {
  const shardKey = getShardKey(asked.user, asked.dataType)
  const entry = findMicroshard(directory, shardKey)
  return {
    user: asked.user,
    action: asked.action,
    shardKey: pointIn(directory, entry, shardKey),
    microshardId: entry.id,
    epoch: entry.epoch,
    ...locate(entry, nodes),
    version: directory.version,
  }
}

/** A single node has all of them. */
function locate(
  { node }: MicroshardEntry,
  nodes: readonly StoreNode[],
): { readonly node: string | null; readonly address: string | null } {
  const found = nodes.length === 1 ? nodes[0] : nodes.find(({ name }) => name === node)
  return { node: found?.name ?? node, address: found?.address ?? null }
}

const isSealed = (operation: MicroshardOperation | null, id: string) =>
  operation !== null && isBeingSealed(operation) && operation.sources.some((source) => source.id === id)

const isBeingSealed = ({ phase, isReturning }: MicroshardOperation) => phase === 'sealing' || isReturning

const viewRunning = ({ id, kind, phase, sources, targets, startedAt }: MicroshardOperation) => ({
  id,
  kind,
  status: 'running' as const,
  phase,
  sources: sources.map((source) => source.id),
  targets: targets.map((target) => target.id),
  startedAt,
  finishedAt: null,
})

const viewFinished = ({ id, kind, outcome, sources, targets, startedAt, finishedAt }: FinishedOperation) => ({
  id,
  kind,
  status: outcome,
  phase: null,
  sources: [...sources],
  targets: [...targets],
  startedAt,
  finishedAt,
})
