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
  /** Where in the rack or the world it stands, as whoever set it up has named it. Null: nobody has said. */
  readonly location: string | null
  readonly isAlive: boolean
}

/** Tells the nodes as they are now. A single server is one node. */
export interface StoreNodes {
  list(): Promise<readonly StoreNode[]>
}

/** What a server is tagged with, so that a stream can be placed on it by its node's name. */
export const nodeTag = (name: string): string => `node:${name}`

/** A server of a cluster is called by its bus and its node, as `sluice-abcdefghijkl-node-1`; one that is alone by its bus. */
export const nodeOfServer = (serverName: string): string =>
  /^sluice-[a-z0-9]{12}-(.+)$/.exec(serverName)?.[1] ?? serverName

/** How much more than the average a node may hold. */
export const loadBound = 1.25

/** The names of all nodes, the one that should have it first. */
export function rankNodes(microshardId: string, nodes: readonly string[]): readonly string[] {
  const weigh = createWeigher(nodes)
  const weights = new Map(nodes.map((name, i) => [name, weigh(microshardId, i)]))
  return nodes.toSorted((a, b) => (weights.get(b) ?? 0) - (weights.get(a) ?? 0) || (a < b ? -1 : 1))
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
  const names = nodes.toSorted()
  const weigh = createWeigher(names)
  const held = names.map(() => 0)
  // In an order that depends on the names alone, so that everyone who plans gets the same.
  for (const id of microshardIds.toSorted()) {
    const place = findHeaviest(names.length, (i) => ((held[i] ?? 0) < share ? weigh(id, i) : -1))
    held[place] = (held[place] ?? 0) + 1
    placed.set(id, names[place] ?? '')
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

/** The weight of the i-th node for a microshard: their names' hashes, mixed by MurmurHash3's finalizer. */
function createWeigher(nodes: readonly string[]): (microshardId: string, node: number) => number {
  const hashes = nodes.map((name) => Bun.hash.xxHash32(name))
  let known = { id: '', hash: 0 }
  return (id, node) => {
    if (known.id !== id) known = { id, hash: Bun.hash.xxHash32(id) }
    let mixed = (hashes[node] ?? 0) ^ Math.imul(known.hash, 0x9e3779b1)
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return (mixed ^ (mixed >>> 16)) >>> 0
  }
}

function findHeaviest(count: number, weigh: (place: number) => number): number {
  let [best, most] = [0, -1]
  for (let place = 0; place < count; place++) {
    const weight = weigh(place)
    if (weight > most) {
      best = place
      most = weight
    }
  }
  return best
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
