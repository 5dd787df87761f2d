/**
 * The policy `load`: what is moved away from nodes that are hot, or are expected to be. A move is worth it when what it
 * spares nodes until the horizon is more than what it costs, and never when its microshard would be worse off. Pure.
 */

import type { MicroshardPolicies } from '../../contract/microshard-policies.ts'
import { copiedBytes, type MigrateDecision, type SplitDecision } from './decision.ts'
import { changePath, type Ground, type GroundMicroshard, type GroundNode, overMean } from './ground.ts'
import { keepSince, type LifecycleState, lasted } from './lifecycle-state.ts'

export interface HotNodes {
  readonly nodeSince: LifecycleState['nodeSince']
  readonly nodeAheadSince: LifecycleState['nodeAheadSince']
}

/** Of each node, by their load: what is looked at is bounded however many there are. */
const sourcesTried = 32
const targetsTried = 32
/** Among moves that are about as good, the one to where more lies that is used together with it. */
const asGoodShare = 0.9

/** Since when nodes have been hot, or expected to be: which they stay until they are below the lower mark. */
export function watchNodes(ground: Ground, state: LifecycleState, policies: MicroshardPolicies, now: number): HotNodes {
  const { overMean: over, untilOverMean: until, loadMinimum } = policies.placement
  const { isOn, threshold } = policies.prediction
  const nodes = [...ground.nodes.values()]
  const isBusy = (ground.mean[0] ?? 0) >= loadMinimum
  const hot = nodes.filter(({ name, path }) => {
    const level = overMean(path[0] ?? 0, ground.mean[0] ?? 0)
    return isBusy && (level > over || (name in state.nodeSince && level > until))
  })
  const ahead = nodes.filter(({ name, path, isForeseen }) => {
    if (!isOn || !isForeseen) return false
    // Halfway between the marks already: what is expected is a mean, and half of what comes is above it.
    const mark = name in state.nodeAheadSince ? until : (over + until) / 2
    const isExpected = (load: number, i: number) =>
      i > 0 &&
      (ground.mean[i] ?? 0) >= loadMinimum &&
      load > mark * (ground.mean[i] ?? 0) &&
      load > threshold * (path[0] ?? 0)
    return path.some(isExpected)
  })
  return {
    nodeSince: keepSince(state.nodeSince, hot.map(nameOf), now),
    nodeAheadSince: keepSince(state.nodeAheadSince, ahead.map(nameOf), now),
  }
}

export interface MoveOptions {
  readonly ground: Ground
  readonly policies: MicroshardPolicies
  readonly now: number
  /** Whether a microshard may be touched now. */
  readonly isFree: (microshard: GroundMicroshard) => boolean
  /** How many requests a second use a microshard and something on a node. */
  readonly pull: (microshard: GroundMicroshard, node: GroundNode) => number
}

/** The best move of the hottest node that has one; or, where its load is one microshard's, that is split. */
export function planRelief(state: HotNodes, options: MoveOptions): MigrateDecision | SplitDecision | null {
  const { ground, policies, now } = options
  const { untilOverMean, forSeconds } = policies.placement
  const hot = [...ground.nodes.values()]
    .flatMap((node) => {
      const isHot = lasted(state.nodeSince, node.name, forSeconds, now)
      const isAhead = !isHot && lasted(state.nodeAheadSince, node.name, forSeconds, now)
      return isHot || isAhead ? [{ node, isAhead, excess: ground.excess(node.path, untilOverMean) }] : []
    })
    .sort((a, b) => b.excess - a.excess)
  for (const { node, isAhead } of hot) {
    const move = chooseMove(node, isAhead, options)
    if (move !== null) return move
    const split = isAhead ? null : splitHottest(node, options)
    if (split !== null) return split
  }
  return null
}

interface Candidate {
  readonly microshard: GroundMicroshard
  readonly target: GroundNode
  /** Accesses that no node has to carry beyond its mark. */
  readonly gain: number
  readonly cost: number
}

function chooseMove(source: GroundNode, isAhead: boolean, options: MoveOptions): MigrateDecision | null {
  const { ground } = options
  const microshards = [...source.microshards]
    .filter((one) => one.sight.headedFor === null && options.isFree(one))
    .sort((a, b) => ground.peak(b.path) - ground.peak(a.path))
    .slice(0, sourcesTried)
  const targets = [...ground.nodes.values()]
    .filter((node) => node !== source)
    .sort((a, b) => ground.peak(a.path) - ground.peak(b.path))
    .slice(0, targetsTried)
  const worthwhile = microshards
    .flatMap((microshard) => targets.flatMap((target) => weighMove(microshard, target, isAhead, options) ?? []))
    .sort((a, b) => b.gain - b.cost - (a.gain - a.cost))
  const [best] = worthwhile
  if (best === undefined) return null
  const asGood = worthwhile.filter(({ gain, cost }) => gain - cost >= asGoodShare * (best.gain - best.cost))
  const chosen = asGood.reduce((one, other) => (attraction(other, options) > attraction(one, options) ? other : one))
  return describeMove(source, chosen, isAhead, options)
}

