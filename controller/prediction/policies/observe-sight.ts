/** Puts together what is decided on: directory, nodes, sizes, measures and forecasts, as they are at one moment. Pure. */

import type { MicroshardSize } from '../../control-plane/directory/microshard-streams.ts'
import { nodeOfServer, type StoreNode } from '../../control-plane/directory/nodes.ts'
import { countByArc } from '../../control-plane/lifecycle/count-by-arc.ts'
import { viewEntry } from '../../control-plane/lifecycle/view-directory.ts'
import { streamName } from '../../control-plane/message.ts'
import { findOperationOf, type MicroshardDirectory } from '../../control-plane/microshard-directory.ts'
import type { ShardKey } from '../../control-plane/shard-key.ts'
import { type GatheredMeasures, keptSeconds } from '../monitoring/gathered-measures.ts'
import type { NodeSight, OperationSight, Sight } from './sight.ts'

export interface SightSources {
  readonly now: number
  readonly directory: MicroshardDirectory
  readonly nodes: readonly StoreNode[]
  /** By stream. */
  readonly sizes: ReadonlyMap<string, MicroshardSize>
  /** By key, how many objects lie there. */
  readonly countByKey: ReadonlyMap<ShardKey, number>
  readonly measures: Pick<GatheredMeasures, 'read' | 'load' | 'series' | 'together'>
  /** Loads after one step, two and so on; null: no forecast has earned to be believed. */
  readonly expect: (microshardId: string) => readonly number[] | null
  readonly stepSeconds: number
}

const lastMinute = 60
const dayMilliseconds = 24 * 3_600_000

export function observeSight(sources: SightSources): Sight {
  const { now, directory, nodes, sizes, measures } = sources
  const { drained } = directory.placement
  const counts = countByArc(directory, directory.microshards, sources.countByKey)
  const seen = directory.microshards.map((entry) => {
    const figures = measures.read(entry.id, lastMinute)
    const size = sizes.get(streamName(entry.id))
    const operation = findOperationOf(directory, entry.id)
    return {
      sight: {
        id: entry.id,
        node: viewEntry(directory, entry, nodes).node,
        headedFor: operation?.kind === 'migrate' ? (operation.targets[0]?.node ?? null) : null,
        bytes: size?.bytes ?? 0,
        copies: (size?.servers ?? []).map(nodeOfServer),
        keys: counts.get(entry.id)?.keys ?? 0,
        isBusy: operation !== null,
        load: measures.load(entry.id),
        dayPeak: measures.series(entry.id).peak(now - dayMilliseconds),
        locations: measures.read(entry.id, keptSeconds).locations,
        expected: sources.expect(entry.id),
      },
      figures,
    }
  })
  const waited = seen.reduce((sum, { figures }) => sum + figures.leaderReadsPerSecond + figures.writesPerSecond, 0)
  const errors = seen.reduce((sum, { figures }) => sum + figures.errorsPerSecond, 0)
  return {
    now,
    microshards: seen.map(({ sight }) => sight),
    nodes: nodes.map(({ name, location, isAlive }): NodeSight => {
      return { name, location, isAlive: isAlive && !drained.includes(name) }
    }),
    operations: listOperations(directory),
    together: measures.together(),
    // The worst of all: a rule about it is about whoever waits longest.
    p99Milliseconds: Math.max(0, ...seen.map(({ figures }) => figures.p99Milliseconds ?? 0)),
    errorShare: waited === 0 ? 0 : errors / waited,
    stepSeconds: sources.stepSeconds,
  }
}

function listOperations({ operations, finished }: MicroshardDirectory): readonly OperationSight[] {
  const idOf = ({ id }: { readonly id: string }) => id
  return [
    ...operations.map(({ id, kind, startedAt, sources, targets }) => {
      const common = { id, kind, startedAt: Date.parse(startedAt), isRunning: true }
      return { ...common, sources: sources.map(idOf), targets: targets.map(idOf) }
    }),
    ...finished.map(({ id, kind, startedAt, sources, targets }) => {
      return { id, kind, startedAt: Date.parse(startedAt), isRunning: false, sources, targets }
    }),
  ]
}
