/**
 * The lifecycle manager: observes, decides, begins what was decided and tells of it, turn by turn, in the one controller
 * that holds the lease. Each turn decides anew on what is so, so that nothing is lost with whoever did it before.
 */

import type { Logger } from 'pino'
import type { EventData } from '../../contract/events.ts'
import type { MicroshardOperationView } from '../../contract/microshard.ts'
import type { MicroshardPolicies, TakenDecision } from '../../contract/microshard-policies.ts'
import type { Outcome } from '../../contract/problem.ts'
import { applyTransaction } from '../../control-plane/apply-outcome.ts'
import { sleep } from '../../control-plane/connection-watch.ts'
import type { MicroshardsService } from '../../control-plane/lifecycle/microshards.ts'
import { type EventDraft, type Store, write } from '../../control-plane/store.ts'
import { windowMilliseconds } from '../monitoring/access-report.ts'
import type { RackMeasures } from './choose-policy.ts'
import { type Decided, decide } from './decide.ts'
import { type Decision, microshardsOf } from './decision.ts'
import { firstState, type LifecycleState } from './lifecycle-state.ts'
import { type LifecycleStatusValue, lifecycleStatusId, lifecycleStatusKind } from './policies-object.ts'
import type { PoliciesService } from './policies-service.ts'
import type { Sight } from './sight.ts'

