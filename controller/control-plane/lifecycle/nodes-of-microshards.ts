/** The nodes as callers see them, and how the directory is told which of them are to hold nothing. Pure. */

import type { NodeView } from '../../contract/microshard.ts'
import type { Problem } from '../../contract/problem.ts'
import type { MicroshardSize } from '../directory/microshard-streams.ts'
import { nodeOfServer, type StoreNode } from '../directory/nodes.ts'
import type { DirectoryPlan } from '../directory/watched-directory.ts'
import type { MicroshardDirectory } from '../microshard-directory.ts'

/** By name. One that does not answer is told of as long as the directory names it. */
export function viewNodes(
  { microshards, placement }: MicroshardDirectory,
  found: readonly StoreNode[],
  sizes: ReadonlyMap<string, MicroshardSize>,
): readonly NodeView[] {
  const named = microshards.flatMap(({ node }) => node ?? [])
  const names = new Set([...found.map(({ name }) => name), ...named, ...placement.nodes, ...placement.drained])
  // A single server has all of them.
  const isAlone = names.size === 1
  const copies = [...sizes.values()].flatMap(({ servers }) => servers.map(nodeOfServer))
  return [...names].sort().map((name): NodeView => {
    const node = found.find((one) => one.name === name)
    const held = isAlone ? microshards.length : named.filter((one) => one === name).length
    return {
      name,
      address: node?.address ?? null,
      location: node?.location ?? null,
      status: describeStatus(node, placement.drained.includes(name), held),
      microshards: held,
      copies: isAlone ? microshards.length : copies.filter((one) => one === name).length,
    }
  })
}

function describeStatus(node: StoreNode | undefined, isDrained: boolean, held: number): NodeView['status'] {
  if (node?.isAlive !== true) return 'absent'
  if (!isDrained) return 'present'
  return held === 0 ? 'drained' : 'draining'
}

/** Kept as it is for no reason: it is so already. */
export function planDrain(
  directory: MicroshardDirectory,
  found: readonly StoreNode[],
  name: string,
  isDrained: boolean,
): DirectoryPlan<Problem | null> {
  const { placement } = directory
  const isKnown = found.some((node) => node.name === name) || placement.nodes.includes(name)
  if (!isKnown && !placement.drained.includes(name)) return { kind: 'keep', because: describeUnknownNode(name, found) }
  if (placement.drained.includes(name) === isDrained) return { kind: 'keep', because: null }
  const others = placement.drained.filter((one) => one !== name)
  const drained = isDrained ? [...others, name].sort() : others
  const left = found.filter((node) => node.isAlive && !drained.includes(node.name))
  if (isDrained && left.length === 0) return { kind: 'keep', because: describeLastNode(name) }
  const changed = { ...directory, version: directory.version + 1, placement: { ...placement, drained } }
  return { kind: 'change', directory: changed }
}

export const describeUnknownNode = (name: string, found: readonly StoreNode[]): Problem => ({
  code: 'not-found',
  title: 'There is no such node',
  detail: `No node is called '${name}'.`,
  remedy: `Nodes: ${found.map((node) => node.name).join(', ') || 'none'}.`,
})

const describeLastNode = (name: string): Problem => ({
  code: 'conflict',
  title: 'No other node would be left',
  detail: `Node '${name}' can't be drained: no other is alive and takes microshards.`,
  remedy: 'Start another node first, or let one that is drained take microshards again.',
})
