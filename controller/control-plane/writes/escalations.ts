/**
 * Changes that wait for a person: shown with all that is needed to decide, then made after all, made with other values,
 * or given up. Touches the store.
 */

import { refuseNotFound } from '../../access/problems.ts'
import { maySee } from '../../access/view.ts'
import type { Page } from '../../contract/common.ts'
import type { Escalation, EscalationEdit, PendingAction } from '../../contract/escalation.ts'
import { type Outcome, type Problem, refuse, succeed } from '../../contract/problem.ts'
import type { ListQuery, RequestInfo } from '../../services.ts'
import type { Actions, Decision } from '../act.ts'
import { listLimitDefault, type Store, type StoredObject } from '../store.ts'
import { describeEscalated, restoreAction } from './describe-action.ts'
import { type EscalationValue, escalationKind, type PendingActionValue, pendingActionKind } from './kept-kinds.ts'
import type { ControlPlaneAction, Run } from './perform-action.ts'

export interface EscalationService {
  list(query: ListQuery, request: RequestInfo): Promise<Outcome<Page<Escalation>>>
  show(id: string, request: RequestInfo): Promise<Outcome<Escalation>>
  /** Makes the change on what is there now. Refused: it stays open. */
  retry(id: string, request: RequestInfo): Promise<Outcome<Escalation>>
  /** Makes it with other values. */
  edit(id: string, edit: EscalationEdit, request: RequestInfo): Promise<Outcome<Escalation>>
  discard(id: string, request: RequestInfo): Promise<Outcome<Escalation>>
  showAction(id: string, request: RequestInfo): Promise<Outcome<PendingAction>>
}

type StoredEscalation = StoredObject<EscalationValue>
type Resolution = NonNullable<Escalation['resolution']>

export interface EscalationMeans {
  readonly store: Store
  readonly actions: Actions
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly run: Run<{ readonly version?: number }>
}

export function createEscalations(means: EscalationMeans): EscalationService {
  const { store } = means

  async function find(id: string, { caller }: RequestInfo): Promise<Outcome<StoredEscalation>> {
    const found = await store.get(escalationKind, id, { latest: true })
    return found === null || !maySee(caller, found.value.projectId) ? refuseNotFound('escalation', id) : succeed(found)
  }

  async function makeAnyway(
    id: string,
    request: RequestInfo,
    kind: 'retried' | 'edited',
    change: (action: ControlPlaneAction) => ControlPlaneAction,
  ): Promise<Outcome<Escalation>> {
    const found = await find(id, request)
    if (!found.ok) return found
    const escalation = found.value
    if (escalation.value.status !== 'open') return refuseResolved(escalation)
    // Who decides has seen what is there now: the version that it was decided on at first counts no more.
    const { currentVersion: _, ...action } = change(restoreAction(escalation))
    const { seed } = escalation.value.request
    const own: RequestInfo = {
      caller: request.caller,
      traceparent: request.traceparent,
      seed,
      actionId: `${id} ${kind} ${fingerprint(action.payload.body)}`,
    }
    const made = await means.run(action, own)
    if (made.ok) return resolve(escalation, request, kind, made.value.version ?? null)
    const { clash } = made.problem
    return clash === undefined ? made : refuse(describeEscalated(clash, id))
  }

  async function resolve(
    escalation: StoredEscalation,
    request: RequestInfo,
    kind: Resolution['kind'],
    version: number | null,
  ): Promise<Outcome<Escalation>> {
    const { id } = escalation
    const by = request.caller.tokenId
    const resolution: Resolution = { kind, by, at: new Date(means.now()).toISOString(), version }
    const apply = (current: StoredEscalation | null): Decision<EscalationValue, Problem> => {
      if (current === null) return { kind: 'refuse', problem: refuseNotFound('escalation', id).problem }
      if (current.value.status !== 'open') return { kind: 'refuse', problem: refuseResolved(current).problem }
      const { clash, action, projectId } = current.value
      const data = {
        actionType: action.actionType,
        kind: clash.kind,
        objectId: clash.id,
        resolution: kind,
        by,
        version,
      }
      const event = { type: 'escalation.resolved', projectId, subject: id, data }
      return { kind: 'write', value: { ...current.value, status: 'resolved', resolution }, events: [event] }
    }
    const { actionId, traceparent } = request
    const outcome = await means.actions.act({ kind: escalationKind, id, actionId, traceparent, apply })
    switch (outcome.outcome) {
      case 'done':
        return show(id, request)
      case 'refused':
        return refuse(outcome.problem)
      case 'contended':
      case 'untold':
      case 'unavailable':
        return refuse({
          code: 'unavailable',
          title: 'The decision is not recorded yet',
          detail: 'The store could not be written.',
          remedy: 'Ask again: a change that is made already is not made twice.',
          retryAfterSeconds: 1,
        })
      default:
        return outcome satisfies never
    }
  }

  async function show(id: string, request: RequestInfo): Promise<Outcome<Escalation>> {
    const found = await find(id, request)
    return found.ok ? succeed(viewEscalation(found.value)) : found
  }

  return {
    show,
    async list({ projectId, status, after, limit = listLimitDefault }, { caller }) {
      const wanted = caller.scope === 'admin' ? projectId : (caller.projectId ?? '')
      const all = store
        .snapshot(escalationKind)
        .filter(({ value }) => wanted === undefined || value.projectId === wanted)
        .filter(({ value }) => status === undefined || value.status === status)
        .filter(({ id }) => after === undefined || id > after)
      const items = all.slice(0, limit).map(viewEscalation)
      return succeed({ items, next: all.length > limit ? (items.at(-1)?.id ?? null) : null })
    },
    retry: (id, request) => makeAnyway(id, request, 'retried', (action) => action),
    edit: (id, { body }, request) =>
      makeAnyway(id, request, 'edited', (action) => {
        const before = action.payload.body
        const merged = typeof before === 'object' && before !== null ? { ...before, ...body } : body
        return { ...action, payload: { ...action.payload, body: merged } }
      }),
    async discard(id, request) {
      const found = await find(id, request)
      return found.ok ? resolve(found.value, request, 'discarded', null) : found
    },
    async showAction(id, { caller }) {
      const found = await store.get(pendingActionKind, id, { latest: true })
      if (found === null || !maySee(caller, found.value.projectId)) return refuseNotFound('action', id)
      return succeed(viewPending(found))
    },
  }
}

export function viewPending({ id, shardKey, version, value, createdAt, updatedAt }: StoredObject<PendingActionValue>) {
  const { projectId, status, action, problem, escalationId } = value
  return { id, projectId, shardKey, version, status, action, problem, escalationId, createdAt, updatedAt }
}

function viewEscalation({ id, shardKey, version, value, createdAt, updatedAt }: StoredEscalation): Escalation {
  const { projectId, status, action, clash, request, resolution } = value
  const raisedBy = request.caller.tokenId
  const about = { id, projectId, shardKey, version, status, action, raisedBy, raisedAt: createdAt }
  return { ...about, clash: { ...clash, differences: [...clash.differences] }, resolution, updatedAt }
}

const refuseResolved = ({ id, value: { resolution } }: StoredEscalation) =>
  refuse({
    code: 'conflict',
    title: 'It is decided already',
    detail: `Escalation ${id} was ${resolution?.kind} by ${resolution?.by} at ${resolution?.at}.`,
    remedy: 'Make the change anew if it is still wanted.',
  })

/** The same change is made once, however often it is asked for; another one is another. */
const fingerprint = (body: unknown) =>
  new Bun.CryptoHasher('sha256')
    .update(JSON.stringify(body ?? null))
    .digest('hex')
    .slice(0, 16)
