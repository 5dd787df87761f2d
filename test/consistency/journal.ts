/**
 * The object that histories are made of: a journal, to which each action appends its id and the version that it makes.
 * What a lost, doubled or reordered write does to it can be read off its last value. Knows the store's contract alone.
 */

import type { Action } from '../../controller/control-plane/act.ts'
import { createNamedId } from '../../controller/control-plane/shard-key.ts'
import { defineKind, type Store, type StoredObject } from '../../controller/control-plane/store.ts'
import type { Entry, FinalObject } from './history.ts'

export interface JournalValue {
  readonly entries: readonly Entry[]
}

export const journalKind = defineKind<JournalValue>({ name: 'journal', prefix: 'jrn', dataType: 'journal' })

/** The same client and name always give the same journal. */
export const journalId = (clientId: string, name: string): string => createNamedId('jrn', clientId, name)

/** The action that appends its own id. */
export function appendTo(id: string, actionId: string): Action<JournalValue, never> {
  return {
    kind: journalKind,
    id,
    actionId,
    apply: (current) => ({ kind: 'write', value: appendEntry(current, actionId) }),
  }
}

/** A journal with one entry more, in the version that comes next. */
export function appendEntry(current: StoredObject<JournalValue> | null, actionId: string): JournalValue {
  const entry = { actionId, version: (current?.version ?? 0) + 1 }
  return { entries: [...(current?.value.entries ?? []), entry] }
}

export const viewJournal = (object: StoredObject<JournalValue> | null): FinalObject | null =>
  object === null ? null : { version: object.version, entries: object.value.entries }

/** The journals as they are in the end, once nobody writes any more: from their leaders. */
export async function readFinals(store: Store, ids: readonly string[]): Promise<Map<string, FinalObject>> {
  const finals = new Map<string, FinalObject>()
  for (const id of ids) {
    const final = viewJournal(await store.get(journalKind, id, { latest: true }))
    if (final !== null) finals.set(id, final)
  }
  return finals
}
