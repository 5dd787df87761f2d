/**
 * What is decided of the number of each balancer's instances, and recorded before anything follows from it. Pure: what
 * loads there are is measured before.
 */

import type { ScalingDecision } from '../../contract/scaling.ts'
import type { EventDraft, StoredObject } from '../../control-plane/store.ts'
import type { LoadBalancerScalingValue, LoadBalancerValue } from '../../objects.ts'
import type { LoadWindows } from '../../observed/load-windows.ts'
import { findInstanceReport } from '../../observed/report-index.ts'
import type { JudgedHost } from '../../reconcile/judge-hosts.ts'
import type { ReconcileOperation } from '../../reconcile/operation.ts'
import type { Snapshot } from '../../reconcile/snapshot.ts'
import { type BalancerLoad, type InstanceHearing, measureBalancer } from './balancer-load.ts'
import { type Decided, decideScaling, type LoadLevels, type ScalingFacts } from './decide-scaling.ts'
import { type ExpectedLoads, expectLevels, type LoadForecast } from './expected-loads.ts'
import type { LoadHistory } from './load-history.ts'
import { firstCountOf } from './wanted-count.ts'

/** Of one balancer, at one moment. */
export interface ScalingLoad extends BalancerLoad {
  readonly peak: LoadLevels | null
  readonly forecast: LoadForecast | null
}

export interface ScalingTurn {
  readonly snapshot: Snapshot
  /** By balancer; one that is not in it is not heard of. */
  readonly loads: ReadonlyMap<string, ScalingLoad>
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** Of all that are scaled, and notes it for what comes. */
export function measureLoads(
  snapshot: Snapshot,
  hosts: ReadonlyMap<string, JudgedHost>,
  means: {
    readonly windows: Pick<LoadWindows, 'read'>
    readonly history: LoadHistory
    readonly expectedLoads: Pick<ExpectedLoads, 'foresee'>
    readonly now: number
  },
): ReadonlyMap<string, ScalingLoad> {
  const { windows, history, expectedLoads, now } = means
  const scaled = [...snapshot.loadBalancers.values()].flatMap(({ id, value }) =>
    value.autoScaling === false ? [] : [{ id, inSeconds: value.autoScaling.cooldown.inSeconds }],
  )
  history.keep(new Set(scaled.map(({ id }) => id)))
  return new Map(
    scaled.map(({ id, inSeconds }) => {
      const load = measureOne(snapshot, hosts, id, windows, now)
      history.note(id, load, inSeconds, now)
      return [id, { ...load, peak: history.peak(id, inSeconds, now), forecast: expectedLoads.foresee(id, now) }]
    }),
  )
}

/** Of any balancer. */
export function measureOne(
  snapshot: Pick<Snapshot, 'slots' | 'instances'>,
  hosts: ReadonlyMap<string, JudgedHost>,
  loadBalancerId: string,
  windows: Pick<LoadWindows, 'read'>,
  now: number,
): BalancerLoad {
  const slots = snapshot.slots.get(loadBalancerId)?.value.slots ?? []
  return measureBalancer(
    slots.map((slot) => {
      const id = slot.instanceId ?? ''
      const hearing = hearInstance(hosts.get(snapshot.instances.get(id)?.value.hostId ?? ''), id)
      return { slot, hearing, load: hearing === 'serving' ? windows.read(id, now) : null }
    }),
  )
}

function hearInstance(host: JudgedHost | undefined, instanceId: string): InstanceHearing {
  // A slot that is empty, or whose host is gone, has nobody to be unheard of.
  if (host === undefined || host.hearing.kind === 'gone') return 'resting'
  if (host.hearing.kind !== 'heard') return 'unheard'
  return findInstanceReport(host.hearing.report, instanceId)?.serving === true ? 'serving' : 'resting'
}

export function planScaling(turn: ScalingTurn): readonly ReconcileOperation[] {
  const { snapshot } = turn
  return [...snapshot.loadBalancers.values()].flatMap((loadBalancer): ReconcileOperation[] => {
    const { id, value } = loadBalancer
    if (value.deletingSince !== undefined) return []
    const scaling = snapshot.scalings.get(id) ?? null
    const facts = describeFacts(turn, loadBalancer)
    if (facts === null) return scaling === null ? [] : [{ kind: 'forgetScaling', loadBalancer, scaling }]
    const decided = decideScaling(facts)
    if (scaling !== null && decided.desiredCount === facts.count) return []
    return [describeOperation(facts, decided, loadBalancer, scaling)]
  })
}

/** What a decision on a balancer is made of; null: it is not scaled. */
export function describeFacts(
  { snapshot, loads, now }: ScalingTurn,
  { id, value }: StoredObject<LoadBalancerValue>,
): ScalingFacts | null {
  const { autoScaling, instanceCount } = value
  if (autoScaling === false) return null
  const scaling = snapshot.scalings.get(id)?.value
  const load = loads.get(id)
  const levels = load?.levels ?? {}
  return {
    autoScaling,
    instanceCount,
    count: scaling?.desiredCount ?? firstCountOf(value, now),
    servingCount: load?.servingCount ?? 0,
    load: levels,
    expectedLoad: autoScaling.predictive ? expectLevels(levels, load?.forecast ?? null) : undefined,
    peak: load?.peak ?? null,
    lastOutAt: timeOf(scaling?.lastOutAt),
    lastInAt: timeOf(scaling?.lastInAt),
    now,
  }
}

const timeOf = (text: string | null | undefined): number | null => (text == null ? null : Date.parse(text))

const decisionsKept = 20

function describeOperation(
  { count, now }: ScalingFacts,
  { desiredCount, reasons }: Decided,
  loadBalancer: StoredObject<LoadBalancerValue>,
  scaling: StoredObject<LoadBalancerScalingValue> | null,
): ReconcileOperation {
  const decidedAt = new Date(now).toISOString()
  const decision: ScalingDecision = { decidedAt, from: count, to: desiredCount, reasons: [...reasons] }
  // That scaling begins, with as many as there are, is no change.
  const isChange = desiredCount !== count
  const value: LoadBalancerScalingValue = {
    desiredCount,
    lastOutAt: desiredCount > count ? decidedAt : (scaling?.value.lastOutAt ?? null),
    lastInAt: desiredCount < count ? decidedAt : (scaling?.value.lastInAt ?? null),
    decisions: [...(isChange ? [decision] : []), ...(scaling?.value.decisions ?? [])].slice(0, decisionsKept),
  }
  const { name, projectId } = loadBalancer.value
  const event: EventDraft = {
    type: 'load-balancer.scaled',
    projectId,
    subject: loadBalancer.id,
    data: { name, from: count, to: desiredCount, reasons },
  }
  return { kind: 'scale', loadBalancer, scaling, value, events: isChange ? [event] : [] }
}
