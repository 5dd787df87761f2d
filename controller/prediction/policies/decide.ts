/**
 * What is to be done with microshards, decided on what is seen and remembered: a pure function, the same in the controller,
 * in simulations and in benches. It begins nothing; whoever calls it begins what it has decided, and calls it again.
 */

import type { MicroshardPolicies } from '../../contract/microshard-policies.ts'
import { choosePolicy, describePolicy, measureRack, type RackMeasures, watchRules } from './choose-policy.ts'
import { copiedBytes, type Decision, type HeldBack, microshardsOf, type OperationDecision } from './decision.ts'
import { createGround, type Ground, type GroundMicroshard, type GroundNode } from './ground.ts'
import { churnMilliseconds, type LifecycleState, rememberOperations } from './lifecycle-state.ts'
import { planMerges, planSplits, watchArcs } from './plan-arcs.ts'
import { type MoveOptions, planRelief, watchNodes } from './plan-moves.ts'
import { planNodes } from './plan-nodes.ts'
import { planEqual, planNearer } from './plan-places.ts'
import type { MicroshardSight, Sight } from './sight.ts'

export interface Decided {
  readonly state: LifecycleState
  readonly decisions: readonly Decision[]
  /** What would have been decided, had there been room in the budget. */
  readonly heldBack: readonly HeldBack[]
  readonly measures: RackMeasures
}

/** `past`: the same measures over the last quarter of an hour. */
export function decide(
  before: LifecycleState,
  sight: Sight,
  policies: MicroshardPolicies,
  past: RackMeasures | null = null,
): Decided {
  const { now } = sight
  const ground = createGround(sight, policies)
  const measures = measureRack(ground, sight)
  const remembered = rememberOperations(before, sight, policies)
  const seen = { now: measures, past: past ?? measures }
  const ruleSince = watchRules(policies.rules, remembered.ruleSince, seen, now)
  const chosen = choosePolicy(policies, ruleSince)
  const nodes = planNodes(ground, remembered, policies, now)
  const state: LifecycleState = {
    ...remembered,
    ...watchArcs(sight, remembered, policies),
    ...watchNodes(ground, remembered, policies, now),
    ruleSince,
    policy: chosen.policy,
    nodesSince: nodes.nodesSince,
  }
  const changes: readonly Decision[] = chosen.policy === before.policy ? [] : [describePolicy(chosen, seen)]
  const planned = planOperations(state, sight, policies, ground)
  return {
    state: { ...state, ...planned.remembered },
    decisions: [...changes, ...planned.decisions, ...(nodes.decision === null ? [] : [nodes.decision])],
    heldBack: planned.heldBack,
    measures,
  }
}

type Remembered = Pick<LifecycleState, 'begun' | 'changed'>

function planOperations(state: LifecycleState, sight: Sight, policies: MicroshardPolicies, ground: Ground) {
  const { now } = sight
  const touched = new Set<string>()
  const isFree = ({ id, isBusy }: MicroshardSight) =>
    !isBusy && !touched.has(id) && !isWithin(state.changed[id]?.at, policies.restSeconds, now)
  const isCooling = ({ id }: MicroshardSight, from: 'split' | 'merge') =>
    state.changed[id]?.kind === from && isWithin(state.changed[id]?.at, policies.cooldownSeconds, now)
  const budget = openBudget(state, sight, policies)
  const arcs = { sight, policies, isFree, isCooling }

  const take = (decision: OperationDecision | null): boolean => {
    if (decision === null) return false
    for (const id of microshardsOf(decision)) touched.add(id)
    return budget.admit(decision)
  }

  for (const split of planSplits(state, arcs)) take(split)
  const moves: MoveOptions = {
    ground,
    policies,
    now,
    isFree: ({ sight }) => isFree(sight),
    pull: createPull(ground, sight),
  }
  for (let tries = 0; tries < policies.churn.atOnce; tries++) {
    const move = planMove(state, moves)
    if (!take(move)) break
    if (move?.kind === 'migrate') moveOnGround(ground, move)
  }
  for (const merge of planMerges(state, arcs)) take(merge)
  return budget.end()
}

function planMove(state: LifecycleState, options: MoveOptions) {
  switch (state.policy) {
    case 'load':
      return planRelief(state, options)
    case 'proximity':
      // A node that will be hot is relieved whatever the policy is for now.
      return planRelief(state, options) ?? planNearer(options)
    case 'equal':
      return planRelief(state, options) ?? planEqual(options)
    default:
      return state.policy satisfies never
  }
}

function moveOnGround(ground: Ground, move: { readonly microshard: string; readonly toNode: string }): void {
  const [microshard, node] = [ground.microshards.get(move.microshard), ground.nodes.get(move.toNode)]
  if (microshard !== undefined && node !== undefined) ground.move(microshard, node)
}

/** Requests a second that use a microshard and something else on a node. */
function createPull(ground: Ground, { together }: Sight): MoveOptions['pull'] {
  const partners = new Map<string, [string, number][]>()
  const note = (one: string, other: string, rate: number) => {
    const known = partners.get(one)
    if (known === undefined) partners.set(one, [[other, rate]])
    else known.push([other, rate])
  }
  for (const [one, other, rate] of together) {
    note(one, other, rate)
    note(other, one, rate)
  }
  return ({ sight }: GroundMicroshard, node: GroundNode) =>
    (partners.get(sight.id) ?? []).reduce(
      (sum, [other, rate]) => (ground.microshards.get(other)?.node === node ? sum + rate : sum),
      0,
    )
}

/** Counts what was begun within the last hour and what is under way, whoever has begun it. */
function openBudget(state: LifecycleState, sight: Sight, { churn, mode }: MicroshardPolicies) {
  const { now } = sight
  const known = new Map(sight.microshards.map((one) => [one.id, one]))
  const bytesOf = (id: string, decision: OperationDecision): number => {
    const one = known.get(id)
    if (one === undefined) return 0
    return decision.kind === 'migrate' ? copiedBytes(one, decision.toNode) : one.bytes
  }
  const decisions: OperationDecision[] = []
  const heldBack: HeldBack[] = []
  const recent = state.begun.filter(({ at }) => at > now - churnMilliseconds)
  let operations = recent.length
  let bytes = recent.reduce((sum, one) => sum + one.bytes, 0)
  let running = mode === 'on' ? sight.operations.filter(({ isRunning }) => isRunning).length : 0
  const begun = [...recent]
  const changed = { ...state.changed }

  return {
    admit(decision: OperationDecision): boolean {
      const ids = microshardsOf(decision)
      const copied = ids.reduce((sum, id) => sum + bytesOf(id, decision), 0)
      const because =
        operations + 1 > churn.operationsPerHour
          ? 'churnOperations'
          : bytes + copied > churn.bytesPerHour
            ? 'churnBytes'
            : running + 1 > churn.atOnce
              ? 'atOnce'
              : null
      if (because !== null) {
        heldBack.push({ decision, because })
        return false
      }
      operations++
      running++
      bytes += copied
      begun.push({ at: now, bytes: copied, sources: ids })
      for (const id of ids) changed[id] = { at: now, kind: decision.kind }
      decisions.push(decision)
      return true
    },
    end: (): { decisions: readonly Decision[]; heldBack: readonly HeldBack[]; remembered: Remembered } => ({
      decisions,
      heldBack,
      remembered: { begun, changed },
    }),
  }
}

const isWithin = (at: number | undefined, seconds: number, now: number) => at !== undefined && now - at < seconds * 1000
