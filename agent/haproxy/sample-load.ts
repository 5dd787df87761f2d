/**
 * Asks each instance's haproxy now and then how much it has to do, and keeps the answer for the report and, with all that
 * haproxy counts, for the points. A few at a time, so that what it costs does not grow with the number of instances.
 * Changes nothing, and holds no turn up.
 */

import type { InstanceLoadReport } from '../contract/host-report.ts'
import { pointIntervalSeconds } from '../contract/points.ts'
import type { AskHaproxy } from '../operations/haproxy-socket.ts'
import { infoNumber, parseStatistics, type StatisticsRow } from './haproxy-statistics.ts'

export interface LoadSubject {
  readonly instanceId: string
  readonly statsSocket: string
}

/** All that a haproxy has counted, as it said it. */
export interface WholeAnswer {
  readonly instanceId: string
  readonly text: string
  /** When it was asked for, by the clock that points bear. */
  readonly atUnixSeconds: number
}

export interface LoadSampler {
  /** Asks those whose turn it is, of the instances that are there; what they answer is in a later report. */
  take(subjects: readonly LoadSubject[]): void
  /** The last sample of each. */
  list(): InstanceLoadReport[]
  /** The last whole answer of each that has given one since this was called before. */
  takeWhole(): readonly WholeAnswer[]
  /** Resolves when nobody is being asked. */
  settled(): Promise<void>
}

export interface LoadSamplerOptions {
  readonly ask: AskHaproxy
  /** Milliseconds, by a clock that never jumps. */
  readonly now: () => number
  readonly unixSeconds: () => number
  readonly readCpuSeconds: (pid: number) => number | undefined
  readonly readUptimeSeconds: () => number
}

/** Each is asked no oftener than this. */
const sampleMilliseconds = 2000
/** Asked at a time: a host with 200 instances asks each every 13 seconds. */
const asksMaximum = 16
/** From one time to the next; about as often as turns come by themselves. */
const roundMilliseconds = 800

/** Frontends and backends, without their servers; and whose answer it is. */
const loadQuestion = 'show info;show stat -1 3 -1'
/** The servers as well: in place of the other, where the last one is so old that points are due. */
const wholeQuestion = 'show info;show stat -1 7 -1'
const wholeMilliseconds = 1000 * pointIntervalSeconds - roundMilliseconds

export function createLoadSampler(options: LoadSamplerOptions): LoadSampler {
  const { ask, now } = options
  const samples = new Map<string, InstanceLoadReport>()
  const askedAt = new Map<string, number>()
  const wholeAt = new Map<string, number>()
  let wholes = new Map<string, WholeAnswer>()
  let nextAt = Number.NEGATIVE_INFINITY
  let asking: Promise<unknown> | undefined

  const sample = async ({ instanceId, statsSocket }: LoadSubject) => {
    // Nobody at the socket is for others to explain; what was known of it stays until it is.
    const at = now()
    const atUnixSeconds = options.unixSeconds()
    const isWhole = at - (wholeAt.get(instanceId) ?? Number.NEGATIVE_INFINITY) >= wholeMilliseconds
    const text = await ask(statsSocket, isWhole ? wholeQuestion : loadQuestion).catch(() => '')
    const counted = parseLoad(text)
    if (isWhole && counted !== undefined && askedAt.has(instanceId)) {
      wholeAt.set(instanceId, at)
      wholes.set(instanceId, { instanceId, text, atUnixSeconds })
    }
    const cpuSeconds = counted === undefined ? undefined : options.readCpuSeconds(counted.worker)
    if (counted === undefined || cpuSeconds === undefined || !askedAt.has(instanceId)) return
    samples.set(instanceId, { id: instanceId, atSeconds: options.readUptimeSeconds(), ...counted, cpuSeconds })
  }

  return {
    take(subjects) {
      const there = new Set(subjects.map(({ instanceId }) => instanceId))
      for (const id of [...askedAt.keys()]) {
        if (there.has(id)) continue
        askedAt.delete(id)
        samples.delete(id)
        wholeAt.delete(id)
        wholes.delete(id)
      }
      const at = now()
      if (asking !== undefined || at < nextAt) return
      const due = subjects
        .filter(({ instanceId }) => at - (askedAt.get(instanceId) ?? Number.NEGATIVE_INFINITY) >= sampleMilliseconds)
        .toSorted((a, b) => (askedAt.get(a.instanceId) ?? 0) - (askedAt.get(b.instanceId) ?? 0))
        .slice(0, asksMaximum)
      if (due.length === 0) return
      nextAt = at + roundMilliseconds
      for (const { instanceId } of due) askedAt.set(instanceId, at)
      asking = Promise.all(due.map(sample)).finally(() => {
        asking = undefined
      })
    },
    list: () => [...samples.values()],
    takeWhole() {
      const taken = [...wholes.values()]
      wholes = new Map()
      return taken
    },
    async settled() {
      await asking
    },
  }
}

type Counted = Omit<InstanceLoadReport, 'id' | 'atSeconds' | 'cpuSeconds'>

/** Undefined where the answer is not whole, e.g. cut off by a reload. */
export function parseLoad(text: string): Counted | undefined {
  const worker = infoNumber(text, 'Pid')
  const threads = infoNumber(text, 'Nbthread')
  const rows = parseStatistics(text)
  if (!Number.isInteger(worker) || !Number.isInteger(threads) || rows === undefined) return undefined
  const sum = (of: readonly StatisticsRow[], name: string) =>
    of.reduce((total, row) => total + (row.number(name) || 0), 0)
  const frontends = rows.filter(({ proxy, server }) => server === 'FRONTEND' && proxy.startsWith('listener_'))
  const backends = rows.filter(({ server }) => server === 'BACKEND')
  return {
    worker,
    threads,
    // Of tcp there are no requests: each connection is one.
    requests: frontends.reduce((total, row) => total + sum([row], requestsColumn(row)), 0),
    connections: sum(frontends, 'scur'),
    latencyMilliseconds: meanLatency(
      // In the queue, until connected, and until the answer began; of tcp the last is left out.
      backends.map((row) => [sum([row], 'stot'), sum([row], 'qtime') + sum([row], 'ctime') + sum([row], 'rtime')]),
    ),
  }
}

/** Where a frontend counts requests; of tcp each connection is one. */
export const requestsColumn = (row: StatisticsRow) => (row.text('mode') === 'http' ? 'req_tot' : 'stot')

/** Listeners count by how much went through each. */
function meanLatency(backends: readonly (readonly [count: number, latency: number])[]): number {
  const total = backends.reduce((sum, [count]) => sum + count, 0)
  if (total === 0) return 0
  return Math.round((10 * backends.reduce((sum, [count, latency]) => sum + count * latency, 0)) / total) / 10
}
