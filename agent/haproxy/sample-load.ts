/**
 * Asks each instance's haproxy now and then how much it has to do, and keeps the answer for the report. A few at a time,
 * so that what it costs does not grow with the number of instances. Changes nothing, and holds no turn up.
 */

import type { InstanceLoadReport } from '../contract/host-report.ts'
import type { AskHaproxy } from '../operations/haproxy-socket.ts'

export interface LoadSubject {
  readonly instanceId: string
  readonly statsSocket: string
}

export interface LoadSampler {
  /** Asks those whose turn it is, of the instances that are there; what they answer is in a later report. */
  take(subjects: readonly LoadSubject[]): void
  /** The last sample of each. */
  list(): InstanceLoadReport[]
  /** Resolves when nobody is being asked. */
  settled(): Promise<void>
}

export interface LoadSamplerOptions {
  readonly ask: AskHaproxy
  /** Milliseconds, by a clock that never jumps. */
  readonly now: () => number
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

export function createLoadSampler(options: LoadSamplerOptions): LoadSampler {
  const { ask, now } = options
  const samples = new Map<string, InstanceLoadReport>()
  const askedAt = new Map<string, number>()
  let nextAt = Number.NEGATIVE_INFINITY
  let asking: Promise<unknown> | undefined

  const sample = async ({ instanceId, statsSocket }: LoadSubject) => {
    // Nobody at the socket is for others to explain; what was known of it stays until it is.
    const text = await ask(statsSocket, loadQuestion).catch(() => '')
    const counted = parseLoad(text)
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
    async settled() {
      await asking
    },
  }
}

type Counted = Omit<InstanceLoadReport, 'id' | 'atSeconds' | 'cpuSeconds'>

/** Undefined where the answer is not whole, e.g. cut off by a reload. */
export function parseLoad(text: string): Counted | undefined {
  const worker = Number(/^Pid: (\d+)$/m.exec(text)?.[1])
  const threads = Number(/^Nbthread: (\d+)$/m.exec(text)?.[1])
  const rows = parseStatistics(text)
  if (!Number.isInteger(worker) || !Number.isInteger(threads) || rows === undefined) return undefined
  const number = (row: Row, name: string) => Number(row[name] ?? 0) || 0
  const sum = (of: readonly Row[], name: string) => of.reduce((total, row) => total + number(row, name), 0)
  const frontends = rows.filter((row) => row.svname === 'FRONTEND' && row.pxname?.startsWith('listener_'))
  const backends = rows.filter((row) => row.svname === 'BACKEND')
  return {
    worker,
    threads,
    // Of tcp there are no requests: each connection is one.
    requests: frontends.reduce((total, row) => total + number(row, row.mode === 'http' ? 'req_tot' : 'stot'), 0),
    connections: sum(frontends, 'scur'),
    latencyMilliseconds: meanLatency(backends.map((row) => [sum([row], 'stot'), latencyOf(row, number)])),
  }
}

type Row = Readonly<Record<string, string>>

/** In the queue, until connected, and until the answer began; of tcp the last is left out. */
const latencyOf = (row: Row, number: (row: Row, name: string) => number) =>
  number(row, 'qtime') + number(row, 'ctime') + number(row, 'rtime')

/** Listeners count by how much went through each. */
function meanLatency(backends: readonly (readonly [count: number, latency: number])[]): number {
  const total = backends.reduce((sum, [count]) => sum + count, 0)
  if (total === 0) return 0
  return Math.round((10 * backends.reduce((sum, [count, latency]) => sum + count * latency, 0)) / total) / 10
}

function parseStatistics(text: string): readonly Row[] | undefined {
  const start = text.indexOf('# pxname,')
  if (start === -1) return undefined
  const [header = '', ...lines] = text.slice(start + 2).split('\n')
  const names = header.split(',')
  return lines
    .filter((line) => line.includes(','))
    .map((line) => {
      const cells = line.split(',')
      return Object.fromEntries(names.map((name, i) => [name, cells[i] ?? '']))
    })
}
