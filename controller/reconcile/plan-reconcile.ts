/**
 * What is to be done for the world to become what is desired, and what is to be recorded of what was found: desired +
 * observed → operations. Pure, and stable: planned again after everything is done, there is nothing to do.
 */

import type { HostInstructions, WitnessInstructions } from '../../agent/contract/host-instructions.ts'
import { planMigrations } from '../address-space/migration/plan-migrations.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { planBreaker } from '../load-balancing/life/plan-breaker.ts'
import { planLife } from '../load-balancing/life/plan-life.ts'
import { planWitnesses } from '../load-balancing/life/testimonies.ts'
import { planScaling, type ScalingLoad } from '../load-balancing/scaling/plan-scaling.ts'
import type { InstanceValue } from '../objects.ts'
import { findInstanceReport, findMachineReport } from '../observed/report-index.ts'
import type { ControllerSettings } from '../services.ts'
import { type JudgedHost, judgeHosts, type Observed } from './judge-hosts.ts'
import type { JudgedInstance } from './judge-instance.ts'
import { type Generations, indexGenerations, judgeInstances } from './judge-instances.ts'
import type { ReconcileOperation } from './operation.ts'
import { planInstances } from './plan-instances.ts'
import { planStatuses } from './plan-statuses.ts'
import type { HostContent } from './render-host-instructions.ts'
import { isLeaving, type Snapshot } from './snapshot.ts'
import { stampGenerations } from './stamp-generations.ts'

