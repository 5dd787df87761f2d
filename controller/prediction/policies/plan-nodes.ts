/** How many nodes there should be, for whoever starts and ends them: more soon, fewer only after an hour. Pure. */

import type { MicroshardPolicies } from '../../contract/microshard-policies.ts'
import type { NodesDecision } from './decision.ts'
import type { Ground } from './ground.ts'
import type { LifecycleState } from './lifecycle-state.ts'

const moreAfterSeconds = 60
const fewerAfterSeconds = 3600
/** One fewer must still have room: of what they are to have. */
const fewerShare = 0.8

export interface NodesPlan {
  readonly nodesSince: LifecycleState['nodesSince']
  /** Null: nothing else is wanted than was asked for. */
  readonly decision: NodesDecision | null
}

export function planNodes(
  ground: Ground,
  { nodesSince: before }: LifecycleState,
  { nodes, prediction }: MicroshardPolicies,
  now: number,
): NodesPlan {
  const present = ground.nodes.size
  if (!nodes.isOn || present === 0) return { nodesSince: { more: null, fewer: null, asked: null }, decision: null }
  const load = (ground.mean[0] ?? 0) * present
  const expected = prediction.isOn ? Math.max(load, ...ground.mean.map((mean) => mean * present)) : load
  const forLoad = (share: number) => Math.ceil(expected / (nodes.loadPerNode * share))
  const clamp = (wanted: number) => Math.min(nodes.maximum, Math.max(nodes.minimum, wanted))
  const [needed, roomy] = [clamp(forLoad(1)), clamp(forLoad(fewerShare))]
  const more = needed > present ? (before.more ?? now) : null
  const fewer = roomy < present ? (before.fewer ?? now) : null
  const isTime = (since: number | null, seconds: number) => since !== null && now - since >= seconds * 1000
  const wanted = isTime(more, moreAfterSeconds) ? needed : isTime(fewer, fewerAfterSeconds) ? roomy : present
  if (wanted === (before.asked ?? present)) return { nodesSince: { more, fewer, asked: before.asked }, decision: null }
  const reason =
    wanted > present
      ? `${present} nodes would have ${Math.round(expected / present)} accesses a second each, and are to have ${nodes.loadPerNode}.`
      : wanted < present
        ? `${wanted} nodes are enough for ${Math.round(expected)} accesses a second.`
        : `${present} nodes are as many as are needed.`
  const figures = { load, expected, loadPerNode: nodes.loadPerNode }
  const decision = { kind: 'nodes', present, wanted, reason, figures, isAhead: expected > load } as const
  return { nodesSince: { more, fewer, asked: wanted }, decision }
}
