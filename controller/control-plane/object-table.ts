/**
 * Objects in memory, by kind and id, in the order of ids: what every store answers reads from. Touches nothing else.
 */

import { isNewer, type KnownObject } from './plan-transaction.ts'
import { clientIdPrefix, type ShardKey } from './shard-key.ts'
import { createSortedIds, type IdRange, type SortedIds } from './sorted-ids.ts'
import {
  type Kind,
  type ListOptions,
  listLimitDefault,
  listLimitMaximum,
  type Page,
  type StoredObject,
} from './store.ts'

export interface ObjectTable {
  /** The object as last taken in, a tombstone too; null when nothing is known of it. */
  find(kind: string, id: string): KnownObject | null
  /** Takes an object in, unless a newer one is known already. */
  put(object: KnownObject): void
  list<Value>(kind: Kind<Value>, options?: ListOptions): Page<Value>
  snapshot<Value>(kind: Kind<Value>, clientId?: string): readonly StoredObject<Value>[]
  /** By shard key, how many objects lie there: those that are no tombstones. */
  countByKey(): ReadonlyMap<ShardKey, number>
}

interface KindTable {
  readonly byId: Map<string, KnownObject>
  /** The ids of what is not a tombstone. */
  readonly liveIds: SortedIds
}

/** The first character after all of base 32: an id prefix with it appended follows every id with that prefix. */
const afterEveryId = '{'

export function createObjectTable(): ObjectTable {
  const kinds = new Map<string, KindTable>()
  const counts = new Map<ShardKey, number>()

  function collect<Value>({ byId, liveIds }: KindTable, range: IdRange): StoredObject<Value>[] {
    return liveIds.collect(range).flatMap((id) => (byId.get(id) as StoredObject<Value> | undefined) ?? [])
  }

  return {
    countByKey: () => counts,
    find: (kind, id) => kinds.get(kind)?.byId.get(id) ?? null,

    put(object) {
      const table = kinds.get(object.kind) ?? { byId: new Map(), liveIds: createSortedIds() }
      kinds.set(object.kind, table)
      const known = table.byId.get(object.id)
      if (known !== undefined && !isNewer(object, known)) return
      table.byId.set(object.id, freezeDeeply(object))
      const wasAlive = known !== undefined && known.value !== null
      const isAlive = object.value !== null
      if (wasAlive === isAlive) return
      counts.set(object.shardKey, (counts.get(object.shardKey) ?? 0) + (isAlive ? 1 : -1))
      if (isAlive) table.liveIds.add(object.id)
      else table.liveIds.delete(object.id)
    },

    list<Value>(kind: Kind<Value>, { clientId, after, limit: wanted }: ListOptions = {}): Page<Value> {
      const table = kinds.get(kind.name)
      if (table === undefined) return { items: [], next: null }
      const limit = Math.min(Math.max(1, wanted ?? listLimitDefault), listLimitMaximum)
      // One more than is shown tells whether there is a next page.
      const items = collect<Value>(table, { ...rangeOf(kind, clientId), after, limit: limit + 1 })
      const shown = items.slice(0, limit)
      return { items: shown, next: items.length > limit ? (shown.at(-1)?.id ?? null) : null }
    },

    snapshot<Value>(kind: Kind<Value>, clientId?: string): readonly StoredObject<Value>[] {
      const table = kinds.get(kind.name)
      return table === undefined ? [] : collect<Value>(table, rangeOf(kind, clientId))
    },
  }
}

function rangeOf(kind: Kind<unknown>, clientId: string | undefined): IdRange {
  if (clientId === undefined) return {}
  const from = clientIdPrefix(kind.prefix, clientId)
  return { from, to: from + afterEveryId }
}

/** Readers share what they are given: a caller who would change it fails at once, instead of changing it for all. */
function freezeDeeply<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const key in value) freezeDeeply(value[key])
  return value
}