export interface ReconcileInput {
  readonly snapshot: Snapshot
  /** By host name, from `renderAllHosts` of this snapshot. */
  readonly contents: ReadonlyMap<string, HostContent>
  /** What is on the bus, by host name. */
  readonly published: ReadonlyMap<string, HostInstructions>
  readonly observed: Observed
  /** Of balancers that are scaled. */
  readonly loads: ReadonlyMap<string, ScalingLoad>
  readonly settings: Pick<ControllerSettings, 'uplinkGateway' | 'life' | 'names'>
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** What the rest of a turn follows from: the hosts as they are heard, and what each is told from this turn on. */
export interface TurnView extends ReconcileInput {
  /** By host id. */
  readonly hosts: ReadonlyMap<string, JudgedHost>
  /** By host name. */
  readonly statements: ReadonlyMap<string, HostInstructions>
  readonly generations: Generations
  /** By instance id. */
  readonly judged: ReadonlyMap<string, JudgedInstance>
}

export function planReconcile(input: ReconcileInput): readonly ReconcileOperation[] {
  const { snapshot, observed, now, settings } = input
  const { life } = settings
  const hosts = judgeHosts(snapshot, observed, now)
  const stamped = stampStatements(input, planWitnesses({ snapshot, hosts }, settings.uplinkGateway))
  const statements = new Map([...input.published, ...stamped.map((statement) => [statement.host, statement] as const)])
  const generations = indexGenerations(statements)
  const judged = judgeInstances({ snapshot, hosts, life, now }, generations)
  const view: TurnView = { ...input, hosts, statements, generations, judged }
  const breaker = planBreaker({ snapshot, hosts, judged, life, now })
  const lives = planLife({ snapshot, hosts, judged, life, now, isHeldBack: breaker.isOpen })
  return [
    ...stamped.map((statement) => ({ kind: 'publishInstructions', statement }) as const),
    ...breaker.operations,
    ...planScaling(view),
    ...planInstances(view),
    ...lives.map((operation) => ({ kind: 'live', operation }) as const),
    ...planFarewells(view),
    ...planMigrations(view).map((operation) => ({ kind: 'migrate', operation }) as const),
    ...planStatuses(view),
  ]
}

/** What was found to say the same as what is published, so that what has not changed is not compared again. */
const sameAs = new WeakMap<HostContent, HostInstructions>()

/** The statements that differ from what is published, that of a deleted host included: nothing is left for it to do. */
function stampStatements(
  { contents, published, observed, now }: ReconcileInput,
  witnesses: ReadonlyMap<string, WitnessInstructions>,
): readonly HostInstructions[] {
  const issuedAt = new Date(now).toISOString()
  const names = new Set([...contents.keys(), ...published.keys()])
  return [...names].flatMap((host) => {
    const content = contents.get(host) ?? { host, networks: [], machines: [], instances: [] }
    const known = published.get(host) ?? null
    const floor = observed.get(host)?.report.generation ?? 0
    const witness = witnesses.get(host)
    const isAskedTheSame = Bun.deepEquals(witness, known?.witness)
    if (known !== null && isAskedTheSame && sameAs.get(content) === known && known.generation >= floor) return []
    const statement = stampGenerations(content, known, { floor, issuedAt, witness })
    if (statement !== null) return [statement]
    if (known !== null) sameAs.set(content, known)
    return []
  })
}

/** What is being deleted and every host has given up. */
function planFarewells(view: TurnView): readonly ReconcileOperation[] {
  const { snapshot } = view
  const instancesOf = new Map<string, StoredObject<InstanceValue>[]>()
  for (const instance of snapshot.instances.values()) {
    const { loadBalancerId } = instance.value
    instancesOf.set(loadBalancerId, [...(instancesOf.get(loadBalancerId) ?? []), instance])
  }
  const statusVersionOf = (id: string) => snapshot.instanceStatuses.get(id)?.version ?? null
  const operations: ReconcileOperation[] = []
  for (const machine of snapshot.machines.values()) {
    if (machine.value.deletingSince === undefined) continue
    if (!isGivenUp(view, machine.value.hostId, machine.id, 'machines')) continue
    const statusVersion = snapshot.machineStatuses.get(machine.id)?.version ?? null
    operations.push({ kind: 'finishMachine', machine, statusVersion })
  }
  for (const loadBalancer of snapshot.loadBalancers.values()) {
    if (loadBalancer.value.deletingSince === undefined) continue
    const own = instancesOf.get(loadBalancer.id) ?? []
    if (!own.every(({ id, value }) => isGivenUp(view, value.hostId, id, 'instances'))) continue
    operations.push({
      kind: 'finishLoadBalancer',
      loadBalancer,
      status: snapshot.loadBalancerStatuses.get(loadBalancer.id) ?? null,
      slots: snapshot.slots.get(loadBalancer.id) ?? null,
      scaling: snapshot.scalings.get(loadBalancer.id) ?? null,
      instances: own.map((instance) => ({ instance, statusVersion: statusVersionOf(instance.id) })),
    })
  }
  for (const [loadBalancerId, instances] of instancesOf) {
    const loadBalancer = snapshot.loadBalancers.get(loadBalancerId)
    if (loadBalancer?.value.deletingSince !== undefined) continue
    for (const instance of instances) {
      if (!isLeaving(snapshot, instance)) continue
      if (!isGivenUp(view, instance.value.hostId, instance.id, 'instances')) continue
      operations.push({ kind: 'finishInstance', instance, statusVersion: statusVersionOf(instance.id) })
    }
  }
  return operations
}

/**
 * True when nothing of it can be left on its host: the host itself is gone, or was never told of it, or answers a
 * statement without it and does not list it. A silent host has given up nothing.
 */
export function isGivenUp(view: TurnView, hostId: string, id: string, list: 'machines' | 'instances'): boolean {
  const host = view.hosts.get(hostId)
  if (host === undefined) return true
  const published = view.published.get(host.name)
  if (published === undefined) return true
  if (published[list].some((object) => object.id === id) || host.hearing.kind !== 'heard') return false
  const { report } = host.hearing
  const isListed = list === 'machines' ? findMachineReport(report, id) : findInstanceReport(report, id)
  return report.generation >= published.generation && isListed === undefined
}
