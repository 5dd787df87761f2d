/** What a machine's host makes of it, as the status that the operator reads. Pure. */

import type { StoredObject } from '../control-plane/store.ts'
import type { MachineStatusValue, MachineValue } from '../objects.ts'
import { findMachineReport } from '../observed/report-index.ts'
import { type ConditionDraft, stampConditions } from './conditions.ts'
import type { Hearing } from './judge-hosts.ts'

export interface MachineEvidence {
  readonly machine: StoredObject<MachineValue>
  readonly before: MachineStatusValue | null
  readonly host: string
  readonly hearing: Hearing
  /** The generation of its instructions; undefined: its host has none for it. */
  readonly generation: number | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
}

export function judgeMachine(evidence: MachineEvidence): MachineStatusValue {
  const { machine, now } = evidence
  const before = evidence.before ?? { status: 'provisioning', conditions: [], observedGeneration: 0 }
  const verdict = decide(evidence, before)
  if (verdict === null) return before
  return {
    status: verdict.status,
    conditions: stampConditions([verdict.condition], before.conditions, now),
    observedGeneration: verdict.status === 'active' ? machine.version : before.observedGeneration,
  }
}

interface Verdict {
  readonly status: MachineStatusValue['status']
  readonly condition: ConditionDraft
}

/** Null: nothing is known that would change what was known before. */
function decide(evidence: MachineEvidence, before: MachineStatusValue): Verdict | null {
  const { machine, host, hearing, generation } = evidence
  if (machine.value.deletingSince !== undefined)
    return { status: 'deleting', condition: describeLeaving(host, hearing) }
  switch (hearing.kind) {
    case 'unheard':
      return null
    case 'gone':
      return failed('hostGone', 'Its host has been deleted. Delete the machine, and create it on another.')
    case 'silent':
      return failed('hostSilent', `Its host ${host} has been silent since ${hearing.since}; it may still be running.`)
    case 'heard':
      break
    default:
      return hearing satisfies never
  }
  const report = findMachineReport(hearing.report, machine.id)
  const isCurrent =
    report !== undefined &&
    generation !== undefined &&
    report.generation >= generation &&
    hearing.report.generation >= generation
  if (isCurrent && report.status === 'failed') return failed('applyFailed', report.reason ?? `${host} gives no reason.`)
  if (isCurrent && report.status === 'converged') {
    return { status: 'active', condition: ready('true', 'running', `It runs on ${host}.`) }
  }
  // What runs is not called into question by a change around it; only its own change begins anew.
  if (before.status === 'active' && before.observedGeneration === machine.version) return null
  return { status: 'provisioning', condition: ready('false', 'applying', `${host} is making it.`) }
}

/** Why something that is being deleted is still there. */
export function describeLeaving(host: string, hearing: Hearing): ConditionDraft {
  const waiting = { type: 'given-up', status: 'false' } as const
  if (hearing.kind !== 'silent') return { ...waiting, reason: 'waitingForHost', message: `${host} is giving it up.` }
  return {
    ...waiting,
    reason: 'waitingForSilentHost',
    message: `Its host ${host} has been silent since ${hearing.since}: its addresses stay taken until that answers or is deleted.`,
  }
}

const ready = (status: ConditionDraft['status'], reason: string, message: string): ConditionDraft => ({
  type: 'ready',
  status,
  reason,
  message,
})

const failed = (reason: string, message: string): Verdict => ({
  status: 'failed',
  condition: ready('false', reason, message),
})
