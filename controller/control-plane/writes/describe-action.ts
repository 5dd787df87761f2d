/** Actions as they are kept, and what is said of those that a person has to decide about. Pure. */

import type { Clash, OriginalAction } from '../../contract/escalation.ts'
import type { Problem } from '../../contract/problem.ts'
import type { KeptRequest, PendingActionValue } from './kept-kinds.ts'
import type { ControlPlaneAction } from './perform-action.ts'

export function describeEscalated(clash: Clash, escalationId: string): Problem {
  const fields = clash.differences.map(({ field }) => field)
  const differing = fields.length === 0 ? '' : ` They differ in ${fields.slice(0, 10).join(', ')}.`
  return {
    code: 'escalated',
    title: 'A person has to decide',
    detail: `${sentences[clash.reason]} The ${clash.kind} ${clash.id} is at version ${clash.latestVersion ?? 'none'}, and the change was decided on version ${clash.baseVersion ?? 'none'}.${differing}`,
    remedy: `See GET /v1/escalations/${escalationId}; then retry, edit or discard it there, or by \`sluice escalation\`.`,
    escalationId,
  }
}

const sentences: Readonly<Record<Clash['reason'], string>> = {
  contended: 'Others were faster each time that the change was tried; it is not made.',
  sameField: 'Somebody else changed the same; the change is not made.',
  forgotten: 'The version that the change was decided on is not kept any more; it is not made.',
  untold: 'It can not be told whether the change is made: another controller may have made it, or may make it yet.',
  notAskedFor: 'It would destroy or replace what nobody has asked for; it is not done.',
}

export const describeAction = ({
  actionType,
  dataType,
  payload,
  currentVersion,
}: ControlPlaneAction): OriginalAction => ({
  actionType,
  dataType,
  payload,
  currentVersion: currentVersion ?? null,
})

export function restoreAction({
  id,
  value: { action, projectId },
}: {
  readonly id: string
  readonly value: Pick<PendingActionValue, 'action' | 'projectId'>
}): ControlPlaneAction {
  const { currentVersion, ...rest } = action
  // Any id of a client's leads to its place on the ring.
  return { ...rest, clientId: projectId ?? id, ...(currentVersion === null ? {} : { currentVersion }) }
}

export function pickRequest(request: KeptRequest): KeptRequest {
  const { caller, traceparent, actionId, seed, expectedVersion, doneAfter } = request
  return {
    caller,
    traceparent,
    actionId,
    seed,
    ...(expectedVersion === undefined ? {} : { expectedVersion }),
    ...(doneAfter === undefined ? {} : { doneAfter }),
  }
}

export function projectOf(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || !('projectId' in value)) return null
  return typeof value.projectId === 'string' ? value.projectId : null
}
