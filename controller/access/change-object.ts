/**
 * How a named object changes and goes. With If-Match: on that version or not at all (412 with both). Without: an
 * action, decided again on what is there until it is written. Touches the store.
 */

import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import type { Action, Decision } from '../control-plane/act.ts'
import type { EventDraft, Kind, StoredObject, Write } from '../control-plane/store.ts'
import { findClash } from '../control-plane/writes/find-clash.ts'
import type { ControllerContext, RequestInfo } from '../services.ts'
import { isAlive, nameClaim, reserveName, settle } from './declare-object.ts'
import { refuseNotFound, refuseSameField, refuseStale } from './problems.ts'
import { findReservations, release, releaseReservation } from './reserve.ts'

type AccessContext = Pick<ControllerContext, 'store' | 'actions' | 'now'>
/** What of a request concerns a change; a loop that changes something of its own accord makes one up. */
type ChangeRequest = Pick<RequestInfo, 'expectedVersion' | 'currentVersion' | 'doneAfter' | 'actionId' | 'traceparent'>

export interface ObjectUpdate<Value> {
  readonly kind: Kind<Value>
  readonly id: string
  /** Whose names it shares. Given: when the new value has another `name`, that is taken first and the old one released. */
  readonly scope?: string
  /** Decides on the object as it is; asked again when another was faster, so it changes nothing itself. */
  readonly apply: (current: StoredObject<Value>) => Decision<Value, Problem> | Promise<Decision<Value, Problem>>
}

/**
 * Changes an object that is there. Refuses with what `apply` refuses, `not-found`, `precondition-failed`, `name-taken`
 * or `unavailable`; then nothing is changed. A request changes one object once: its action id is that change's.
 * @example await updateObject(context, { kind: poolKind, id, scope: pool.projectId,
 *   apply: ({ value }) => ({ kind: 'write', value: { ...value, name: input.name ?? value.name }, events: [updated] }) }, request)
 */
export async function updateObject<Value extends object>(
  context: AccessContext,
  update: ObjectUpdate<Value>,
  request: ChangeRequest,
): Promise<Outcome<StoredObject<Value>>> {
  const { kind, id, scope } = update
  /** The name that it had first, and those that were taken for it. */
  const names: string[] = []
  const apply = async (current: StoredObject<Value> | null): Promise<Decision<Value, Problem>> => {
    if (current === null) return refuseDecision(refuseNotFound(kind.name, id))
    const stale = checkVersion(kind.name, current, request)
    if (stale !== null) return stale
    const clash = await findClash(context, kind, current, request, async (base) => {
      const decision = await update.apply(base)
      return decision.kind === 'write' ? { value: decision.value } : null
    })
    if (clash !== null) return refuseDecision(refuseSameField(kind.name, clash))
    const decision = await update.apply(current)
    const name = decision.kind === 'write' && decision.value !== null ? nameOf(decision.value) : undefined
    const oldName = nameOf(current.value)
    if (scope === undefined || name === undefined || name === oldName) return decision
    const reserved = await reserveName(context, kind, id, scope, name)
    if (!reserved.ok) return refuseDecision(reserved)
    if (oldName !== undefined) names.push(oldName)
    names.push(name)
    return decision
  }
  const action: Action<Value, Problem> = { kind, id, apply, ...pickAction(id, request) }
  const settled = await settle(() => context.actions.act(action), kind.name, id)
  if (!settled.ok && !settled.isCertain) return refuse(settled.problem)
  const kept = scope === undefined ? succeed(undefined) : await keepName(context, update, scope, names, request)
  if (!settled.ok) return refuse(settled.problem)
  if (!kept.ok) return kept
  return isAlive(settled.value) ? succeed(settled.value) : refuseNotFound(kind.name, id)
}

export interface ObjectRemoval<Value> {
  readonly kind: Kind<Value>
  readonly id: string
  /** The clients under which it holds reservations, all of which are released: its scope, its project, `system`. */
  readonly scopes: readonly string[]
  /** What goes with it, in the same entity group. */
  readonly beside?: (current: StoredObject<Value>) => readonly Write[] | Promise<readonly Write[]>
  readonly events: (current: StoredObject<Value>) => readonly EventDraft[]
  /** A reason why it can't go, decided on the object as it is. */
  readonly check?: (current: StoredObject<Value>) => Problem | null | Promise<Problem | null>
}

/**
 * Removes an object: a tombstone first, then what it had taken is released; a crash between leaves that to the sweep.
 * Refuses with what `check` says, `not-found`, `precondition-failed` or `unavailable`. A repetition finds it done.
 */
