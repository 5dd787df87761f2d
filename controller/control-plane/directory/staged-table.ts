/**
 * The memory of a microshard that is being made: a table of its own, whose objects nobody reads before the microshard
 * takes over, and which then goes over into the table of all, little by little. Touches that table alone.
 */

import type { ObjectTable } from '../object-table.ts'
import { isNewer, type KnownObject } from '../plan-transaction.ts'

export interface StagedTable extends Pick<ObjectTable, 'find' | 'put'> {
  /** What it has that the table of all has not, or only older: what a store has missed. */
  listNews(): readonly KnownObject[]
  /** From now on what is put goes into the table of all, and what is here follows. Resolves when all of it has. */
  adopt(): Promise<void>
}

/** So many objects go over at once: others wait for no more than a millisecond or two. */
const objectsAtOnce = 1_000

/** `pause` lets others go on in between. */
export function createStagedTable(all: Pick<ObjectTable, 'find' | 'put'>, pause: () => Promise<unknown>): StagedTable {
  const objects = new Map<string, KnownObject>()
  let isAdopted = false

  function put(object: KnownObject): void {
    if (isAdopted) {
      all.put(object)
      return
    }
    const name = nameOf(object.kind, object.id)
    const known = objects.get(name)
    if (known === undefined || isNewer(object, known)) objects.set(name, object)
  }

  return {
    put,
    find(kind, id) {
      const own = objects.get(nameOf(kind, id)) ?? null
      const known = isAdopted || own === null ? all.find(kind, id) : null
      if (own === null || known === null) return own ?? known
      return isNewer(known, own) ? known : own
    },
    listNews() {
      return [...objects.values()].filter((own) => (all.find(own.kind, own.id)?.version ?? 0) < own.version)
    },
    async adopt() {
      isAdopted = true
      let left = objectsAtOnce
      for (const [name, object] of objects) {
        all.put(object)
        objects.delete(name)
        if (--left > 0) continue
        await pause()
        left = objectsAtOnce
      }
    },
  }
}

const nameOf = (kind: string, id: string) => `${kind} ${id}`
