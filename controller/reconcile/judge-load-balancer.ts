/** A balancer's status, as it follows from its instances. Pure. */

import type { StoredObject } from '../control-plane/store.ts'
import { endpointOf, isNamed } from '../load-balancing/members.ts'
import type {
  LoadBalancerSlotsValue,
  LoadBalancerStatusValue,
  LoadBalancerValue,
  MemberValue,
  RecordedMemberStatus,
} from '../objects.ts'
import { isHeardOf, mergeMembers } from '../observed/merge-members.ts'
import { type ConditionDraft, stampConditions } from './conditions.ts'
import type { JudgedInstance } from './judge-instance.ts'

export interface LoadBalancerEvidence {
  readonly loadBalancer: StoredObject<LoadBalancerValue>
  readonly before: LoadBalancerStatusValue | null
  /** Those that are to stay. */
  readonly slots: LoadBalancerSlotsValue['slots']
  readonly wantedCount: number
  /** By instance id. */
  readonly instances: ReadonlyMap<string, JudgedInstance>
  /** Why an instance that is missing can't be placed; undefined: it is about to be. */
  readonly obstacle: string | undefined
  /** Of the instances that are still to go when it is being deleted, why. */
  readonly leaving: readonly string[]
  /** Milliseconds since the epoch. */
  readonly now: number
}

export function judgeLoadBalancer(evidence: LoadBalancerEvidence): LoadBalancerStatusValue {
  const { loadBalancer, slots, instances, now } = evidence
  const before = evidence.before ?? { status: 'provisioning', conditions: [], observedGeneration: 0 }
  const judged = slots.map(({ vip, instanceId, former }) => ({
    vip,
    instance: instances.get(instanceId ?? ''),
    former: instances.get(former?.instanceId ?? ''),
  }))
  if (loadBalancer.value.deletingSince === undefined && judged.some(({ instance }) => instance?.unknown === true)) {
    return before
  }
  const verdict = decide(evidence, before, judged)
  const [draining, staying] = partition(loadBalancer.value.members, (member) => member.draining === true)
  const reports = judged.flatMap(({ instance, former }) => [instance?.report ?? [], former?.report ?? []].flat())
  const known = before.members ?? {}
  const members = mergeMembers(
    staying.map(({ id }) => id),
    reports,
    known,
  )
  const isCurrent = judged.every(({ instance }) => instance?.current === true)
  const leaving = draining.map(({ id }) => {
    const isOver = isHeardOf(id, reports) ? false : isCurrent || known[id] === 'drained'
    return [id, isOver ? 'drained' : 'draining'] as const
  })
  const conditions = [
    verdict.condition,
    describeMembers(members),
    ...describeNames(staying, loadBalancer.value.trafficType, members),
  ]
  return {
    status: verdict.status,
    conditions: stampConditions(conditions, before.conditions, now),
    observedGeneration: verdict.settled ? loadBalancer.version : before.observedGeneration,
    members: { ...members, ...Object.fromEntries(leaving) },
    ...keepWholeCount(verdict.settled ? slots.length : before.wholeCount),
  }
}

const keepWholeCount = (wholeCount: number | undefined) => (wholeCount === undefined ? {} : { wholeCount })

function partition<Item>(items: readonly Item[], belongs: (item: Item) => boolean): [Item[], Item[]] {
  return [items.filter(belongs), items.filter((item) => !belongs(item))]
}

/** Only where members are followed by their names: nobody else has this to worry about. */
function describeNames(
  members: readonly MemberValue[],
  trafficType: LoadBalancerValue['trafficType'],
  statuses: Readonly<Record<string, RecordedMemberStatus>>,
): ConditionDraft[] {
  const named = members.flatMap((member) => {
    const endpoint = endpointOf(member, trafficType, () => undefined)
    return endpoint !== null && isNamed(endpoint) ? [{ id: member.id, host: endpoint.address }] : []
  })
  if (named.length === 0) return []
  const lost = named.filter(({ id }) => statuses[id] === 'unresolved').map(({ host }) => host)
  const type = 'members-resolved'
  if (lost.length === 0) return [{ type, status: 'true', reason: 'all', message: 'Every name has an address.' }]
  const message = `${lost.join(', ')} ${lost.length === 1 ? 'has' : 'have'} no address, as the project's DNS answers.`
  return [{ type, status: 'false', reason: 'nameNotFound', message }]
}

