/**
 * The one way in for a change. It is done at once where it can be; while others are faster it is reconciled, and whoever
 * asked is told so if that takes long; what can't be done in the end is escalated to a person. Touches the store.
 */

import type { Logger } from 'pino'
import type { Clash, OriginalAction } from '../../contract/escalation.ts'
import { type Outcome, refuse, succeed } from '../../contract/problem.ts'
import type { RequestInfo } from '../../services.ts'
import type { Actions } from '../act.ts'
import { createId, getShardKey, type ShardKey } from '../shard-key.ts'
import {
  type Kind,
  OutcomeUnknownError,
  type Store,
  type StoredObject,
  StoreUnavailableError,
  type Transaction,
  write,
} from '../store.ts'
import { joinClashes } from './clash.ts'
import { versionOf } from './conditional-write.ts'
import { describeAction, describeEscalated, pickRequest, projectOf, restoreAction } from './describe-action.ts'
import { escalationKind, type KeptRequest, type PendingActionValue, pendingActionKind } from './kept-kinds.ts'
import type { OwnerRouting } from './owner-routing.ts'

export interface ControlPlaneAction {
  /** Whose it is: a project's id, the id of any object of its, a user, `system`. */
  readonly clientId: string
  readonly actionType: string
  /** What it touches, by the table of action types: its creation and its deletion meet the same copy. */
  readonly dataType: string
  readonly payload: OriginalAction['payload']
  /** The version that it was decided on. */
  readonly currentVersion?: number
}

export interface ActionType {
  /** What it touches. */
  readonly kind: Kind<unknown>
  /** The parameter that names the object; null: it makes one. */
  readonly parameter: string | null
  /** False: it is never kept, since it has a secret in it or is asked for by nobody who is known. */
  readonly isKept: boolean
}

export type Performed<Answer> =
  | { readonly kind: 'answered'; readonly answer: Answer }
  /** It is kept, and goes on without whoever asked. */
  | { readonly kind: 'reconciling'; readonly pending: StoredObject<PendingActionValue> }

export type Run<Answer> = (action: ControlPlaneAction, request: RequestInfo) => Promise<Outcome<Answer>>

/** An answer tells which version it is of. */
export interface Versioned {
  readonly version?: number
}

export interface PerformMeans<Answer> {
  readonly store: Store
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly random: (bytes: number) => Uint8Array
  /** Left out: nobody is kept waiting, and nobody gives up waiting. */
  readonly sleep?: ((milliseconds: number) => Promise<unknown>) | undefined
  readonly logger: Logger
  readonly types: Readonly<Record<string, ActionType>>
  readonly actions: Pick<Actions, 'isContended' | 'follow'>
  /** Left out: this controller is alone, or shares nothing. */
  readonly owners?: Pick<OwnerRouting<Answer>, 'ask'> | undefined
  /** Does it, as it was asked for. */
  readonly run: Run<Answer>
}

export interface ActionPerformer<Answer> {
  /** @param run does it the first time, where it has been parsed already */
  performControlPlaneAction(
    action: ControlPlaneAction,
    request: RequestInfo,
    run?: () => Promise<Outcome<Answer>>,
  ): Promise<Outcome<Performed<Answer>>>
  /** Carries on what a controller that died had kept, and forgets what is long done. */
  sweep(): Promise<void>
}

/** Whoever asks is told after so long that it is still being made. */
const patienceMilliseconds = 2_000
/** Each of them tries as often as `actionAttemptsMaximum` says. */
const roundsMaximum = 4
const roundWaitMilliseconds = 250
const writesForCertainMaximum = 3
/** Nobody carries it on any more who has not said so for so long. */
export const abandonedMilliseconds = 30_000
/** How long it can be read what became of it. */
export const settledKeptMilliseconds = 3_600_000

