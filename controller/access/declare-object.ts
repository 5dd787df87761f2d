/**
 * How every named object comes to be: its name, then a unit of quota, then the object itself with its event; each taken
 * idempotently with the object's id as owner, so that a creation cut off anywhere is carried on by its repetition, or
 * swept. How it changes is in `change-object.ts`. Touches the store.
 */

import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import type { QuotaNoun } from '../contract/project.ts'
import type { ActionOutcome, Decision } from '../control-plane/act.ts'
import {
  type EventDraft,
  type Kind,
  OutcomeUnknownError,
  retryAfterSeconds,
  type StoredObject,
  StoreUnavailableError,
  type Write,
} from '../control-plane/store.ts'
import { reservationKind } from '../objects.ts'
import type { ControllerContext, RequestInfo } from '../services.ts'
import { refuseContended, refuseUnavailable, refuseUnknownOutcome, refuseUntold } from './problems.ts'
import { findUnits, readProject, reserveQuota } from './quota.ts'
import { type Claim, type Owner, release, reservationGraceMilliseconds, reservationId, reserve } from './reserve.ts'

export interface Declaration<Value> {
  readonly kind: Kind<Value>
  /** From createObjectId(kind, clientId, request.seed): the same for a repetition. */
  readonly id: string
  /** Whose names it shares: a project's id, a user, or `system`. */
  readonly scope: string
  readonly name: string
  /** Also checks that the project is there. */
  readonly quota?: { readonly noun: QuotaNoun; readonly projectId: string }
  readonly value: Value
  /** Written with it, in the same entity group: status, occupancy. */
  readonly beside?: readonly Write[]
  readonly events: readonly EventDraft[]
  /**
   * Where what is written depends on what else is there (which block of a pool is free): asked at each attempt, once
   * name and quota are taken, and written instead of `value`, `beside` and `events`.
   */
  readonly decide?: () => Outcome<DeclaredContent<Value>> | Promise<Outcome<DeclaredContent<Value>>>
}

export type DeclaredContent<Value> = Pick<Declaration<Value>, 'value' | 'beside' | 'events'>

export type DeclareObject = <Value extends object>(
  context: ControllerContext,
  declaration: Declaration<Value>,
  request: RequestInfo,
) => Promise<Outcome<StoredObject<Value>>>

type AccessContext = Pick<ControllerContext, 'store' | 'actions' | 'now'>

/** How often an action whose outcome nobody could tell is looked at again before the caller is told so. */
const unknownOutcomesMaximum = 3

/**
 * Writes a new object, all or nothing. Refuses with `name-taken`, `quota-exceeded`, `invalid` (no such project) or
 * `unavailable`; then nothing of it stays. A repetition (the same id) answers with the object that is there.
 * @example
 * const id = createObjectId(networkKind, input.projectId, request.seed)
 * await declareObject(context, { kind: networkKind, id, scope: input.projectId, name: input.name,
 *   quota: { noun: 'networks', projectId: input.projectId }, value, events: [created] }, request)
 */
export const declareObject: DeclareObject = async (context, declaration, request) => {
  const { kind, id } = declaration
  const before = await context.store.getOrTombstone(kind, id)
  if (isAlive(before)) return succeed(before)
  if (before !== null) return refuseDeleted(kind, id)
  const beganAt = context.now()
  const taken = await takeAll(context, declaration)
  if (!taken.ok) return taken
  const written = await writeObject(context, declaration, request)
  if (!written.ok) {
    // What may have been written after all keeps what it took, until the sweep can tell.
    if (written.isCertain) await giveBack(context, declaration, taken.value)
    return refuse(written.problem)
  }
  if (!isAlive(written.value)) return refuseDeleted(kind, id)
  if (context.now() - beganAt <= reservationGraceMilliseconds / 2) return succeed(written.value)
  return checkStillTaken(context, declaration, written.value, request)
}

/**
 * Whether memory shows neither the name nor the last unit of quota to be another's. What is taken elsewhere at the same
 * time is taken only then, so that a creation that will be refused leaves no trace; it is no promise.
 */
export async function seemsFree(
  context: Pick<ControllerContext, 'store'>,
  { kind, id, scope, name, quota }: Pick<Declaration<unknown>, 'kind' | 'id' | 'scope' | 'name' | 'quota'>,
): Promise<boolean> {
  const named = await context.store.get(reservationKind, reservationId(nameClaim(kind, scope, name)))
  if (named !== null && named.value.ownerId !== id) return false
  if (quota === undefined) return true
  const project = await readProject(context, quota.projectId)
  return project.ok && findUnits(context, quota.projectId, quota.noun).size < project.value.value.quota[quota.noun]
}

export const nameClaim = (kind: Kind<unknown>, scope: string, name: string): Claim => ({
  clientId: scope,
  words: ['name', kind.name, name],
})

/** Takes a name, or refuses with `name-taken`, naming who has it. */
export async function reserveName(
  context: AccessContext,
  kind: Kind<unknown>,
  id: string,
  scope: string,
  name: string,
): Promise<Outcome<Claim>> {
  const claim = nameClaim(kind, scope, name)
  const outcome = await reserve(context, claim, { kind, id }, { refresh: true })
  switch (outcome.outcome) {
    case 'taken':
      return succeed(claim)
    case 'held':
      return refuse({
        code: 'name-taken',
        title: 'The name is taken',
        detail: `There is a ${kind.name} named '${name}' already: ${outcome.ownerId}.`,
        remedy: `Choose another name, or change or delete ${outcome.ownerId}.`,
        errors: [{ field: 'name', message: `is taken by ${outcome.ownerId}` }],
      })
    case 'unavailable':
      return refuseUnavailable(outcome.reason, outcome.retryAfterSeconds)
    default:
      return outcome satisfies never
  }
}

