/**
 * How much each instance had to do of late, from the counters that hosts report: a short window of samples in memory.
 * Every controller keeps its own, so whichever decides has what it needs; one that has just begun knows nothing yet. It is
 * the newest end of what metrics/ keeps: the same reading of haproxy, told every second in place of every ten.
 */

import type { InstanceLoadReport } from '../../agent/contract/host-report.ts'
import { measureIncrease } from './metrics/increase.ts'

export interface InstanceLoad {
  readonly requestsPerSecond: number
  /** The mean of those open at a time. */
  readonly connections: number
  /** Of the processors that its haproxy may use. */
  readonly cpuPercent: number
  /** Zero while there are no requests: the mean of old ones says nothing. */
  readonly latencyMilliseconds: number
}

export interface LoadWindows {
  /** @param now milliseconds since the epoch, by this controller's clock */
  accept(host: string, loads: readonly InstanceLoadReport[], now: number): void
  /** Null: not known, as there is only one sample yet, or none of late. */
  read(instanceId: string, now: number): InstanceLoad | null
}

/** Short enough to answer a crowd, and long enough for two samples of a host with many instances. */
export const windowSeconds = 10
/** A host with many instances asks each of them in turn. */
const staleMilliseconds = 30_000

interface Window {
  samples: InstanceLoadReport[]
  receivedAt: number
}

export function createLoadWindows(): LoadWindows {
  const windows = new Map<string, Window>()
  const idsOf = new Map<string, readonly string[]>()
  return {
    accept(host, loads, now) {
      const ids = loads.map(({ id }) => id)
      const told = new Set(ids)
      for (const id of idsOf.get(host) ?? []) if (!told.has(id)) windows.delete(id)
      idsOf.set(host, ids)
      for (const load of loads) {
        const before = windows.get(load.id)
        const last = before?.samples.at(-1)
        // The same sample is said again until there is another.
        if (before !== undefined && last?.atSeconds === load.atSeconds && last.worker === load.worker) continue
        // A host's clock begins anew with each boot.
        const isRebooted = last !== undefined && last.atSeconds > load.atSeconds
        const samples = before === undefined || isRebooted ? [] : before.samples
        windows.set(load.id, { samples: keepLatest([...samples, load]), receivedAt: now })
      }
    },
    read(instanceId, now) {
      const window = windows.get(instanceId)
      if (window === undefined || now - window.receivedAt > staleMilliseconds) return null
      return measureLoad(window.samples)
    },
  }
}

/** Those of the window, and always two. */
function keepLatest(samples: readonly InstanceLoadReport[]): InstanceLoadReport[] {
  const since = (samples.at(-1)?.atSeconds ?? 0) - windowSeconds
  const first = samples.findIndex(({ atSeconds }) => atSeconds >= since)
  return samples.slice(Math.max(0, Math.min(first, samples.length - 2)))
}

/** Pure. Null: two samples make a rate. */
export function measureLoad(samples: readonly InstanceLoadReport[]): InstanceLoad | null {
  const first = samples[0]
  const last = samples.at(-1)
  if (first === undefined || last === undefined || last.atSeconds <= first.atSeconds) return null
  const seconds = last.atSeconds - first.atSeconds
  const requests = increaseOf(samples, 'requests')
  return {
    requestsPerSecond: requests / seconds,
    connections: samples.reduce((sum, { connections }) => sum + connections, 0) / samples.length,
    cpuPercent: (100 * increaseOf(samples, 'cpuSeconds')) / (seconds * Math.max(1, last.threads)),
    latencyMilliseconds: requests === 0 ? 0 : last.latencyMilliseconds,
  }
}

/** A new worker counts from zero; what the old one did after it was last asked nobody knows. */
function increaseOf(samples: readonly InstanceLoadReport[], counter: 'requests' | 'cpuSeconds'): number {
  return samples.slice(1).reduce((sum, sample, i) => {
    const before = samples[i]
    const isSame = before !== undefined && before.worker === sample.worker
    return sum + (isSame ? measureIncrease('derive', before[counter], sample[counter]) : sample[counter])
  }, 0)
}