export function createActionPerformer<Answer extends Versioned>(means: PerformMeans<Answer>): ActionPerformer<Answer> {
  const { store, actions } = means

  async function performControlPlaneAction(
    action: ControlPlaneAction,
    request: RequestInfo,
    run = () => means.run(action, request),
  ): Promise<Outcome<Performed<Answer>>> {
    const { type, shardKey } = locate(means.types, action)
    const basis = await findBasis(type, action)
    const arrived: Arrived<Answer> = { action, type, shardKey, basis, request, run }
    const running = runOrAsk(arrived)
    // Whoever says that they wait is not told of a change that is still being made.
    const isPatient = !type.isKept || isWaitedFor(action.payload.query)
    const outcome = isPatient ? await running : await waitFor(running)
    const clash = outcome === null || outcome.ok ? undefined : outcome.problem.clash
    if (outcome !== null && (clash === undefined || !type.isKept)) return answer(outcome)
    if (clash !== undefined && clash.reason !== 'contended') return escalate(action, arrived.request, clash, null)
    const pending = await keep(action, arrived.request, basis)
    // What can't be kept has to be waited for.
    if (pending === null) return answer(await running)
    const reconciling = reconcile(pending, running)
    reconciling.catch((cause: unknown) => {
      means.logger.warn({ err: cause, action: pending.id }, 'a change could not be carried on; the sweep will')
    })
    return (isPatient ? await reconciling : await waitFor(reconciling)) ?? succeed({ kind: 'reconciling', pending })
  }

  /** What is contended is left to its owner; whoever gets no answer from there does it here. */
  async function runOrAsk(arrived: Arrived<Answer>): Promise<Outcome<Answer>> {
    const { action, type, shardKey, basis, request, run } = arrived
    const { owners } = means
    // A secret stays here, and so does whoever waits for what hosts make of it.
    const isShared = type.isKept && !isWaitedFor(action.payload.query)
    if (owners === undefined || basis === null || !isShared || !actions.isContended(type.kind, basis.id)) return run()
    actions.follow(type.kind, basis.id, basis.version)
    const inDoubt = { ...request, doneAfter: request.doneAfter ?? basis }
    const reply = await owners.ask(shardKey, action, pickRequest(inDoubt))
    if (reply === null) return run()
    if (reply.kind === 'answered') {
      if (reply.outcome.ok) await catchUp(type.kind, basis.id, reply.outcome.value.version ?? 0)
      return reply.outcome
    }
    arrived.request = inDoubt
    return means.run(action, inDoubt)
  }

  /** Whoever reads here next must see what was answered here. */
  async function catchUp(kind: Kind<unknown>, id: string, version: number): Promise<void> {
    if (versionOf(await store.getOrTombstone(kind, id)) >= version) return
    try {
      await store.getOrTombstone(kind, id, { latest: true })
    } catch (cause) {
      // It is done all the same; nobody can read anything new until there is a leader.
      if (!(cause instanceof StoreUnavailableError)) throw cause
    }
  }

  /** Null: it takes longer than whoever asked is kept waiting. */
  async function waitFor<Value>(working: Promise<Value>): Promise<Value | null> {
    if (means.sleep === undefined) return working
    return Promise.race([working, means.sleep(patienceMilliseconds).then(() => null)])
  }

  /** In no version up to this one has it been done: what a repetition by others must know. */
  async function findBasis(
    type: ActionType,
    action: ControlPlaneAction,
  ): Promise<NonNullable<RequestInfo['doneAfter']> | null> {
    const id = type.parameter === null ? undefined : action.payload.parameters[type.parameter]
    if (id === undefined || !id.startsWith(`${type.kind.prefix}_`)) return null
    return { id, version: versionOf(await store.getOrTombstone(type.kind, id)) }
  }

  async function keep(
    action: ControlPlaneAction,
    request: RequestInfo,
    basis: RequestInfo['doneAfter'] | null,
  ): Promise<StoredObject<PendingActionValue> | null> {
    const projectId = await findProject(action, request)
    const id = createId(pendingActionKind.prefix, projectId ?? 'system', means.now(), means.random)
    const value: PendingActionValue = {
      projectId,
      action: describeAction(action),
      request: pickRequest(request),
      basis: basis ?? null,
      status: 'reconciling',
      problem: null,
      escalationId: null,
      rounds: 0,
    }
    return record(null, id, value)
  }

  /** Writes the next version of what is kept; null: it could not be, or somebody else carries it on. */
  async function record(
    before: StoredObject<PendingActionValue> | null,
    id: string,
    value: PendingActionValue,
  ): Promise<StoredObject<PendingActionValue> | null> {
    try {
      const expect = before?.version ?? 'absent'
      const outcome = await store.transact({ writes: [write({ kind: pendingActionKind, id, expect, value })] })
      if (outcome.outcome !== 'committed') return null
      return (outcome.objects[0] ?? null) as StoredObject<PendingActionValue> | null
    } catch (cause) {
      if (cause instanceof OutcomeUnknownError) return null
      throw cause
    }
  }

  /** Tries again and again, each time saying so; `running` is the try that is under way, if there is one. */
  async function reconcile(
    kept: StoredObject<PendingActionValue>,
    running: Promise<Outcome<Answer>> | null,
  ): Promise<Outcome<Performed<Answer>>> {
    const action = restoreAction(kept)
    let pending = kept
    let outcome = running === null ? null : await running
    let first: Clash | null = outcome === null || outcome.ok ? null : (outcome.problem.clash ?? null)
    for (let round = 1; round <= roundsMaximum; round++) {
      if (outcome !== null && (outcome.ok || outcome.problem.clash?.reason !== 'contended')) break
      const said = await record(pending, pending.id, { ...pending.value, rounds: pending.value.rounds + 1 })
      if (said === null) return succeed({ kind: 'reconciling', pending })
      pending = said
      const [byte = 0] = means.random(1)
      await means.sleep?.((roundWaitMilliseconds * 2 ** round * byte) / 255)
      outcome = await means.run(action, pending.value.request)
      if (!outcome.ok) first ??= outcome.problem.clash ?? null
    }
    if (outcome === null) return succeed({ kind: 'reconciling', pending })
    if (outcome.ok) {
      await record(pending, pending.id, { ...pending.value, status: 'done' })
      return answer(outcome)
    }
    const { clash, code, title, detail } = outcome.problem
    if (clash !== undefined) return escalate(action, pending.value.request, joinClashes(first ?? clash, clash), pending)
    // The store is away for a while: the sweep carries it on.
    if (code === 'unavailable') return answer(outcome)
    await record(pending, pending.id, { ...pending.value, status: 'refused', problem: { code, title, detail } })
    return answer(outcome)
  }

  /** Hands it to a person. What is kept of it says so in the same transaction. */
  async function escalate(
    action: ControlPlaneAction,
    request: KeptRequest,
    found: Clash,
    pending: StoredObject<PendingActionValue> | null,
  ): Promise<Outcome<never>> {
    // Another controller that was asked for it may do it yet.
    const isDoubtful = found.reason === 'contended' && request.doneAfter !== undefined
    const clash: Clash = isDoubtful ? { ...found, reason: 'untold' } : found
    const projectId = pending?.value.projectId ?? (await findProject(action, request))
    const id = createId(escalationKind.prefix, projectId ?? 'system', means.now(), means.random)
    const value = {
      projectId,
      action: describeAction(action),
      request: pickRequest(request),
      clash,
      status: 'open' as const,
      resolution: null,
    }
    const { actionType } = action
    const told = { actionType, kind: clash.kind, objectId: clash.id, reason: clash.reason, by: request.caller.tokenId }
    const settled = pending === null ? null : { ...pending.value, status: 'escalated' as const, escalationId: id }
    await writeForCertain(escalationKind, id, {
      writes: [
        write({ kind: escalationKind, id, expect: 'absent', value }),
        ...(pending === null || settled === null
          ? []
          : [write({ kind: pendingActionKind, id: pending.id, expect: pending.version, value: settled })]),
      ],
      events: [{ type: 'escalation.raised', projectId, subject: id, data: told }],
      traceparent: request.traceparent,
    })
    return refuse(describeEscalated(clash, id))
  }

  /** Writes what makes an object, and looks whether it is there where nobody can tell. */
  async function writeForCertain(kind: Kind<unknown>, id: string, transaction: Transaction): Promise<void> {
    for (let count = 0; count < writesForCertainMaximum; count++) {
      try {
        const outcome = await store.transact(transaction)
        if (outcome.outcome === 'committed') return
      } catch (cause) {
        if (!(cause instanceof OutcomeUnknownError)) throw cause
      }
      if ((await store.get(kind, id, { latest: true })) !== null) return
    }
    throw new StoreUnavailableError('that the change was given up could not be written')
  }

  async function sweep(): Promise<void> {
    const now = means.now()
    for (const pending of store.snapshot(pendingActionKind)) {
      const age = now - Date.parse(pending.updatedAt)
      if (pending.value.status !== 'reconciling' && age > settledKeptMilliseconds) await forget(pending)
      if (pending.value.status !== 'reconciling' || age < abandonedMilliseconds) continue
      const { basis, request } = pending.value
      // Whoever had it may be frozen, and go on with it later.
      const doubted = basis === null ? request : { ...request, doneAfter: request.doneAfter ?? basis }
      const claimed = await record(pending, pending.id, { ...pending.value, request: doubted, rounds: 0 })
      if (claimed !== null) await reconcile(claimed, null)
    }
  }

  async function forget({ id, version }: StoredObject<PendingActionValue>): Promise<void> {
    await store.transact({ writes: [write({ kind: pendingActionKind, id, expect: version, value: null })] })
  }

  /** The project of the object, else that of whoever asks. */
  async function findProject(
    action: ControlPlaneAction,
    { caller }: Pick<RequestInfo, 'caller'>,
  ): Promise<string | null> {
    const { type, id } = locate(means.types, action)
    const isOwn = id?.startsWith(`${type.kind.prefix}_`) === true
    const object = isOwn && id !== null ? await store.get(type.kind, id) : null
    return projectOf(object?.value) ?? projectOf(action.payload.body) ?? caller.projectId
  }

  return { performControlPlaneAction, sweep }
}

