/** What hosts reported last, in memory: fed by the bus, read by plans and views. */

import * as v from 'valibot'
import { type HostReport, hostReportSchema } from '../../agent/contract/host-report.ts'
import { createLoadWindows, type LoadWindows } from './load-windows.ts'

export interface ObservedHost {
  readonly report: HostReport
  /** When it came in, by this controller's clock, milliseconds since the epoch. */
  readonly receivedAt: number
}

export interface ObservedHosts {
  /** By the host's name. Undefined: has not reported since this controller began. */
  get(host: string): ObservedHost | undefined
  all(): ReadonlyMap<string, ObservedHost>
  /** How much instances had to do of late. */
  readonly loads: Pick<LoadWindows, 'read'>
  /** Since when reports can have been received: nothing is called silent before a full period has passed. */
  readonly listeningSince: number
  /** Calls back when what a host says has changed; a report that says the same again is not told. */
  subscribe(listener: (host: string) => void): () => void
}

export interface ReportInbox extends ObservedHosts {
  /** Takes in a report as it came. Returns what was wrong with it, if anything. */
  accept(host: string, payload: Uint8Array | string): string | null
  /** Whether reports can come in at all: while they can't, no host counts as silent. */
  setListening(isListening: boolean): void
  /** Whoever stood still has heard nothing meanwhile: a full period begins. */
  beginAnew(): void
}

/** @param options.now milliseconds since the epoch */
export function createObservedHosts(options: { readonly now: () => number }): ReportInbox {
  const { now } = options
  const hosts = new Map<string, ObservedHost>()
  const raws = new Map<string, RawReport>()
  const loads = createLoadWindows()
  const listeners = new Set<(host: string) => void>()
  let isListening = true
  let listeningSince = now()

  return {
    get: (host) => hosts.get(host),
    all: () => hosts,
    loads,
    get listeningSince() {
      return isListening ? listeningSince : now()
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    setListening(next) {
      if (next && !isListening) listeningSince = now()
      isListening = next
    },
    beginAnew() {
      listeningSince = now()
    },
    accept(host, payload) {
      const raw = parseJson(payload)
      if (raw === null) return 'it is not a JSON object'
      const before = hosts.get(host)
      const rawBefore = raws.get(host)
      const isSame = rawBefore !== undefined && before !== undefined && saysTheSame(raw, rawBefore)
      const parsed = v.safeParse(hostReportSchema, isSame ? { ...raw, ...emptyLists } : raw)
      if (!parsed.success) return describeIssues(parsed.issues)
      if (parsed.output.host !== host) return `it says that it is of ${parsed.output.host}`
      const report = isSame ? { ...parsed.output, ...listsOf(before.report) } : parsed.output
      hosts.set(host, { report, receivedAt: now() })
      raws.set(host, raw)
      loads.accept(host, report.loads ?? [], now())
      if (!isSame) for (const listener of [...listeners]) listener(host)
      return null
    },
  }
}

type RawReport = Readonly<Record<string, unknown>>

/** What is new with every report, and wakes nobody. */
const volatileFields = ['sequence', 'reportedAt', 'loads', 'points'] as const
/** The long part of a report: what was parsed once is not parsed again while it stays the same. */
const emptyLists = { networks: [], machines: [], instances: [] }
const listsOf = ({ networks, machines, instances }: HostReport) => ({ networks, machines, instances })

function saysTheSame(a: RawReport, b: RawReport): boolean {
  const blank = Object.fromEntries(volatileFields.map((field) => [field, null]))
  return Bun.deepEquals({ ...a, ...blank }, { ...b, ...blank })
}

function parseJson(payload: Uint8Array | string): RawReport | null {
  try {
    const text = typeof payload === 'string' ? payload : new TextDecoder().decode(payload)
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as RawReport) : null
  } catch {
    return null
  }
}

function describeIssues(issues: readonly v.BaseIssue<unknown>[]): string {
  return issues.map((issue) => `${v.getDotPath(issue) ?? 'report'}: ${issue.message}`).join('; ')
}
