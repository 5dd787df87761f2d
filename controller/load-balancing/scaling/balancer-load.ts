/** How much a whole balancer has to do, from what is known of its instances. Pure. */

import { type ScalingMetric, scalingMetrics } from '../../contract/scaling.ts'
import type { SlotValue } from '../../objects.ts'
import type { InstanceLoad } from '../../observed/load-windows.ts'
import { isStaying } from './advance-slots.ts'
import type { LoadLevels } from './decide-scaling.ts'

export interface BalancerLoad {
  readonly levels: LoadLevels
  /** Of those that are to stay, how many serve. */
  readonly servingCount: number
  /** Of how many there is load to read. */
  readonly heardCount: number
  /** False where an instance may have load that nobody knows of. */
  readonly isComplete: boolean
}

/**
 * `serving`: its host says so. `resting`: its host says that it doesn't, so it has no load, and others have it. `unheard`:
 * nobody can tell.
 */
export type InstanceHearing = 'serving' | 'resting' | 'unheard'

export interface SlotLoad {
  readonly slot: SlotValue
  readonly hearing: InstanceHearing
  /** Null: not known. */
  readonly load: InstanceLoad | null
}

/** Those on their way out count as well: what they do will be done by the others. */
export function measureBalancer(slots: readonly SlotLoad[]): BalancerLoad {
  const serving = slots.filter(({ hearing }) => hearing === 'serving')
  const loads = serving.flatMap(({ load }) => load ?? [])
  return {
    levels: addLoads(loads),
    servingCount: serving.filter(({ slot }) => isStaying(slot)).length,
    heardCount: loads.length,
    isComplete:
      serving.length > 0 && loads.length === serving.length && slots.every(({ hearing }) => hearing !== 'unheard'),
  }
}

function addLoads(loads: readonly InstanceLoad[]): LoadLevels {
  if (loads.length === 0) return {}
  const sum = (of: (load: InstanceLoad) => number) => loads.reduce((total, load) => total + of(load), 0)
  const requestsPerSecond = sum((load) => load.requestsPerSecond)
  const weighted = sum((load) => load.latencyMilliseconds * load.requestsPerSecond)
  return {
    requestsPerSecond,
    connections: sum(({ connections }) => connections),
    cpuPercent: sum(({ cpuPercent }) => cpuPercent),
    latencyMilliseconds: requestsPerSecond === 0 ? 0 : weighted / requestsPerSecond,
  }
}

/** The greatest of each metric. */
export function maxLevels(all: readonly LoadLevels[]): LoadLevels {
  const greatest: Partial<Record<ScalingMetric, number>> = {}
  for (const metric of scalingMetrics) {
    for (const levels of all) {
      const level = levels[metric]
      if (level !== undefined && level > (greatest[metric] ?? -1)) greatest[metric] = level
    }
  }
  return greatest
}
