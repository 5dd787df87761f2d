/**
 * Which actions the last versions of an object were made by, as far back as they were seen without a gap: what proves at
 * once that an action has not been done yet. Objects are followed from the moment that somebody asks. In memory alone.
 */

import type { StoredObject } from '../store.ts'

export interface RecentActions {
  /** Follows an object from this version on, unless it is followed already. */
  track(name: string, version: number): void
  /** Takes in a version of it, in their order; one after a gap begins anew. */
  observe(name: string, object: Pick<StoredObject<unknown>, 'version' | 'actionIds'>): void
  isTracked(name: string): boolean
  /** `unknown`: the versions after `afterVersion` up to `version` were not all seen. */
  find(name: string, actionId: string, afterVersion: number, version: number): 'done' | 'undone' | 'unknown'
}

const objectsMaximum = 1_000
const actionsMaximum = 4_096

interface Seen {
  /** All versions after it were seen. */
  from: number
  to: number
  /** The version in which each of them was seen first, oldest first. */
  readonly versions: Map<string, number>
}

export function createRecentActions(): RecentActions {
  /** In the order in which they were asked for last. */
  const objects = new Map<string, Seen>()

  return {
    track(name, version) {
      const seen = objects.get(name) ?? { from: version, to: version, versions: new Map() }
      objects.delete(name)
      objects.set(name, seen)
      for (const oldest of objects.keys()) {
        if (objects.size <= objectsMaximum) break
        objects.delete(oldest)
      }
    },
    observe(name, { version, actionIds }) {
      const seen = objects.get(name)
      if (seen === undefined || version <= seen.to) return
      if (version !== seen.to + 1) {
        seen.from = version - 1
        seen.versions.clear()
      }
      seen.to = version
      // Those of the versions before are among them: they keep the version in which they were seen first.
      for (const actionId of actionIds) if (!seen.versions.has(actionId)) seen.versions.set(actionId, version)
      for (const [actionId, at] of seen.versions) {
        if (seen.versions.size <= actionsMaximum) break
        seen.versions.delete(actionId)
        seen.from = Math.max(seen.from, at)
      }
    },
    isTracked: (name) => objects.has(name),
    find(name, actionId, afterVersion, version) {
      const seen = objects.get(name)
      if (seen?.versions.has(actionId) === true) return 'done'
      return seen !== undefined && seen.from <= afterVersion && seen.to >= version ? 'undone' : 'unknown'
    },
  }
}
