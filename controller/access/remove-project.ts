/**
 * How a project goes: only when nothing is left in it, and with its tokens. Whoever removes one marks it first, so that
 * nothing new begins in it meanwhile; a removal that was cut off is finished by the sweep.
 */

import { type Outcome, refuse } from '../contract/problem.ts'
import type { EventDraft, StoredObject } from '../control-plane/store.ts'
import {
  loadBalancerKind,
  machineKind,
  networkKind,
  type ProjectValue,
  poolKind,
  projectKind,
  reservationKind,
  shardKind,
  systemClient,
  tokenKind,
} from '../objects.ts'
import type { ControllerContext, RequestInfo } from '../services.ts'
import { checkExpectedVersion, removeObject, updateObject } from './change-object.ts'
import { createOwnRequest } from './own-request.ts'
import { refuseInUse } from './problems.ts'
import { reservationGraceMilliseconds } from './reserve.ts'

/** Called for each token of a project that goes: it revokes what the token had beyond the store. */
export type RemoveToken = (id: string, request: RequestInfo) => Promise<Outcome<boolean>>

const heldKinds = [poolKind, shardKind, networkKind, machineKind, loadBalancerKind] as const

/** Users share one space of names, with no project's id in it. */
export const scopeOfUser = (user: string): string => `user ${user}`

export const describeProjectEvent = (
  type: 'created' | 'updated' | 'deleted',
  id: string,
  value: ProjectValue,
): EventDraft => ({
  type: `project.${type}`,
  projectId: id,
  subject: id,
  data: { name: value.name, user: value.user },
})

/**
 * Marks the project first: whoever creates something in it takes a reservation and then looks for the mark, so one of
 * both sees the other. What is still in it takes the mark away again.
 */
export async function removeProject(
  context: ControllerContext,
  project: StoredObject<ProjectValue>,
  removeToken: RemoveToken,
  request: RequestInfo,
): Promise<Outcome<boolean>> {
  const { id } = project
  const stale = checkExpectedVersion(projectKind.name, project, request)
  if (stale !== null) return refuse(stale)
  const holdersBefore = findHolders(context, id)
  if (holdersBefore.length > 0) return refuseInUse('project', project.value.name, holdersBefore)
  const mark = { ...request, actionId: `${request.actionId}-mark` }
  const deletingSince = new Date(context.now()).toISOString()
  const marked = await updateObject(
    context,
    { kind: projectKind, id, apply: ({ value }) => ({ kind: 'write', value: { ...value, deletingSince } }) },
    mark,
  )
  if (!marked.ok) return marked
  const holders = findHolders(context, id)
  if (holders.length > 0) {
    await unmark(context, id, request)
    return refuseInUse('project', project.value.name, holders)
  }
  const { expectedVersion: _, ...unconditional } = request
  return finishRemoval(context, project, removeToken, unconditional)
}

/** Finishes what a controller that died has left: a mark that is old. Called by the sweep; never fails. */
export async function resumeProjectRemovals(context: ControllerContext, removeToken: RemoveToken): Promise<void> {
  for (const project of context.store.snapshot(projectKind)) {
    const { id, version, value } = project
    if (value.deletingSince === undefined) continue
    if (context.now() - Date.parse(value.deletingSince) <= reservationGraceMilliseconds) continue
    const request = createOwnRequest(context, `resume ${id} ${version}`)
    const isHeld = findHolders(context, id).length > 0
    const done = isHeld
      ? await unmark(context, id, request)
      : await finishRemoval(context, project, removeToken, request)
    if (!done.ok) context.logger.warn({ id, problem: done.problem }, 'a project is not removed yet')
  }
}

/** A step of the sweep: what it can't do now it says, and the next sweep tries again. */
export async function resume(
  context: Pick<ControllerContext, 'logger'>,
  id: string,
  finish: () => Promise<Outcome<unknown>>,
): Promise<void> {
  try {
    const done = await finish()
    if (!done.ok) context.logger.warn({ id, problem: done.problem }, 'a removal is not finished yet')
  } catch (cause) {
    context.logger.warn({ id, err: cause }, 'a removal could not be finished')
  }
}

/** Its tokens go with it. */
async function finishRemoval(
  context: ControllerContext,
  project: StoredObject<ProjectValue>,
  removeToken: RemoveToken,
  request: RequestInfo,
): Promise<Outcome<boolean>> {
  const { id } = project
  for (const token of context.store.snapshot(tokenKind, id)) {
    if (token.value.projectId !== id) continue
    const removed = await removeToken(token.id, request)
    if (!removed.ok && removed.problem.code !== 'not-found') return removed
  }
  const removal = {
    kind: projectKind,
    id,
    scopes: [scopeOfUser(project.value.user), systemClient, id],
    events: ({ value }: StoredObject<ProjectValue>) => [describeProjectEvent('deleted', id, value)],
  }
  return removeObject(context, removal, request)
}

async function unmark(context: ControllerContext, id: string, request: RequestInfo): Promise<Outcome<unknown>> {
  const apply = ({ value }: StoredObject<ProjectValue>) => {
    const { deletingSince: _, ...kept } = value
    return { kind: 'write', value: kept } as const
  }
  const { traceparent } = request
  return updateObject(
    context,
    { kind: projectKind, id, apply },
    { actionId: `${request.actionId}-unmark`, traceparent },
  )
}

/** What is in a project, in words; also what is about to be, of which only the reservation is there. */
function findHolders(context: ControllerContext, projectId: string): readonly string[] {
  const held = heldKinds.flatMap((kind) =>
    context.store
      .snapshot<{ readonly name: string; readonly projectId: string }>(kind, projectId)
      .filter(({ value }) => value.projectId === projectId)
      .map(({ value }) => `${kind.name} '${value.name}'`),
  )
  if (held.length > 0) return held
  return context.store
    .snapshot(reservationKind, projectId)
    .filter(({ value }) => value.clientId === projectId && value.ownerKind !== tokenKind.name)
    .map(({ value }) => `${value.ownerKind} ${value.ownerId}, which is being created`)
}
