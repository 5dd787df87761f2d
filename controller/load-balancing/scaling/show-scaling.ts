/** Why a balancer has as many instances as it has, for people and programs. Reads the store and what was observed. */

import type { AutoScaling, Scaling, ScalingForecast, ScalingMetric, ScalingReason } from '../../contract/scaling.ts'
import type { StoredObject } from '../../control-plane/store.ts'
import type { LoadBalancerValue } from '../../objects.ts'
import { judgeHosts } from '../../reconcile/judge-hosts.ts'
import { readSnapshot, wantedCount } from '../../reconcile/snapshot.ts'
import type { ControllerContext } from '../../services.ts'
import { isStaying } from './advance-slots.ts'
import { cooldownEnd, decideScaling, type LoadLevels } from './decide-scaling.ts'
import { countInstances } from './describe-scaling.ts'
import type { ExpectedLoads, LoadForecast } from './expected-loads.ts'
import type { LoadHistory } from './load-history.ts'
import { describeFacts, measureOne } from './plan-scaling.ts'

type ShowContext = Pick<ControllerContext, 'store' | 'observed' | 'now'> & {
  readonly loadHistory: Pick<LoadHistory, 'peak'>
  readonly expectedLoads: Pick<ExpectedLoads, 'foresee'>
}

export function showScaling(context: ShowContext, loadBalancer: StoredObject<LoadBalancerValue>): Scaling {
  const { store, observed, loadHistory, expectedLoads } = context
  const now = context.now()
  const { id, value } = loadBalancer
  const { name, autoScaling, instanceCount } = value
  const snapshot = readSnapshot(store)
  const load = measureOne(snapshot, judgeHosts(snapshot, observed, now), id, observed.loads, now)
  const peak = autoScaling === false ? null : loadHistory.peak(id, autoScaling.cooldown.inSeconds, now)
  const forecast = autoScaling === false ? null : expectedLoads.foresee(id, now)
  const facts = describeFacts({ snapshot, loads: new Map([[id, { ...load, peak, forecast }]]), now }, loadBalancer)
  const decided = facts === null ? null : decideScaling(facts)
  const endOf = (direction: 'out' | 'in') => {
    const end = facts === null ? null : cooldownEnd(facts, direction)
    return end === null ? null : new Date(end).toISOString()
  }
  const slots = snapshot.slots.get(id)?.value.slots ?? []
  return {
    loadBalancerId: id,
    name,
    autoScaling,
    instanceCount,
    desiredCount: wantedCount(snapshot, loadBalancer, now),
    servingCount: load.servingCount,
    leavingCount: slots.filter((slot) => !isStaying(slot)).length,
    bounds: decided === null ? null : { minimum: decided.bounds.minimum, maximum: decided.bounds.maximum },
    reasons: [...(decided?.reasons ?? [describeFixed(instanceCount)])],
    load: { heardCount: load.heardCount, ...roundLevels(load.levels) },
    forecast: autoScaling === false || forecast === null ? null : viewForecast(forecast, autoScaling),
    nextOutAt: endOf('out'),
    nextInAt: endOf('in'),
    decisions: [...(snapshot.scalings.get(id)?.value.decisions ?? [])],
  }
}

const describeFixed = (instanceCount: number): ScalingReason => ({
  reason: 'steady',
  message: `It is not scaled: its caller asks for ${countInstances(instanceCount)}.`,
})

function viewForecast(forecast: LoadForecast, { predictive }: AutoScaling): ScalingForecast {
  const { atMs, value, low, high, skill, measured, isUsed } = forecast
  return {
    at: new Date(atMs).toISOString(),
    requestsPerSecond: round(value),
    low: round(low),
    high: round(high),
    skill: round(skill),
    measured,
    isUsed: predictive && isUsed,
  }
}

const round = (value: number) => Math.round(value * 100) / 100

const roundLevels = (levels: LoadLevels): Record<ScalingMetric, number | null> => {
  const known = (level: number | undefined) => (level === undefined ? null : round(level))
  const { requestsPerSecond, connections, cpuPercent, latencyMilliseconds } = levels
  return {
    requestsPerSecond: known(requestsPerSecond),
    connections: known(connections),
    cpuPercent: known(cpuPercent),
    latencyMilliseconds: known(latencyMilliseconds),
  }
}
