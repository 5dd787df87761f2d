/** A store whose accesses are counted; it does nothing else than the store that it stands before. */

import { type Store, shardKeyOf } from '../../control-plane/store.ts'
import type { AccessCounts } from './access-counts.ts'

export interface MonitoringOptions {
  readonly counts: Pick<AccessCounts, 'noteMemoryRead' | 'note'>
  /** Milliseconds, of a clock that never goes back. */
  readonly now: () => number
}

export function monitorStore<Monitored extends Store>(store: Monitored, { counts, now }: MonitoringOptions): Monitored {
  /** Reads of memory never fail, and take no time that says anything of a node. */
  async function observe<Result>(
    shardKey: string,
    kind: 'leaderRead' | 'write',
    access: () => Promise<Result>,
    isError: (result: Result) => boolean,
  ): Promise<Result> {
    const beganAt = now()
    try {
      const result = await access()
      counts.note(shardKey, kind, now() - beganAt, isError(result))
      return result
    } catch (cause) {
      counts.note(shardKey, kind, now() - beganAt, true)
      throw cause
    }
  }

  const readsNever = () => false

  return {
    ...store,
    get(kind, id, options) {
      const read = () => store.get(kind, id, options)
      if (options?.latest === true) return observe(shardKeyOf(kind, id), 'leaderRead', read, readsNever)
      counts.noteMemoryRead(shardKeyOf(kind, id))
      return read()
    },
    getOrTombstone(kind, id, options) {
      const read = () => store.getOrTombstone(kind, id, options)
      if (options?.latest === true) return observe(shardKeyOf(kind, id), 'leaderRead', read, readsNever)
      counts.noteMemoryRead(shardKeyOf(kind, id))
      return read()
    },
    history(kind, id) {
      return observe(shardKeyOf(kind, id), 'leaderRead', () => store.history(kind, id), readsNever)
    },
    transact(transaction) {
      const [first] = transaction.writes
      if (first === undefined) return store.transact(transaction)
      const isError = ({ outcome }: Awaited<ReturnType<Store['transact']>>) => outcome === 'unavailable'
      return observe(shardKeyOf(first.kind, first.id), 'write', () => store.transact(transaction), isError)
    },
  }
}
