/** Logs that are kept in memory, for tests of what reads them. */

import type { LogEntry } from '../../contract/logs.ts'
import type { LogReader } from './read-logs.ts'

/** All of them are given to whoever asks for their balancer; a reader who follows gets them and waits for the end. */
export function createKeptLogs(entries: readonly LogEntry[] = []): LogReader {
  const select = (query: Parameters<LogReader['list']>[0] | Parameters<LogReader['read']>[0]) =>
    entries.filter(
      (entry) =>
        entry.loadBalancerId === query.loadBalancerId &&
        (query.instanceId ?? entry.instanceId) === entry.instanceId &&
        query.kinds?.includes(entry.kind) !== false &&
        Date.parse(entry.at) >= (query.since ?? 0),
    )
  return {
    async *read(query) {
      query.onStarted?.()
      yield* select(query)
      if (!query.signal.aborted)
        await new Promise((resolve) => query.signal.addEventListener('abort', resolve, { once: true }))
    },
    list: async (query) => ({ items: select(query).slice(0, query.limit), next: null }),
    hasInstance: async ({ instanceId }) => entries.some((entry) => entry.instanceId === instanceId),
  }
}
