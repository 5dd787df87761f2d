/** What callers see of measures: each microshard and node with its figures, as they are now. Pure. */

import type { MicroshardView } from '../../contract/microshard.ts'
import type { MicroshardMeasure, MicroshardMeasures, NodeMeasure } from '../../contract/microshard-measures.ts'
import type { StoreNode } from '../../control-plane/directory/nodes.ts'
import { clientBits } from '../../control-plane/shard-key.ts'
import { type GatheredMeasures, keptSeconds } from './gathered-measures.ts'
import type { NodeFigures } from './node-figures.ts'

export interface MeasureSources {
  readonly now: number
  readonly microshards: readonly MicroshardView[]
  readonly nodes: readonly StoreNode[]
  readonly measures: Pick<GatheredMeasures, 'read' | 'load' | 'together' | 'series'>
  /** By node. */
  readonly figures: ReadonlyMap<string, NodeFigures>
  /** Ids of all projects, by which clients are called. */
  readonly projectIds: readonly string[]
  readonly expect: (microshardId: string) => readonly number[] | null
}

const lastMinute = 60
const clientsShown = 5
const togetherShown = 5
const historySteps = 6

export function describeMeasures(sources: MeasureSources): MicroshardMeasures {
  const { now, microshards, nodes, measures, figures } = sources
  const active = microshards.filter(({ status }) => status === 'active')
  const total = active.reduce((sum, { id }) => sum + measures.load(id), 0)
  const projects = new Map(sources.projectIds.map((id) => [clientBits(id).toString(16).padStart(8, '0'), id]))
  const together = measures.together()
  const items = active.map((one): MicroshardMeasure => {
    const { id, node, from, bytes, objects, keys } = one
    const { clients: _, locations: __, ...recent } = measures.read(id, lastMinute)
    const { clients, locations } = measures.read(id, keptSeconds)
    const reads = recent.memoryReadsPerSecond + recent.leaderReadsPerSecond
    const accesses = reads + recent.writesPerSecond
    const load = measures.load(id)
    return {
      id,
      node,
      from,
      load,
      overMean: total === 0 ? null : (load * active.length) / total,
      ...recent,
      readShare: accesses === 0 ? null : reads / accesses,
      bytes,
      objects,
      keys,
      clients: clients
        .slice(0, clientsShown)
        .map(([client, perSecond]) => ({ client: projects.get(client) ?? client, perSecond })),
      locations: [...locations].map(([location, perSecond]) => ({ location, perSecond })),
      together: together
        .flatMap(([a, b, perSecond]) => (a === id || b === id ? [{ id: a === id ? b : a, perSecond }] : []))
        .slice(0, togetherShown),
      history: measures
        .series(id)
        .steps()
        .slice(-historySteps)
        .map(({ value }) => value),
      expectedLoad: sources.expect(id)?.at(-1) ?? null,
    }
  })
  return { at: new Date(now).toISOString(), items, nodes: nodes.map((node) => describeNode(node, items, figures)) }
}

function describeNode(
  { name, isAlive, location }: MeasureSources['nodes'][number],
  items: readonly MicroshardMeasure[],
  figures: ReadonlyMap<string, NodeFigures>,
): NodeMeasure {
  const own = items.filter(({ node }) => node === name)
  const load = own.reduce((sum, one) => sum + one.load, 0)
  const total = items.reduce((sum, one) => sum + one.load, 0)
  const nodes = new Set(items.map(({ node }) => node)).size
  const told = figures.get(name)
  return {
    name,
    location,
    isAlive,
    microshards: own.length,
    load,
    overMean: total === 0 ? null : (load * Math.max(1, nodes)) / total,
    cpuPercent: told?.cpuPercent ?? null,
    memoryBytes: told?.memoryBytes ?? null,
    diskShare: told?.diskShare ?? null,
    diskBytes: told?.diskBytes ?? null,
    receivedBytesPerSecond: told?.receivedBytesPerSecond ?? null,
    sentBytesPerSecond: told?.sentBytesPerSecond ?? null,
  }
}