interface Arrived<Answer> {
  readonly action: ControlPlaneAction
  readonly type: ActionType
  readonly shardKey: ShardKey
  readonly basis: NonNullable<RequestInfo['doneAfter']> | null
  /** In doubt once another controller was asked and has not answered. */
  request: RequestInfo
  readonly run: () => Promise<Outcome<Answer>>
}

const isWaitedFor = (query: unknown) => typeof query === 'object' && query !== null && 'wait' in query

/** Where an action's object lies, and which it is. */
export function locate(
  types: Readonly<Record<string, ActionType>>,
  { clientId, actionType, dataType, payload }: ControlPlaneAction,
): { readonly type: ActionType; readonly shardKey: ShardKey; readonly id: string | null } {
  const type = types[actionType]
  if (type === undefined) throw new Error(`BUG: ${actionType} is not in the table of action types`)
  if (type.kind.dataType !== dataType)
    throw new Error(`BUG: ${actionType} touches ${type.kind.dataType}, not ${dataType}`)
  const id = (type.parameter === null ? null : payload.parameters[type.parameter]) ?? null
  return { type, shardKey: getShardKey(clientId, dataType), id }
}

const answer = <Answer>(outcome: Outcome<Answer>): Outcome<Performed<Answer>> =>
  outcome.ok ? succeed({ kind: 'answered', answer: outcome.value }) : outcome
