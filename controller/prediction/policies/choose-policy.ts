/** Which policy places microshards now: the first rule of the table that is met, each with its own hysteresis. Pure. */

import type {
  MicroshardPolicies,
  PlacementPolicy,
  PolicyRule,
  RackMeasure,
} from '../../contract/microshard-policies.ts'
import type { PolicyDecision } from './decision.ts'
import { type Ground, type GroundMicroshard, overMean } from './ground.ts'
import { keepSince, type Since } from './lifecycle-state.ts'
import type { Sight } from './sight.ts'

export type RackMeasures = Readonly<Record<RackMeasure, number>>

/** Of the rack as it is. A share of nothing is nothing. */
export function measureRack(ground: Ground, sight: Sight): RackMeasures {
  const nodes = [...ground.nodes.values()]
  const counts = nodes.map(({ microshards }) => microshards.size)
  const meanCount = ground.microshards.size / Math.max(1, nodes.length)
  const shares = [...ground.microshards.values()].map(measureRemote)
  const located = shares.reduce((sum, { located }) => sum + located, 0)
  return {
    nodeLoadPeak: Math.max(0, ...nodes.map(({ path }) => overMean(path[0] ?? 0, ground.mean[0] ?? 0))),
    nodeCountPeak: overMean(Math.max(0, ...counts), meanCount),
    remoteShare: located === 0 ? 0 : shares.reduce((sum, { remote }) => sum + remote, 0) / located,
    p99Milliseconds: sight.p99Milliseconds,
    errorShare: sight.errorShare,
    accessesPerSecond: sight.microshards.reduce((sum, { load }) => sum + load, 0),
  }
}

function measureRemote({ sight, node }: GroundMicroshard): { readonly located: number; readonly remote: number } {
  if (node.location === null) return { located: 0, remote: 0 }
  const located = [...sight.locations.values()].reduce((sum, rate) => sum + rate, 0)
  return { located, remote: located - (sight.locations.get(node.location) ?? 0) }
}

/** `past`: the averages over the last quarter of an hour. */
export function watchRules(
  rules: readonly PolicyRule[],
  before: Since,
  { now, past }: { readonly now: RackMeasures; readonly past: RackMeasures },
  atMilliseconds: number,
): Since {
  const met = rules.filter(({ name, measure, over, above, until }) => {
    const value = (over === 'now' ? now : past)[measure]
    return name in before ? value > until : value > above
  })
  return keepSince(
    before,
    met.map(({ name }) => name),
    atMilliseconds,
  )
}

export function choosePolicy(
  { rules }: Pick<MicroshardPolicies, 'rules'>,
  met: Since,
): { readonly policy: PlacementPolicy; readonly rule: PolicyRule | null } {
  const rule = rules.find(({ name }) => name in met) ?? null
  return { policy: rule?.policy ?? 'equal', rule }
}

export function describePolicy(
  { policy, rule }: ReturnType<typeof choosePolicy>,
  { now, past }: { readonly now: RackMeasures; readonly past: RackMeasures },
): PolicyDecision {
  const common = { kind: 'policy', policy, isAhead: false } as const
  if (rule === null) return { ...common, rule: null, reason: 'No rule is met.', figures: now }
  const value = (rule.over === 'now' ? now : past)[rule.measure]
  const when = rule.over === 'now' ? '' : ' over the last quarter of an hour'
  return {
    ...common,
    rule: rule.name,
    reason: `Rule '${rule.name}': ${rule.measure} is ${value.toFixed(2)}${when}, above ${rule.above}.`,
    figures: now,
  }
}
