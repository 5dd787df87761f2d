/**
 * Objects in memory, by kind and id, in the order of ids: what every store answers reads from. Touches nothing else.
 */

import type { KnownObject } from './plan-transaction.ts'
import { clientIdPrefix } from './shard-key.ts'
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
}

interface KindTable {
  readonly byId: Map<string, KnownObject>
  /** The ids of what is not a tombstone, sorted. */
  readonly liveIds: string[]
}

/** The first character after all of base 32: an id prefix with it appended follows every id with that prefix. */
const afterEveryId = '{'

export function createObjectTable(): ObjectTable {
  const kinds = new Map<string, KindTable>()

  function collect<Value>(table: KindTable, from: number, to: number): StoredObject<Value>[] {
    const items: StoredObject<Value>[] = []
    for (let i = from; i < to; i++) {
      const object = table.byId.get(table.liveIds[i] ?? '')
      if (object !== undefined) items.push(object as StoredObject<Value>)
    }
    return items
  }

  return {
    find: (kind, id) => kinds.get(kind)?.byId.get(id) ?? null,

    put(object) {
      const table = kinds.get(object.kind) ?? { byId: new Map(), liveIds: [] }
      kinds.set(object.kind, table)
      const known = table.byId.get(object.id)
      if (known !== undefined && !isNewer(object, known)) return
      table.byId.set(object.id, freezeDeeply(object))
      const wasAlive = known !== undefined && known.value !== null
      const isAlive = object.value !== null
      if (wasAlive === isAlive) return
      const place = findPlace(table.liveIds, object.id)
      if (isAlive) table.liveIds.splice(place, 0, object.id)
      else table.liveIds.splice(place, 1)
    },

    list<Value>(kind: Kind<Value>, options: ListOptions = {}): Page<Value> {
      const table = kinds.get(kind.name)
      if (table === undefined) return { items: [], next: null }
      const limit = Math.min(Math.max(1, options.limit ?? listLimitDefault), listLimitMaximum)
      const [start, end] = findRange(table, kind, options.clientId)
      const from = options.after === undefined ? start : Math.max(start, findPlaceAfter(table.liveIds, options.after))
      const to = Math.min(end, from + limit)
      const items = collect<Value>(table, from, to)
      return { items, next: to < end ? (items.at(-1)?.id ?? null) : null }
    },

    snapshot<Value>(kind: Kind<Value>, clientId?: string): readonly StoredObject<Value>[] {
      const table = kinds.get(kind.name)
      if (table === undefined) return []
      const [start, end] = findRange(table, kind, clientId)
      return collect<Value>(table, start, end)
    },
  }
}

/** Of one version and a later place (a fence copies an object without changing it), the later place counts. */
function isNewer(object: KnownObject, known: KnownObject): boolean {
  if (object.version !== known.version) return object.version > known.version
  if (object.revision.epoch !== known.revision.epoch) return object.revision.epoch > known.revision.epoch
  return object.revision.sequence > known.revision.sequence
}

function findRange(table: KindTable, kind: Kind<unknown>, clientId: string | undefined): readonly [number, number] {
  if (clientId === undefined) return [0, table.liveIds.length]
  const prefix = clientIdPrefix(kind.prefix, clientId)
  return [findPlace(table.liveIds, prefix), findPlace(table.liveIds, prefix + afterEveryId)]
}

/** The index of the first id that is not below `id`. */
function findPlace(ids: readonly string[], id: string): number {
  let low = 0
  let high = ids.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ids[middle] ?? '') < id) low = middle + 1
    else high = middle
  }
  return low
}

function findPlaceAfter(ids: readonly string[], id: string): number {
  const place = findPlace(ids, id)
  return ids[place] === id ? place + 1 : place
}

/** Readers share what they are given: a caller who would change it fails at once, instead of changing it for all. */
function freezeDeeply<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const part of Object.values(value)) freezeDeeply(part)
  return value
}
