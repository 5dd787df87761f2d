/**
 * The mass failure breaker: when many hosts fail at the same time it is seldom the hosts, and to replace all that was on
 * them would make bad worse. Pure.
 */

import type { StoredObject } from '../../control-plane/store.ts'
import type { JudgedInstance } from '../../reconcile/judge-instance.ts'
import type { LifeSettings } from './life-settings.ts'
import type { BreakerValue } from './life-values.ts'
import { silentSince, type WitnessTurn } from './testimonies.ts'

export interface FailingHost {
  readonly id: string
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly since: number
}

export const closedBreaker = (now: number): BreakerValue => ({
  status: 'closed',
  reason: 'No hosts fail together.',
  since: new Date(now).toISOString(),
  hostIds: [],
  resetAt: null,
})

export interface BreakerEvidence {
  readonly before: BreakerValue
  readonly failing: readonly FailingHost[]
  /** Of all hosts that have joined. */
  readonly hostCount: number
  readonly settings: Pick<LifeSettings, 'breakerShare' | 'breakerWindowSeconds'>
  readonly now: number
}

/** The very same value where nothing changes. */
export function judgeBreaker({ before, failing, hostCount, settings, now }: BreakerEvidence): BreakerValue {
  const seenUntil = before.resetAt === null ? 0 : Date.parse(before.resetAt)
  const counted = failing.filter(({ since }) => since > seenUntil)
  const isMass = (hosts: readonly FailingHost[]) =>
    hosts.length >= hostsMinimum && hosts.length > settings.breakerShare * hostCount
  const since = new Date(now).toISOString()
  if (before.status === 'open') {
    const still = counted.filter(({ id }) => before.hostIds.includes(id))
    const rest = isMass(counted)
      ? { hostIds: [...new Set([...before.hostIds, ...counted.map(({ id }) => id)])].toSorted() }
      : null
    if (rest !== null) return rest.hostIds.length === before.hostIds.length ? before : { ...before, ...rest }
    return { ...closedBreaker(now), reason: describeRecovery(still), resetAt: before.resetAt }
  }
  const together = findTogether(counted, settings.breakerWindowSeconds * 1000, isMass)
  if (together === null) return before
  const names = together.map(({ name }) => name).toSorted()
  const reason = `${names.join(' and ')}, ${names.length} of ${hostCount} hosts, failed within ${settings.breakerWindowSeconds} s.`
  return { ...before, status: 'open', reason, since, hostIds: together.map(({ id }) => id).toSorted() }
}

const hostsMinimum = 2

const describeRecovery = (still: readonly FailingHost[]) =>
  still.length === 0
    ? 'All hosts that failed have recovered.'
    : `All have recovered but ${still.map(({ name }) => name).join(' and ')}.`

function findTogether(
  failing: readonly FailingHost[],
  windowMilliseconds: number,
  isMass: (hosts: readonly FailingHost[]) => boolean,
): readonly FailingHost[] | null {
  for (const last of failing) {
    const together = failing.filter(({ since }) => since <= last.since && last.since - since <= windowMilliseconds)
    if (isMass(together)) return together
  }
  return null
}

/** Hosts that are silent, and those of whose instances witnesses reach none. */
export function listFailingHosts(
  turn: WitnessTurn,
  judged: ReadonlyMap<string, JudgedInstance>,
): readonly FailingHost[] {
  const instancesOf = Map.groupBy(turn.snapshot.instances.values(), ({ value }) => value.hostId)
  return [...turn.hosts.values()].flatMap((host): FailingHost[] => {
    const { id, name, hearing, status } = host
    if (status === 'awaiting-join') return []
    if (hearing.kind === 'silent') return [{ id, name, since: silentSince(turn.snapshot, host) }]
    const since = severedSince(instancesOf.get(id) ?? [], judged)
    return since === null ? [] : [{ id, name, since }]
  })
}

/** Null: it is not, or nothing on it could tell. Those that have been replaced meanwhile tell it as well. */
function severedSince(
  instances: readonly StoredObject<unknown>[],
  judged: ReadonlyMap<string, JudgedInstance>,
): number | null {
  const present = instances
    .flatMap(({ id }) => judged.get(id) ?? [])
    .filter(({ status }) => status.status !== 'deleting')
  const since = present.flatMap(({ suspicion, status, missed }) => {
    if (suspicion?.cause === 'vipAway' && suspicion.isCondemned) return [Date.parse(suspicion.since)]
    const replaced = status.conditions.find(({ type }) => type === 'replaced')
    return status.status === 'replaced' && missed && replaced !== undefined ? [Date.parse(replaced.changedAt)] : []
  })
  return since.length === 0 || since.length < present.length ? null : Math.min(...since)
}