/** Runs an action to its outcome: what an acknowledgement that got lost leaves open is found out by acting again. */
export async function settle<Value>(
  attempt: () => Promise<ActionOutcome<Value, Problem>>,
  noun: string,
  id: string,
): Promise<Settled<Value>> {
  for (let unknown = 0; unknown < unknownOutcomesMaximum; unknown++) {
    try {
      const outcome = await attempt()
      switch (outcome.outcome) {
        case 'done':
          return { ok: true, value: outcome.object }
        case 'refused':
          return { ok: false, problem: outcome.problem, isCertain: true }
        case 'contended':
          return { ...refuseContended(noun, id, outcome.clash), isCertain: true }
        case 'untold':
          return { ...refuseUntold(noun, id, outcome.clash), isCertain: false }
        case 'unavailable':
          return { ...refuseUnavailable(outcome.reason, outcome.retryAfterSeconds), isCertain: unknown === 0 }
        default:
          outcome satisfies never
      }
    } catch (cause) {
      if (!(cause instanceof OutcomeUnknownError)) throw cause
    }
  }
  return { ...refuseUnknownOutcome(retryAfterSeconds), isCertain: false }
}

export const isAlive = <Value>(object: StoredObject<Value | null> | null): object is StoredObject<Value> =>
  object !== null && object.value !== null

export type Settled<Value> =
  | { readonly ok: true; readonly value: StoredObject<Value | null> | null }
  | { readonly ok: false; readonly problem: Problem; readonly isCertain: boolean }

const refuseDeleted = (kind: Kind<unknown>, id: string) =>
  refuse({
    code: 'conflict',
    title: 'It has been deleted',
    detail: `This request made ${kind.name} ${id}, which has been deleted since.`,
    remedy: 'Send another Idempotency-Key to make a new one.',
  })

/** The name, and a unit of quota; what was taken goes back when the rest can't be had. */
async function takeAll(context: AccessContext, declaration: Declaration<unknown>): Promise<Outcome<readonly Claim[]>> {
  const { kind, id, scope, name, quota } = declaration
  // Both at once: each is a durable write, and a creation waits for them.
  const [named, unit] = await Promise.all([
    reserveName(context, kind, id, scope, name),
    quota === undefined ? null : reserveQuota(context, { kind, id }, quota),
  ])
  if (!named.ok) {
    if (unit?.ok === true) await release(context, unit.value, id)
    return named
  }
  if (unit === null) return succeed([named.value])
  if (unit.ok) return succeed([named.value, unit.value])
  await release(context, named.value, id)
  return unit
}

async function writeObject<Value>(
  context: AccessContext,
  declaration: Declaration<Value>,
  request: RequestInfo,
): Promise<Settled<Value>> {
  const { kind, id } = declaration
  const { actionId, traceparent } = request
  const decideOnce = async (current: StoredObject<Value> | null): Promise<Decision<Value, Problem>> => {
    if (current !== null) return { kind: 'keep' }
    const content = declaration.decide === undefined ? succeed(declaration) : await declaration.decide()
    if (!content.ok) return { kind: 'refuse', problem: content.problem }
    const { value, beside, events } = content.value
    return { kind: 'write', value, writes: beside ?? [], events }
  }
  const action = { kind, id, actionId, traceparent, apply: decideOnce }
  return settle(() => context.actions.act(action), kind.name, id)
}

/** A repetition may have written the object meanwhile: then everything stays as it is. */
async function giveBack(context: AccessContext, owner: Owner, claims: readonly Claim[]): Promise<void> {
  try {
    if ((await context.store.get(owner.kind, owner.id, { latest: true })) !== null) return
    for (const claim of claims) await release(context, claim, owner.id)
  } catch (cause) {
    if (!(cause instanceof StoreUnavailableError)) throw cause
  }
}

/**
 * After a pause longer than the grace what was taken may have been swept, and the name be another's: then this object,
 * which is written and whole, bears a part of its id in its name.
 */
async function checkStillTaken<Value extends object>(
  context: AccessContext,
  declaration: Declaration<Value>,
  object: StoredObject<Value>,
  request: RequestInfo,
): Promise<Outcome<StoredObject<Value>>> {
  const { kind, id } = declaration
  const taken = await takeAll(context, declaration)
  if (taken.ok || taken.problem.code !== 'name-taken') return succeed(object)
  const name = `${declaration.name.slice(0, 100)} ${id.slice(-8)}`
  // Without a unit of quota, if there is none left: the object is one too many until another goes.
  await takeAll(context, { ...declaration, name })
  const { traceparent } = request
  const apply = (current: StoredObject<Value> | null): Decision<Value, Problem> =>
    current === null ? { kind: 'keep' } : { kind: 'write', value: { ...current.value, name } }
  const action = { kind, id, actionId: `${request.actionId}-rename`, traceparent, apply }
  const renamed = await settle(() => context.actions.act(action), kind.name, id)
  if (!renamed.ok) return refuse(renamed.problem)
  return isAlive(renamed.value) ? succeed(renamed.value) : refuseDeleted(kind, id)
}
