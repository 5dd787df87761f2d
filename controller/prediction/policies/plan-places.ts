/**
 * The policies `proximity`, which brings microshards to where those are who use them most, and `equal`, which gives each
 * node as many as another. Neither undoes what is above it: a move of theirs never makes a node hot, and an equal share
 * never takes a microshard away from its users. So the policies do not work against each other. Pure.
 */

import { copiedBytes, type MigrateDecision } from './decision.ts'
import { changePath, type Ground, type GroundMicroshard, type GroundNode, overMean } from './ground.ts'
import { costOf, type MoveOptions } from './plan-moves.ts'

/** A move nearer is worth it when it spares so many of the accesses to a microshard the way. */
const sparedShareMinimum = 0.25
/** And not for a few: accesses a second. */
const sparedMinimum = 1

/** The one move that spares most accesses the way to another location. */
export function planNearer(options: MoveOptions): MigrateDecision | null {
  const { ground, policies } = options
  const candidates = [...ground.microshards.values()]
    .filter((one) => one.sight.headedFor === null && options.isFree(one))
    .flatMap((microshard) => {
      const used = [...microshard.sight.locations.values()].reduce((sum, rate) => sum + rate, 0)
      return [...ground.nodes.values()].flatMap((target) => {
        if (target === microshard.node || !staysCool(ground, microshard, target, options)) return []
        const spared = nearness(microshard, target, options) - nearness(microshard, microshard.node, options)
        const isWorth = spared >= sparedMinimum && spared >= sparedShareMinimum * used
        const cost = costOf(microshard, target, policies)
        return isWorth && spared * policies.prediction.horizonSeconds > cost ? [{ microshard, target, spared }] : []
      })
    })
    .sort((a, b) => b.spared - a.spared)
  const [best] = candidates
  if (best === undefined) return null
  const { microshard, target, spared } = best
  return {
    kind: 'migrate',
    microshard: microshard.sight.id,
    fromNode: microshard.sight.node,
    toNode: target.name,
    policy: 'proximity',
    reason: `Those who use microshard ${microshard.sight.id} most are nearer to node ${target.name}, in ${target.location ?? 'no known location'}.`,
    figures: {
      sparedPerSecond: spared,
      load: microshard.sight.load,
      bytes: copiedBytes(microshard.sight, target.name),
    },
    isAhead: false,
  }
}

/** From the node that has most microshards to the one that has fewest, if there are two between them. */
export function planEqual(options: MoveOptions): MigrateDecision | null {
  const { ground } = options
  const nodes = [...ground.nodes.values()].sort((a, b) => b.microshards.size - a.microshards.size)
  const [most, fewest] = [nodes[0], nodes.at(-1)]
  if (most === undefined || fewest === undefined || most.microshards.size - fewest.microshards.size < 2) return null
  const [lightest] = [...most.microshards]
    .filter((one) => one.sight.headedFor === null && options.isFree(one))
    .filter((one) => staysCool(ground, one, fewest, options))
    .filter((one) => nearness(one, fewest, options) >= nearness(one, most, options))
    .sort((a, b) => a.sight.bytes - b.sight.bytes || (a.sight.id < b.sight.id ? -1 : 1))
  if (lightest === undefined) return null
  return {
    kind: 'migrate',
    microshard: lightest.sight.id,
    fromNode: lightest.sight.node,
    toNode: fewest.name,
    policy: 'equal',
    reason: `Node ${most.name} has ${most.microshards.size} microshards, and node ${fewest.name} ${fewest.microshards.size}.`,
    figures: {
      most: most.microshards.size,
      fewest: fewest.microshards.size,
      bytes: copiedBytes(lightest.sight, fewest.name),
    },
    isAhead: false,
  }
}

/** The node would stay below the mark to which a hot one comes down, also as far as it is foreseen. */
function staysCool(
  { mean }: Ground,
  microshard: GroundMicroshard,
  target: GroundNode,
  { policies }: MoveOptions,
): boolean {
  const path = changePath(target.path, microshard.path, 1)
  return path.every((load, i) => {
    const average = mean[i] ?? 0
    return average < policies.placement.loadMinimum || overMean(load, average) <= policies.placement.untilOverMean
  })
}

/** Accesses a second that come from the node's location, and requests that use what lies on it as well. */
const nearness = (microshard: GroundMicroshard, node: GroundNode, { pull }: MoveOptions): number =>
  (node.location === null ? 0 : (microshard.sight.locations.get(node.location) ?? 0)) + pull(microshard, node)
