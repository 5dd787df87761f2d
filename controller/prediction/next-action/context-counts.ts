/**
 * What followed on what, counted: for each context, which actions came after it, those of long ago counting less. Bounded
 * in contexts, of which those not met for longest go first, and in successors of each. Touches nothing but memory.
 */

/** An action's number. */
export type Action = number

export interface Successors {
  total: number
  /** Decayed counts. */
  readonly counts: Map<Action, number>
}

export type SavedCounts = readonly (readonly [context: number, counts: readonly (readonly [Action, number])[]])[]

export interface ContextCounts {
  find(context: number): Successors | undefined
  add(context: number, action: Action): void
  /** How many contexts there are. */
  size(): number
  /** Forgets the one that was not met for longest. */
  dropOldest(): void
  save(): SavedCounts
}

const successorsMaximum = 24
/** What has come once is forgotten after about 3 / (1 − decay) others of the same context. */
const leastCount = 0.05

export interface CountsOptions {
  readonly contextsMaximum: number
  /** How much of a count is left when another of its context is added. */
  readonly decay: number
}

export function createContextCounts({ contextsMaximum, decay }: CountsOptions, saved: SavedCounts = []): ContextCounts {
  const contexts = new Map<number, Successors>()
  for (const [context, counts] of saved) {
    const known = new Map(counts)
    contexts.set(context, { counts: known, total: sumOf(known) })
  }

  function dropOldest(): void {
    const oldest = contexts.keys().next()
    if (oldest.done !== true) contexts.delete(oldest.value)
  }

  return {
    find: (context) => contexts.get(context),
    add(context, action) {
      const known = contexts.get(context) ?? { total: 0, counts: new Map<Action, number>() }
      // Met again: the last to be forgotten.
      contexts.delete(context)
      contexts.set(context, known)
      addTo(known, action, decay)
      if (contexts.size > contextsMaximum) dropOldest()
    },
    size: () => contexts.size,
    dropOldest,
    save: () => [...contexts].map(([context, { counts }]) => [context, [...counts]] as const),
  }
}

function addTo(known: Successors, action: Action, decay: number): void {
  const { counts } = known
  let [least, leastKnown] = [Number.POSITIVE_INFINITY, action]
  for (const [one, count] of counts) {
    const left = count * decay
    if (one === action || left >= leastCount) counts.set(one, left)
    else counts.delete(one)
    if (one !== action && left < least) [least, leastKnown] = [left, one]
  }
  if (!counts.has(action) && counts.size >= successorsMaximum) counts.delete(leastKnown)
  counts.set(action, (counts.get(action) ?? 0) + 1)
  known.total = sumOf(counts)
}

/** Always in their order, so that what is restored is the same to the last bit. */
function sumOf(counts: ReadonlyMap<Action, number>): number {
  let sum = 0
  for (const count of counts.values()) sum += count
  return sum
}
