/** What an instance's host makes of it: the status that the operator reads, and what the balancer's own follows from. Pure. */

import type { InstanceReport } from '../../agent/contract/host-report.ts'
import type { Condition } from '../contract/common.ts'
import type { StoredObject } from '../control-plane/store.ts'
import {
  isReached,
  judgeSuspicion,
  type Suspicion,
  type SuspicionCause,
  type Testimonies,
} from '../load-balancing/life/judge-suspicion.ts'
import type { FormerInstance } from '../load-balancing/life/life-values.ts'
import type { InstanceStatusValue, InstanceValue } from '../objects.ts'
import { findInstanceReport } from '../observed/report-index.ts'
import { type ConditionDraft, stampConditions } from './conditions.ts'
import type { Hearing } from './judge-hosts.ts'
import { describeLeaving } from './judge-machine.ts'

export interface InstanceEvidence {
  readonly instance: StoredObject<InstanceValue>
  readonly before: InstanceStatusValue | null
  readonly isLeaving: boolean
  readonly host: string
  readonly hearing: Hearing
  /** The generation of its instructions; undefined: its host has none for it. */
  readonly generation: number | undefined
  /** The VIP whose home it is; undefined: it is none's, as it is on its way out. */
  readonly homeVip: string | undefined
  /** Its VIP is still with the one that hands over to it. */
  readonly isTakingOver: boolean
  /** Why it lost its slot; undefined: it has it. */
  readonly former: FormerInstance | undefined
  /** Its slot is on its way out. */
  readonly isWithdrawn: boolean
  readonly testimonies: Testimonies
  readonly witnessesNeeded: number
  readonly suspectAfterSeconds: number
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface JudgedInstance {
  readonly status: InstanceStatusValue
  /** Its host's word; undefined: none, or too old to count. */
  readonly report: InstanceReport | undefined
  readonly serving: boolean
  /** It serves what is wanted now. */
  readonly current: boolean
  /** What keeps it from serving what is wanted; undefined: nothing, or it only takes its time. */
  readonly trouble: string | undefined
  /** Nothing has been heard yet that would tell. */
  readonly unknown: boolean
  /** It is in trouble that may cost it its slot. */
  readonly suspicion: Suspicion | undefined
  /** Another host reaches it at its own address on the uplink, where any was asked. */
  readonly reached: boolean
  /** Others were asked, and none does. */
  readonly missed: boolean
}

export function judgeInstance(evidence: InstanceEvidence): JudgedInstance {
  const { instance, hearing, generation, now } = evidence
  const before = evidence.before ?? unbegun
  const report = hearing.kind === 'heard' ? findInstanceReport(hearing.report, instance.id) : undefined
  const isAnswered =
    hearing.kind === 'heard' &&
    report !== undefined &&
    generation !== undefined &&
    report.generation >= generation &&
    hearing.report.generation >= generation
  const serving = report?.serving === true
  const current = serving && isAnswered && report.status === 'converged'
  const reached = isReached(evidence.testimonies)
  const missed = !reached && evidence.testimonies.missed.length > 0
  // Nothing new is known: everything stays as it was, what it is suspected of as well.
  if (hearing.kind === 'unheard' && !evidence.isLeaving) {
    const trouble = before.status === 'suspect' ? before.conditions[0]?.message : undefined
    return { status: before, report, serving, current, trouble, unknown: true, suspicion: undefined, reached, missed }
  }
  const verdict = decide(evidence, before, report, isAnswered)
  const suspicion = suspect(evidence, before, verdict, report)
  const conditions = [
    ...stampConditions([verdict.condition], before.conditions, now),
    ...(suspicion?.conditions ?? []),
    ...describeReplaced(evidence),
  ]
  const observedGeneration = current ? instance.version : before.observedGeneration
  return {
    status: { status: chooseStatus(evidence, before, verdict, report, suspicion), conditions, observedGeneration },
    report,
    serving,
    current,
    trouble: verdict.trouble ? verdict.condition.message : undefined,
    unknown: hearing.kind === 'unheard',
    suspicion,
    reached,
    missed,
  }
}

const unbegun: InstanceStatusValue = { status: 'placing', conditions: [], observedGeneration: 0 }

/** Who has lost its slot, or is to lose it, has nothing left to be suspected for. */
function suspect(
  { instance, isLeaving, former, isWithdrawn, hearing, host, homeVip, ...evidence }: InstanceEvidence,
  before: InstanceStatusValue,
  verdict: Verdict,
  report: InstanceReport | undefined,
): Suspicion | undefined {
  if (isLeaving || isWithdrawn || former !== undefined || hearing.kind === 'gone') return undefined
  const judge = (cause: SuspicionCause, message: string, beganAt?: string) =>
    judgeSuspicion({
      ...evidence,
      cause,
      message,
      beganAt,
      before: before.conditions,
      uplinkAddress: instance.value.uplinkAddress,
    })
  if (hearing.kind === 'silent') return judge('hostSilent', verdict.condition.message, hearing.since)
  if (verdict.status === 'suspect') return judge('ownWord', verdict.condition.message)
  const isAway = homeVip !== undefined && report?.serving === true && !report.heldVips.includes(homeVip)
  if (!isAway || evidence.isTakingOver || verdict.status !== 'active') return undefined
  return judge('vipAway', `It is said to serve on ${host}, and does not have its VIP ${homeVip}.`)
}

function describeReplaced({ former, instance }: InstanceEvidence): readonly Condition[] {
  if (former === undefined) return []
  const message = {
    suspected: `Another one has slot ${instance.value.slot}; this one has it again if it is healthy before its time is up.`,
    maintenance: `Its host is in maintenance: another one takes slot ${instance.value.slot} over.`,
    recovered: `The one that it replaced in slot ${instance.value.slot} is back.`,
  }[former.why]
  return [{ type: 'replaced', status: 'true', reason: former.why, message, changedAt: former.since }]
}

function chooseStatus(
  { isLeaving, former, isWithdrawn, homeVip }: InstanceEvidence,
  before: InstanceStatusValue,
  verdict: Verdict,
  report: InstanceReport | undefined,
  suspicion: Suspicion | undefined,
): InstanceStatusValue['status'] {
  if (isLeaving) return 'deleting'
  if (former !== undefined) return former.why === 'suspected' ? 'replaced' : 'draining'
  if (isWithdrawn) return 'draining'
  if (suspicion?.isCondemned === true) return 'suspect'
  // It serves before its VIP is on it; who has had it already keeps its name while a neighbour serves the VIP.
  const isNew = before.status !== 'active' && before.status !== 'suspect'
  const isAway = homeVip !== undefined && report?.heldVips.includes(homeVip) !== true
  return verdict.status === 'active' && isNew && isAway ? 'registering' : verdict.status
}

interface Verdict {
  readonly status: InstanceStatusValue['status']
  readonly condition: ConditionDraft
  readonly trouble: boolean
}

function decide(
  evidence: InstanceEvidence,
  before: InstanceStatusValue,
  report: InstanceReport | undefined,
  isAnswered: boolean,
): Verdict {
  const { host, hearing } = evidence
  if (evidence.isLeaving) {
    return { status: 'deleting', condition: describeLeaving(host, hearing), trouble: false }
  }
  switch (hearing.kind) {
    case 'unheard':
      throw new Error('BUG: nothing is judged of a host that was not listened to')
    case 'gone':
      return inTrouble('hostGone', 'Its host has been deleted.')
    case 'silent':
      return inTrouble('hostSilent', `Its host ${host} has been silent since ${hearing.since}.`)
    case 'heard':
      break
    default:
      return hearing satisfies never
  }
  const hasServed = servedStatuses.has(before.status)
  if (report === undefined) {
    if (hasServed) return inTrouble('notReported', `${host} does not report it any more.`)
    if (evidence.generation === undefined)
      return onTheWay('placing', 'waitingForInstructions', `${host} is about to be told.`)
    return onTheWay('provisioning', 'waitingForHost', `${host} has not begun with it.`)
  }
  const failure = report.status === 'failed' ? (report.reason ?? `${host} gives no reason.`) : undefined
  if (report.serving) {
    if (isAnswered && failure !== undefined) return active('false', 'applyFailed', failure, true)
    if (isAnswered && report.status === 'converged') return active('true', 'serving', `It serves on ${host}.`, false)
    if (hasServed) return active('false', 'applying', `${host} is changing it.`, false)
    return onTheWay('configuring', 'applying', `${host} is making it.`)
  }
  const stopped = describeStopped(report, host)
  if (hasServed) return inTrouble('notServing', failure ?? stopped)
  if (failure !== undefined) {
    return { status: 'configuring', condition: ready('false', 'applyFailed', failure), trouble: true }
  }
  return onTheWay('configuring', 'applying', stopped)
}

/** Of those that have served: what stops then is in trouble, and not on its way. */
const servedStatuses: ReadonlySet<InstanceStatusValue['status']> = new Set([
  'active',
  'suspect',
  'replaced',
  'draining',
])

function describeStopped({ haproxy, keepalived }: InstanceReport, host: string): string {
  if (haproxy === 'running' && keepalived === 'running') return `It does not serve yet on ${host}.`
  return `It does not serve on ${host}: haproxy is ${haproxy}, keepalived is ${keepalived}.`
}

const ready = (status: ConditionDraft['status'], reason: string, message: string): ConditionDraft => ({
  type: 'ready',
  status,
  reason,
  message,
})

const active = (status: 'true' | 'false', reason: string, message: string, trouble: boolean): Verdict => ({
  status: 'active',
  condition: ready(status, reason, message),
  trouble,
})

const onTheWay = (status: 'placing' | 'provisioning' | 'configuring', reason: string, message: string): Verdict => ({
  status,
  condition: ready('false', reason, message),
  trouble: false,
})

const inTrouble = (reason: string, message: string): Verdict => ({
  status: 'suspect',
  condition: ready('false', reason, message),
  trouble: true,
})
