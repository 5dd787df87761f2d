/**
 * Whether an action that an object does not record is certain not to have been done. An object keeps the ids of its last
 * actions only, so that whoever asks again after a while needs a proof. Reads the store.
 */

import { actionsKeptMaximum, type Kind, type Store, type StoredObject } from '../store.ts'
import { nameOfObject, versionOf } from './conditional-write.ts'
import type { RecentActions } from './recent-actions.ts'

/**
 * @param current the object as it is, which does not record the action; a tombstone too
 * @param afterVersion in no version up to this one has it been done
 * @returns `undone`: certain; `done`: a version in between records it; `untold`: some of these are not kept any more
 */
export async function proveUndone(
  { store, recent }: { readonly store: Pick<Store, 'history'>; readonly recent: RecentActions },
  { kind, id }: { readonly kind: Kind<unknown>; readonly id: string },
  current: StoredObject<unknown> | null,
  { actionId, afterVersion }: { readonly actionId: string; readonly afterVersion: number },
): Promise<'undone' | 'done' | 'untold'> {
  if (versionOf(current) <= afterVersion) return 'undone'
  // So few that none has been forgotten.
  if (current !== null && current.actionIds.length < actionsKeptMaximum) return 'undone'
  const name = nameOfObject({ kind, id })
  if (current !== null) recent.observe(name, current)
  const seen = recent.find(name, actionId, afterVersion, versionOf(current))
  if (seen !== 'unknown') return seen
  // From now on it is followed, so that the next one need not ask.
  recent.track(name, versionOf(current))
  const versions = await store.history(kind, id)
  if (versions.some(({ actionIds }) => actionIds.includes(actionId))) return 'done'
  const [oldest] = versions
  // Each version keeps at least the ids of its own actions.
  return oldest !== undefined && oldest.version <= afterVersion + 1 ? 'undone' : 'untold'
}
