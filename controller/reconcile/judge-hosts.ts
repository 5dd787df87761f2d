/** Whether hosts are heard of. Pure: the time and what was heard come as arguments. */

import type { HostReport } from '../../agent/contract/host-report.ts'
import { silentAfterSeconds } from '../../agent/contract/subjects.ts'
import type { StoredObject } from '../control-plane/store.ts'
import type { HostStatusValue, HostValue } from '../objects.ts'
import type { ObservedHosts } from '../observed/observed-hosts.ts'
import type { Snapshot } from './snapshot.ts'

/** What a turn knows of hosts' reports. */
export type Observed = Pick<ObservedHosts, 'get' | 'listeningSince'>

/** How a host is heard: `unheard` has not been listened to for long enough to tell. */
export type Hearing =
  | { readonly kind: 'heard'; readonly report: HostReport }
  | { readonly kind: 'unheard' }
  /** `since`: when it was last heard, or listening began; RFC 3339. */
  | { readonly kind: 'silent'; readonly since: string }
  /** It has been deleted. */
  | { readonly kind: 'gone' }

export interface JudgedHost {
  readonly id: string
  readonly name: string
  readonly hearing: Hearing
  readonly status: HostStatusValue['status']
}

export function judgeHosts(
  snapshot: Pick<Snapshot, 'hosts' | 'hostStatuses'>,
  observed: Observed,
  now: number,
): ReadonlyMap<string, JudgedHost> {
  return new Map(
    [...snapshot.hosts.values()].map((host) => {
      const hearing = hear(host, observed, now)
      const before = snapshot.hostStatuses.get(host.id)?.value.status ?? 'awaiting-join'
      return [host.id, { id: host.id, name: host.value.name, hearing, status: statusOf(host, hearing, before) }]
    }),
  )
}

function hear(host: StoredObject<HostValue>, observed: Observed, now: number): Hearing {
  const last = observed.get(host.value.name)
  const isFresh = (at: number) => now - at <= silentAfterSeconds * 1000
  if (last !== undefined && isFresh(last.receivedAt)) return { kind: 'heard', report: last.report }
  // What was said before nobody listened is neither news nor silence.
  if (isFresh(observed.listeningSince)) return { kind: 'unheard' }
  return { kind: 'silent', since: new Date(Math.max(last?.receivedAt ?? 0, observed.listeningSince)).toISOString() }
}

function statusOf(
  host: StoredObject<HostValue>,
  hearing: Hearing,
  before: HostStatusValue['status'],
): HostStatusValue['status'] {
  if (host.value.joinedAt === null) return 'awaiting-join'
  if (hearing.kind === 'heard') return 'active'
  // One that has joined and never reported is not silent: its agent may be about to start.
  return hearing.kind === 'silent' && before === 'active' ? 'silent' : before
}
