/** What hosts reported last, in memory: fed by the bus, read by plans and views. */

import type { HostReport } from '../../agent/contract/host-report.ts'

export interface ObservedHost {
  readonly report: HostReport
  /** When it came in, by this controller's clock, milliseconds since the epoch. */
  readonly receivedAt: number
}

export interface ObservedHosts {
  /** By the host's name. Undefined: has not reported since this controller began. */
  get(host: string): ObservedHost | undefined
  all(): ReadonlyMap<string, ObservedHost>
  /** Since when reports can have been received: nothing is called silent before a full period has passed. */
  readonly listeningSince: number
  subscribe(listener: (host: string) => void): () => void
}
