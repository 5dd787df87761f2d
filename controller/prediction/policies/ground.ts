/**
 * What each node has to carry, now and at each step to the horizon, as microshards lie and as they would lie after moves.
 * A microshard without a forecast that is believed counts as staying as it is. It is changed by planned moves, and is
 * thrown away with the plan. Touches nothing else.
 */

import type { MicroshardPolicies } from '../../contract/microshard-policies.ts'
import type { MicroshardSight, NodeSight, Sight } from './sight.ts'

/** A load at each point: now, and after each step. */
export type LoadPath = Float64Array

export interface GroundNode {
  readonly name: string
  readonly location: string | null
  readonly path: LoadPath
  readonly microshards: Set<GroundMicroshard>
  /** Whether what is expected of it is more than that it stays as it is. */
  readonly isForeseen: boolean
}

export interface GroundMicroshard {
  readonly sight: MicroshardSight
  readonly path: LoadPath
  node: GroundNode
}

export interface Ground {
  /** Those that are alive, by name. */
  readonly nodes: ReadonlyMap<string, GroundNode>
  /** By id, of those that lie on a node that is alive. */
  readonly microshards: ReadonlyMap<string, GroundMicroshard>
  /** Of the average node. */
  readonly mean: LoadPath
  /** How long each point stands for. */
  readonly pointSeconds: number
  move(microshard: GroundMicroshard, node: GroundNode): void
  /** What a node carries beyond a mark over the average, in accesses, from now to the horizon. */
  excess(path: LoadPath, mark: number): number
  /** The highest load over the average; where the average is nothing there is no peak. */
  peak(path: LoadPath): number
}

export function createGround(sight: Sight, { prediction }: Pick<MicroshardPolicies, 'prediction'>): Ground {
  const steps = Math.max(0, ...sight.microshards.map(({ expected }) => expected?.length ?? 0))
  const points = steps + 1
  const pointSeconds = steps === 0 ? prediction.horizonSeconds : sight.stepSeconds
  const nodes = new Map(
    sight.nodes.filter(({ isAlive }) => isAlive).map((node) => [node.name, createNode(node, points)]),
  )
  const microshards = new Map<string, GroundMicroshard>()
  const foreseen = new Set<GroundNode>()
  const mean = new Float64Array(points)

  for (const one of sight.microshards) {
    const node = findNode(nodes, one)
    if (node === undefined) continue
    const path = makePath(one, points)
    const placed = { sight: one, path, node }
    microshards.set(one.id, placed)
    node.microshards.add(placed)
    if (one.expected !== null) foreseen.add(node)
    addPath(node.path, path, 1)
    addPath(mean, path, 1 / nodes.size)
  }

  return {
    nodes: new Map([...nodes].map(([name, node]) => [name, Object.assign(node, { isForeseen: foreseen.has(node) })])),
    microshards,
    mean,
    pointSeconds,
    move(microshard, node) {
      addPath(microshard.node.path, microshard.path, -1)
      microshard.node.microshards.delete(microshard)
      microshard.node = node
      node.microshards.add(microshard)
      addPath(node.path, microshard.path, 1)
    },
    excess: (path, mark) =>
      path.reduce((sum, load, i) => sum + Math.max(0, load - mark * (mean[i] ?? 0)), 0) * pointSeconds,
    peak: (path) => path.reduce((most, load, i) => Math.max(most, overMean(load, mean[i] ?? 0)), 0),
  }
}

export const overMean = (load: number, mean: number) => (mean > 0 ? load / mean : 0)

/** As it would be with, or without, a microshard. */
export function changePath(path: LoadPath, other: LoadPath, times: 1 | -1): LoadPath {
  const changed = path.slice()
  addPath(changed, other, times)
  return changed
}

function createNode({ name, location }: NodeSight, points: number): GroundNode {
  return { name, location, path: new Float64Array(points), microshards: new Set(), isForeseen: false }
}

/** A single node has all of them; one that is on its way counts where it goes. */
function findNode(
  nodes: ReadonlyMap<string, GroundNode>,
  { node, headedFor }: MicroshardSight,
): GroundNode | undefined {
  if (nodes.size === 1) return [...nodes.values()][0]
  return nodes.get(headedFor ?? node ?? '')
}

function makePath({ load, expected }: MicroshardSight, points: number): LoadPath {
  const path = new Float64Array(points).fill(load)
  for (const [i, value] of (expected ?? []).entries()) path[i + 1] = Math.max(0, value)
  return path
}

function addPath(to: LoadPath, other: LoadPath, times: number): void {
  for (const [i, value] of other.entries()) to[i] = (to[i] ?? 0) + value * times
}