export interface LifecycleManager {
  /** One turn: what was decided, and what came of it. */
  turn(): Promise<readonly TakenDecision[]>
  /** Turn by turn until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
}

export interface LifecycleManagerOptions {
  readonly store: Pick<Store, 'snapshot' | 'transact'>
  readonly policies: Pick<PoliciesService, 'show'>
  readonly observe: (policies: MicroshardPolicies) => Promise<Sight>
  readonly microshards: Pick<MicroshardsService, 'split' | 'merge' | 'migrate'>
  /** Tells who starts and ends nodes how many are wanted. */
  readonly callWebhook: (url: string, body: NodesWanted) => Promise<void>
  /** This controller's name. */
  readonly controller: string
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

export type NodesWanted = EventData<'nodes.wanted'>

const pastTurns = 90
const decisionsKept = 50
const turnMilliseconds = windowMilliseconds
/** After a window has ended, until what all controllers have told of it is here. */
const turnOffsetMilliseconds = 6_000

export function createLifecycleManager(options: LifecycleManagerOptions): LifecycleManager {
  const { store, logger } = options
  let state: LifecycleState = firstState
  let past: RackMeasures[] = []

  async function turn(): Promise<readonly TakenDecision[]> {
    const { policies } = options.policies.show()
    if (policies.mode === 'off') {
      state = firstState
      return []
    }
    const sight = await options.observe(policies)
    const decided = decide(state, sight, policies, averageOf(past))
    state = decided.state
    past = [...past, decided.measures].slice(-pastTurns)
    const taken: TakenDecision[] = []
    for (const decision of decided.decisions) taken.push(await take(decision, policies, sight.now))
    await record(taken, decided, policies, sight)
    return taken
  }

  async function take(decision: Decision, policies: MicroshardPolicies, now: number): Promise<TakenDecision> {
    const described = describe(decision, now)
    logger.info({ ...described }, 'decided')
    if (policies.mode !== 'on') return described
    switch (decision.kind) {
      case 'policy':
        return described
      case 'nodes':
        await tellNodes(decision, policies)
        return described
      case 'split':
      case 'merge':
      case 'migrate': {
        const begun = await begin(decision, now)
        if (begun.ok) return { ...described, outcome: 'begun', operationId: begun.value.id }
        return { ...described, outcome: 'refused', problem: begun.problem.detail }
      }
      default:
        return decision satisfies never
    }
  }

  function begin(
    decision: Extract<Decision, { readonly kind: 'split' | 'merge' | 'migrate' }>,
    now: number,
  ): Promise<Outcome<MicroshardOperationView>> {
    const seed = `lifecycle ${now} ${microshardsOf(decision).join(' ')}`
    switch (decision.kind) {
      case 'split':
        return options.microshards.split(decision.microshard, {}, seed)
      case 'merge':
        return options.microshards.merge(decision.microshard, { withId: decision.neighbour }, seed)
      case 'migrate':
        return options.microshards.migrate(decision.microshard, { toNode: decision.toNode }, seed)
      default:
        return decision satisfies never
    }
  }

  async function tellNodes(
    { present, wanted, reason, figures }: Extract<Decision, { readonly kind: 'nodes' }>,
    { nodes: { webhookUrl } }: MicroshardPolicies,
  ): Promise<void> {
    if (webhookUrl === null) return
    try {
      await options.callWebhook(webhookUrl, { present, wanted, reason, figures: { ...figures } })
    } catch (cause) {
      logger.warn({ err: cause, webhookUrl }, 'the webhook for nodes did not answer; the event says the same')
    }
  }

  /** For all controllers to show; nothing is written while nothing changes. */
  async function record(
    taken: readonly TakenDecision[],
    { state: { policy, ruleSince, begun }, heldBack, measures }: Decided,
    policies: MicroshardPolicies,
    { now }: Sight,
  ): Promise<void> {
    const before = store.snapshot(lifecycleStatusKind).find(({ id }) => id === lifecycleStatusId)
    const held = heldBack.map(({ decision, because }) => {
      return { kind: decision.kind, microshards: [...microshardsOf(decision)], reason: decision.reason, because }
    })
    const met = Object.keys(ruleSince)
    const isNew =
      before === undefined ||
      taken.length > 0 ||
      before.value.controller !== options.controller ||
      !Bun.deepEquals([before.value.met, before.value.heldBack.map(nameHeld)], [met, held.map(nameHeld)])
    if (!isNew) return
    const value: LifecycleStatusValue = {
      controller: options.controller,
      at: new Date(now).toISOString(),
      policy,
      measures,
      met,
      churn: {
        operations: begun.length,
        operationsPerHour: policies.churn.operationsPerHour,
        bytes: begun.reduce((sum, { bytes }) => sum + bytes, 0),
        bytesPerHour: policies.churn.bytesPerHour,
      },
      heldBack: held,
      decisions: [...taken.toReversed(), ...(before?.value.decisions ?? [])].slice(0, decisionsKept),
    }
    const outcome = await applyTransaction(options, {
      writes: [write({ kind: lifecycleStatusKind, id: lifecycleStatusId, expect: before?.version ?? 'absent', value })],
      events: taken.map((one) => describeEvent(one, policies)),
    })
    if (outcome.kind !== 'done') logger.warn({ outcome }, 'what was decided could not be recorded')
  }

  return {
    turn,
    async run(signal) {
      while (!signal.aborted) {
        const now = Date.now()
        await sleep(turnMilliseconds - ((now - turnOffsetMilliseconds) % turnMilliseconds), signal)
        if (signal.aborted) return
        try {
          await turn()
        } catch (cause) {
          logger.warn({ err: cause }, 'what to do with microshards could not be decided; the next turn tries again')
        }
      }
    },
  }
}

const nameHeld = ({ kind, microshards, because }: { kind: string; microshards: readonly string[]; because: string }) =>
  `${kind} ${microshards.join(' ')} ${because}`

function describe(decision: Decision, now: number): TakenDecision {
  const { kind, reason, figures, isAhead } = decision
  const isOfRack = kind === 'policy' || kind === 'nodes'
  return {
    at: new Date(now).toISOString(),
    kind,
    microshards: isOfRack ? [] : [...microshardsOf(decision)],
    toNode: kind === 'migrate' ? decision.toNode : null,
    reason,
    figures: { ...figures, ...(kind === 'nodes' ? { present: decision.present, wanted: decision.wanted } : {}) },
    isAhead,
    outcome: 'decided',
    operationId: null,
    problem: null,
  }
}

function describeEvent(taken: TakenDecision, { mode }: MicroshardPolicies): EventDraft {
  const { at: _at, ...decided } = taken
  const { reason, figures } = decided
  const subject = taken.microshards[0] ?? lifecycleStatusId
  const { present = 0, wanted = 0 } = figures
  if (taken.kind === 'nodes') return draft('nodes.wanted', subject, { present, wanted, reason, figures })
  return draft('microshard.decided', subject, { ...decided, mode })
}

const draft = <Type extends 'nodes.wanted' | 'microshard.decided'>(
  type: Type,
  subject: string,
  data: EventData<Type>,
): EventDraft => ({ type, projectId: null, subject, data })

/** Null: nothing was measured yet. */
function averageOf(past: readonly RackMeasures[]): RackMeasures | null {
  const [first] = past
  if (first === undefined) return null
  const mean = (name: keyof RackMeasures) => past.reduce((sum, one) => sum + one[name], 0) / past.length
  return {
    nodeLoadPeak: mean('nodeLoadPeak'),
    nodeCountPeak: mean('nodeCountPeak'),
    remoteShare: mean('remoteShare'),
    p99Milliseconds: mean('p99Milliseconds'),
    errorShare: mean('errorShare'),
    accessesPerSecond: mean('accessesPerSecond'),
  }
}
