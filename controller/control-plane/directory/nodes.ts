/**
 * The nodes that microshards can be on, and who of them gets which: rendezvous hashing with bounded loads. Pure.
 *
 * Every node has a weight for every microshard, a hash of both names; a microshard goes to the node where that is the
 * highest, unless the node has its share already: then to the next. A node that joins or leaves moves only what it wins
 * or held, and what the bound displaces.
 * Thaler and Ravishankar 1998; Mirrokni, Thorup and Zadimoghaddam 2018 (https://arxiv.org/abs/1608.01350).
 */

export interface StoreNode {
  readonly name: string
  /** Where its clients connect: `10.0.0.11:4222`. Null: it is not known just now. */
  readonly address: string | null
  readonly isAlive: boolean
}

/** Tells the nodes as they are now. A single server is one node. */
export interface StoreNodes {
  list(): Promise<readonly StoreNode[]>
}

/** What a server is tagged with, so that a stream can be placed on it by its node's name. */
export const nodeTag = (name: string): string => `node:${name}`

/** How much more than the average a node may hold. */
export const loadBound = 1.25

/** The names of all nodes, the one that should have it first. */
export function rankNodes(microshardId: string, nodes: readonly string[]): readonly string[] {
  const seed = Bun.hash.wyhash(microshardId)
  return nodes
    .map((name) => ({ name, weight: Bun.hash.wyhash(name, seed) }))
    .sort((a, b) => (a.weight === b.weight ? (a.name < b.name ? -1 : 1) : a.weight > b.weight ? -1 : 1))
    .map(({ name }) => name)
}

/** The node of each microshard. Each node gets at most its share: the bound times the average, rounded up. */
export function placeMicroshards(
  microshardIds: readonly string[],
  nodes: readonly string[],
  bound = loadBound,
): ReadonlyMap<string, string> {
  const placed = new Map<string, string>()
  if (nodes.length === 0) return placed
  const share = Math.ceil((bound * microshardIds.length) / nodes.length)
  const held = new Map<string, number>()
  // In an order that depends on the names alone, so that everyone who plans gets the same.
  for (const id of microshardIds.toSorted()) {
    const node = rankNodes(id, nodes).find((name) => (held.get(name) ?? 0) < share)
    if (node === undefined) throw new Error(`BUG: ${nodes.length} nodes with a share of ${share} have no place left`)
    held.set(node, (held.get(node) ?? 0) + 1)
    placed.set(id, node)
  }
  return placed
}

/** The node that one more microshard should go to, as the others lie. Null: there is none. */
export function chooseNode(
  microshardId: string,
  nodes: readonly string[],
  placed: Iterable<string | null>,
): string | null {
  const held = new Map(nodes.map((name) => [name, 0]))
  let total = 1
  for (const name of placed) {
    if (name === null || !held.has(name)) continue
    held.set(name, (held.get(name) ?? 0) + 1)
    total++
  }
  const share = Math.ceil((loadBound * total) / Math.max(1, nodes.length))
  return rankNodes(microshardId, nodes).find((name) => (held.get(name) ?? 0) < share) ?? null
}

/** The nodes as they were lately: to ask all of them takes as long as one that does not answer. */
export function rememberNodes(nodes: StoreNodes, now: () => number, rememberMilliseconds = 2_000): StoreNodes {
  let known: { readonly at: number; readonly nodes: Promise<readonly StoreNode[]> } | null = null
  return {
    list() {
      if (known !== null && now() - known.at < rememberMilliseconds) return known.nodes
      const asked = { at: now(), nodes: nodes.list() }
      known = asked
      // Who could not be asked is asked again at once.
      asked.nodes.catch(() => {
        if (known === asked) known = null
      })
      return asked.nodes
    },
  }
}