const attraction = ({ microshard, target }: Candidate, { pull }: MoveOptions) =>
  pull(microshard, target) - pull(microshard, microshard.node)

function weighMove(
  microshard: GroundMicroshard,
  target: GroundNode,
  isAhead: boolean,
  { ground, policies }: MoveOptions,
): Candidate | null {
  const { placement, prediction } = policies
  const source = microshard.node
  const without = changePath(source.path, microshard.path, -1)
  const withIt = changePath(target.path, microshard.path, 1)
  const [sourceNow, targetNow, meanNow] = [source.path[0] ?? 0, withIt[0] ?? 0, ground.mean[0] ?? 0]
  // Nobody is worse off than before: not now, and where it is done ahead, not later either.
  if (targetNow >= Math.max(sourceNow, isAhead ? placement.overMean * meanNow : 0)) return null
  if (prediction.isOn && ground.peak(withIt) >= ground.peak(source.path)) return null
  const before =
    ground.excess(source.path, placement.untilOverMean) + ground.excess(target.path, placement.untilOverMean)
  const after = ground.excess(without, placement.untilOverMean) + ground.excess(withIt, placement.untilOverMean)
  const gain = before - after
  const cost = costOf(microshard, target, policies)
  return gain > cost ? { microshard, target, gain, cost } : null
}

/**
 * In accesses: those that are held up by the pause, and those that source and target could have served while they copy,
 * of which a copy takes about a tenth.
 */
export function costOf(
  { sight, path }: GroundMicroshard,
  target: GroundNode,
  { cost }: Pick<MicroshardPolicies, 'cost'>,
): number {
  const copySeconds = copiedBytes(sight, target.name) / cost.bandwidthBytesPerSecond
  const load = path[0] ?? 0
  return (load * cost.pauseMilliseconds) / 1000 + 2 * copyShare * load * copySeconds
}
const copyShare = 0.1

function describeMove(
  source: GroundNode,
  { microshard, target, gain, cost }: Candidate,
  isAhead: boolean,
  { ground }: MoveOptions,
): MigrateDecision {
  const [now, peak] = [overMean(source.path[0] ?? 0, ground.mean[0] ?? 0), ground.peak(source.path)]
  const reason = isAhead
    ? `Node ${source.name} is expected to carry ${peak.toFixed(2)} times what the average node does.`
    : `Node ${source.name} carries ${now.toFixed(2)} times what the average node does.`
  return {
    kind: 'migrate',
    microshard: microshard.sight.id,
    fromNode: microshard.sight.node,
    toNode: target.name,
    policy: 'load',
    reason,
    figures: {
      load: microshard.sight.load,
      sourceOverMean: now,
      sourcePeakOverMean: peak,
      targetOverMeanAfter: overMean((target.path[0] ?? 0) + (microshard.path[0] ?? 0), ground.mean[0] ?? 0),
      gainAccesses: gain,
      costAccesses: cost,
      bytes: copiedBytes(microshard.sight, target.name),
    },
    isAhead,
  }
}

/** What can't be moved as a whole, since it would be too much for any other, can be moved in halves. */
function splitHottest(node: GroundNode, { ground, policies, isFree }: MoveOptions): SplitDecision | null {
  const room = policies.microshards.perNodeMaximum * ground.nodes.size - ground.microshards.size
  const [hottest] = [...node.microshards].sort((a, b) => (b.path[0] ?? 0) - (a.path[0] ?? 0))
  if (hottest === undefined || room <= 0 || hottest.sight.keys < 2 || !isFree(hottest)) return null
  const [load, meanNow] = [hottest.sight.load, ground.mean[0] ?? 0]
  const tooMuch = (policies.placement.overMean - 1) * meanNow
  if (load <= tooMuch || load < policies.split.loadMinimum) return null
  return {
    kind: 'split',
    microshard: hottest.sight.id,
    reason: `Node ${node.name} is hot, and no other could take microshard ${hottest.sight.id} as a whole.`,
    figures: { load, nodeOverMean: overMean(node.path[0] ?? 0, meanNow), nodeMeanLoad: meanNow },
    isAhead: false,
  }
}

const nameOf = ({ name }: GroundNode) => name
