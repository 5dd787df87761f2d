/** Has work of one key done one after the other, in the order in which it came. Keeps nothing for a key at rest. */

export type KeyedLock = <Value>(key: string, work: () => Promise<Value>) => Promise<Value>

/** @example const lock = createKeyedLock(); await lock(projectId, () => change()) */
export function createKeyedLock(): KeyedLock {
  const last = new Map<string, Promise<unknown>>()
  return async (key, work) => {
    const before = last.get(key)
    const own = (async () => {
      await before?.catch(() => undefined)
      return work()
    })()
    last.set(key, own)
    try {
      return await own
    } finally {
      if (last.get(key) === own) last.delete(key)
    }
  }
}
