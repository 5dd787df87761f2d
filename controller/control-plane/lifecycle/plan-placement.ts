/**
 * Which microshards have to go to other nodes, now that these are the nodes: by rendezvous hashing with bounded loads,
 * over what the directory says. Pure.
 *
 * What moves is what the function puts elsewhere because a node has joined or left, what lies on a node that is not to
 * hold any, and what has never been put anywhere. What was moved by hand, or for its load, stays where it is as long as
 * its node does.
 */

import { placeMicroshards } from '../directory/nodes.ts'
import { findOperationOf, type MicroshardDirectory, type MicroshardEntry } from '../microshard-directory.ts'

export interface PlacementMove {
  readonly microshardId: string
  readonly node: string
}

export interface PlacementPlan {
  readonly moves: readonly PlacementMove[]
  /** What the microshards are spread over once there are no more moves; null: as the directory says. */
  readonly nodes: readonly string[] | null
}

/** @param present the nodes that answer, and have for a while */
export function planPlacement(directory: MicroshardDirectory, present: readonly string[]): PlacementPlan {
  const { nodes: before, drained } = directory.placement
  // Who does not answer just now comes back, and keeps what it has.
  const nodes = [...new Set([...before, ...present])].filter((name) => !drained.includes(name)).sort()
  const isChanged = nodes.join() !== before.join()
  if (nodes.length === 0 || (nodes.length === 1 && before.length === 0)) return { moves: [], nodes: null }
  const ids = directory.microshards.map(({ id }) => id)
  const wanted = placeMicroshards(ids, nodes)
  const former = isChanged ? placeMicroshards(ids, before) : wanted
  const moves = directory.microshards.flatMap((entry): readonly PlacementMove[] => {
    const node = wanted.get(entry.id)
    if (node === undefined || node === entry.node || !present.includes(node)) return []
    return mustMove(entry, nodes, former) ? [{ microshardId: entry.id, node }] : []
  })
  const isUnderWay = (id: string) => findOperationOf(directory, id) !== null
  const free = moves.filter(({ microshardId }) => !isUnderWay(microshardId))
  return { moves: free, nodes: isChanged && moves.length === 0 ? nodes : null }
}

function mustMove({ id, node }: MicroshardEntry, nodes: readonly string[], former: ReadonlyMap<string, string>) {
  if (node === null || !nodes.includes(node)) return true
  // The function put it here, and puts it elsewhere now.
  return former.get(id) === node
}