interface Judged {
  readonly vip: string
  readonly instance: JudgedInstance | undefined
  /** It serves as well until it is decided which of the two stays. */
  readonly former: JudgedInstance | undefined
}

interface Verdict {
  readonly status: LoadBalancerStatusValue['status']
  readonly condition: ConditionDraft
  /** Every instance serves what is wanted now. */
  readonly settled: boolean
}

function decide(evidence: LoadBalancerEvidence, before: LoadBalancerStatusValue, judged: readonly Judged[]): Verdict {
  const { loadBalancer, wantedCount, leaving } = evidence
  const { value, version } = loadBalancer
  if (value.deletingSince !== undefined) {
    return verdict('deleting', 'false', 'deleting', leaving.join(' ') || 'What it holds is being given back.')
  }
  const serving = judged.filter(({ instance, former }) => instance?.serving === true || former?.serving === true)
  const troubles = listTroubles(judged, wantedCount, evidence.obstacle)
  const away = serving.filter(
    ({ vip, instance, former }) => ![instance, former].some((one) => one?.report?.heldVips.includes(vip) === true),
  )
  const isWhole = judged.length >= wantedCount && serving.length === judged.length
  if (isWhole && troubles.length === 0 && away.length === 0) {
    if (judged.every(({ instance }) => instance?.current === true)) {
      return { ...verdict('active', 'true', 'serving', 'Every instance serves.'), settled: true }
    }
    // What serves is not called into question by a change around it; only its own change begins anew.
    if (before.status === 'active' && before.observedGeneration === version) {
      return verdict('active', 'true', 'serving', 'Every instance serves.')
    }
  }
  const hasSettled = before.observedGeneration === version
  if (troubles.length === 0 && !hasSettled) {
    return verdict('provisioning', 'false', 'applying', 'Its hosts are making what is wanted.')
  }
  // What served with fewer serves as well as before while more are on their way.
  const isGrowing = before.status === 'active' && before.wholeCount !== undefined && before.wholeCount < wantedCount
  if (isGrowing && troubles.length === 0 && serving.length >= before.wholeCount) {
    return verdict('active', 'true', 'scaling', `${serving.length} of ${wantedCount} instances serve; more are coming.`)
  }
  const reason = [
    ...troubles,
    ...away.map(({ vip }) => `${vip} is not served by its own instance.`),
    ...(troubles.length === 0 && away.length === 0 ? ['An instance does not serve yet.'] : []),
  ].join(' ')
  return serving.length > 0
    ? verdict('degraded', 'false', 'instancesMissing', reason)
    : verdict('failed', 'false', 'noInstance', reason)
}

function listTroubles(judged: readonly Judged[], wantedCount: number, obstacle: string | undefined): readonly string[] {
  const missing = wantedCount - judged.filter(({ instance }) => instance !== undefined).length
  return [
    ...judged.flatMap(({ instance }) => (instance?.trouble === undefined ? [] : [instance.trouble])),
    ...(missing > 0 && obstacle !== undefined
      ? [`${missing} of ${wantedCount} instances are missing: ${obstacle}.`]
      : []),
  ]
}

function describeMembers(members: Readonly<Record<string, RecordedMemberStatus>>): ConditionDraft {
  const statuses = Object.values(members)
  const count = (status: RecordedMemberStatus) => statuses.filter((candidate) => candidate === status).length
  const healthy = count('healthy')
  const type = 'members-healthy'
  if (healthy === statuses.length) return { type, status: 'true', reason: 'all', message: 'All members are healthy.' }
  const message = `${healthy} of ${statuses.length} members are healthy, ${count('unhealthy')} unhealthy, ${count('draining')} draining.`
  if (count('unknown') === statuses.length) return { type, status: 'unknown', reason: 'notChecked', message }
  return { type, status: 'false', reason: healthy === 0 ? 'none' : 'some', message }
}

const verdict = (
  status: LoadBalancerStatusValue['status'],
  ready: ConditionDraft['status'],
  reason: string,
  message: string,
): Verdict => ({ status, condition: { type: 'ready', status: ready, reason, message }, settled: false })
