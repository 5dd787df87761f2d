/** Which of a client's things an action touches, by its name: `createShard`, `shard.delete`, `delete-address`. Pure. */

import type { Kind } from '../store.ts'

/**
 * The data type of the kind that the action names, so that creating and deleting a thing meet the same copy; for a kind
 * that is not known, its name.
 * @example dataTypeOfAction('createVolume', []) // 'volume'
 */
export function dataTypeOfAction(action: string, kinds: readonly Pick<Kind<unknown>, 'name' | 'dataType'>[]): string {
  const words = action
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
  const candidates = kinds.toSorted((a, b) => b.name.length - a.name.length)
  const text = `-${words.join('-')}-`
  const known = candidates.find(({ name }) => text.includes(`-${name}-`) || text.includes(`-${name}s-`))
  // `createVolume`: what is done comes first.
  return known?.dataType ?? (words.length > 1 ? words.slice(1).join('-') : (words[0] ?? action))
}