export async function removeObject<Value>(
  context: AccessContext,
  removal: ObjectRemoval<Value>,
  request: ChangeRequest,
): Promise<Outcome<true>> {
  const { kind, id } = removal
  const apply = async (current: StoredObject<Value> | null): Promise<Decision<Value, Problem>> => {
    if (current === null) return refuseDecision(refuseNotFound(kind.name, id))
    const stale = checkVersion(kind.name, current, request)
    if (stale !== null) return stale
    const clash = await findClash(context, kind, current, request, async () => ({ value: null }))
    if (clash !== null) return refuseDecision(refuseSameField(kind.name, clash))
    const problem = (await removal.check?.(current)) ?? null
    if (problem !== null) return { kind: 'refuse', problem }
    const writes = (await removal.beside?.(current)) ?? []
    return { kind: 'write', value: null, writes, events: removal.events(current) }
  }
  const action: Action<Value, Problem> = { kind, id, apply, ...pickAction(id, request) }
  const settled = await settle(() => context.actions.act(action), kind.name, id)
  if (!settled.ok) return refuse(settled.problem)
  await releaseAll(context, id, removal.scopes)
  return succeed(true)
}

/** Releases what an object holds under these clients: what remains when it is gone. */
export async function releaseAll(
  context: Pick<AccessContext, 'store' | 'now'>,
  ownerId: string,
  scopes: readonly string[],
): Promise<void> {
  for (const scope of new Set(scopes)) {
    for (const reservation of findReservations(context, scope, ownerId)) await releaseReservation(context, reservation)
  }
}

/** If-Match, by itself: for services that write in their own way. Null: it holds, or there was none. */
export function checkExpectedVersion(
  noun: string,
  current: Pick<StoredObject<unknown>, 'id' | 'version'>,
  request: Pick<RequestInfo, 'expectedVersion'>,
): Problem | null {
  const { expectedVersion } = request
  if (expectedVersion === undefined || expectedVersion === current.version) return null
  return refuseStale(noun, current.id, expectedVersion, current.version).problem
}

function checkVersion(
  noun: string,
  current: StoredObject<unknown>,
  request: ChangeRequest,
): Extract<Decision<never, Problem>, { kind: 'refuse' }> | null {
  const problem = checkExpectedVersion(noun, current, request)
  return problem === null ? null : { kind: 'refuse', problem }
}

/**
 * Releases the names that the object had or tried, except the one that it has now; makes sure of that one, since a long
 * pause may have let it be swept and taken by another, and goes back to the old name then.
 */
async function keepName<Value extends object>(
  context: AccessContext,
  update: ObjectUpdate<Value>,
  scope: string,
  names: readonly string[],
  request: ChangeRequest,
): Promise<Outcome<undefined>> {
  const { kind, id } = update
  if (names.length === 0) return succeed(undefined)
  const current = await context.store.get(kind, id)
  const name = current === null ? undefined : nameOf(current.value)
  const made = name === undefined ? null : await reserveName(context, kind, id, scope, name)
  const isLost = made !== null && !made.ok && made.problem.code === 'name-taken'
  for (const other of names) if (other !== name && !isLost) await release(context, nameClaim(kind, scope, other), id)
  if (!isLost) return succeed(undefined)
  const [oldName] = names
  const apply = (now: StoredObject<Value> | null): Decision<Value, Problem> =>
    now === null || nameOf(now.value) !== name
      ? { kind: 'keep' }
      : { kind: 'write', value: { ...now.value, name: oldName } }
  const actionId = `${request.actionId}-undo`
  const { traceparent } = request
  await settle(() => context.actions.act({ kind, id, actionId, traceparent, apply }), kind.name, id)
  return made
}

/** What of a request an action on that object takes over. */
export function pickAction(
  id: string,
  { actionId, traceparent, expectedVersion, doneAfter }: ChangeRequest,
): Pick<Action<never, never>, 'actionId' | 'traceparent' | 'isOnStoredVersion' | 'doneAfterVersion'> {
  return {
    actionId,
    traceparent,
    ...(expectedVersion === undefined ? {} : { isOnStoredVersion: true }),
    ...(doneAfter?.id === id ? { doneAfterVersion: doneAfter.version } : {}),
  }
}

const refuseDecision = (refusal: {
  readonly problem: Problem
}): Extract<Decision<never, Problem>, { kind: 'refuse' }> => ({
  kind: 'refuse',
  problem: refusal.problem,
})

function nameOf(value: object): string | undefined {
  return 'name' in value && typeof value.name === 'string' ? value.name : undefined
}
