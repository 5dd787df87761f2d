/** What an instance's host makes of it: the status that the operator reads, and what the balancer's own follows from. Pure. */

import type { InstanceReport } from '../../agent/contract/host-report.ts'
import type { StoredObject } from '../control-plane/store.ts'
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
}

export function judgeInstance(evidence: InstanceEvidence): JudgedInstance {
  const { instance, hearing, generation, now } = evidence
  const before = evidence.before ?? { status: 'provisioning', conditions: [], observedGeneration: 0 }
  const report = hearing.kind === 'heard' ? findInstanceReport(hearing.report, instance.id) : undefined
  const isAnswered =
    hearing.kind === 'heard' &&
    report !== undefined &&
    generation !== undefined &&
    report.generation >= generation &&
    hearing.report.generation >= generation
  const verdict = decide(evidence, before, report, isAnswered)
  const serving = report?.serving === true
  const current = serving && isAnswered && report.status === 'converged'
  return {
    status: {
      status: verdict.status,
      conditions: stampConditions([verdict.condition], before.conditions, now),
      observedGeneration: current ? instance.version : before.observedGeneration,
    },
    report,
    serving,
    current,
    trouble: verdict.trouble ? verdict.condition.message : undefined,
    unknown: hearing.kind === 'unheard',
  }
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
      return keep(before)
    case 'gone':
      return suspect('hostGone', 'Its host has been deleted.')
    case 'silent':
      return suspect('hostSilent', `Its host ${host} has been silent since ${hearing.since}.`)
    case 'heard':
      break
    default:
      return hearing satisfies never
  }
  const hasServed = before.status === 'active' || before.status === 'suspect'
  if (report === undefined) {
    if (hasServed) return suspect('notReported', `${host} does not report it any more.`)
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
  if (hasServed) return suspect('notServing', failure ?? stopped)
  if (failure !== undefined) {
    return { status: 'configuring', condition: ready('false', 'applyFailed', failure), trouble: true }
  }
  return onTheWay('configuring', 'applying', stopped)
}

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

const onTheWay = (status: 'provisioning' | 'configuring', reason: string, message: string): Verdict => ({
  status,
  condition: ready('false', reason, message),
  trouble: false,
})

const suspect = (reason: string, message: string): Verdict => ({
  status: 'suspect',
  condition: ready('false', reason, message),
  trouble: true,
})

/** As it was before: nothing new is known. */
function keep(before: InstanceStatusValue): Verdict {
  const [condition] = before.conditions
  const known: ConditionDraft = condition ?? ready('unknown', 'waitingForHost', 'Its host has not been heard of yet.')
  const { type, status, reason, message } = known
  return { status: before.status, condition: { type, status, reason, message }, trouble: before.status === 'suspect' }
}
