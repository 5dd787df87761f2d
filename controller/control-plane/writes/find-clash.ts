/**
 * Whether a change that was decided on an older version can be made on what is there now: what others have changed since
 * stays, unless both have given one field another value. Reads the store.
 */

import type { Clash } from '../../contract/escalation.ts'
import type { RequestInfo } from '../../services.ts'
import type { Kind, Store, StoredObject } from '../store.ts'
import { listCollisions, listDifferences } from './clash.ts'

/**
 * @param decide what the change makes of a version; null: nothing
 * @returns null: it can be made
 */
export async function findClash<Value>(
  { store }: { readonly store: Pick<Store, 'history'> },
  kind: Kind<Value>,
  current: StoredObject<Value>,
  { currentVersion, expectedVersion }: Pick<RequestInfo, 'currentVersion' | 'expectedVersion'>,
  decide: (base: StoredObject<Value>) => Promise<{ readonly value: Value | null } | null>,
): Promise<Clash | null> {
  // If-Match decides by itself.
  if (currentVersion === undefined || expectedVersion !== undefined || currentVersion === current.version) return null
  const about = { kind: kind.name, id: current.id, latestVersion: current.version }
  const versions = await store.history(kind, current.id)
  const base = versions.find(({ version }) => version === currentVersion)
  if (base === undefined || !isAlive(base)) {
    const differences = listDifferences(null, (await decide(current))?.value ?? null, current.value)
    return { ...about, reason: 'forgotten', baseVersion: null, differences }
  }
  const wanted = await decide(base)
  if (wanted === null) return null
  const differences = listDifferences(base.value, wanted.value, current.value)
  if (listCollisions(differences).length === 0) return null
  return { ...about, reason: 'sameField', baseVersion: base.version, differences }
}

const isAlive = <Value>(object: StoredObject<Value | null>): object is StoredObject<Value> => object.value !== null
