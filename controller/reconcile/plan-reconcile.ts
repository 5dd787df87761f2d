/**
 * What is to be done for the world to become what is desired, and what is to be recorded of what was found: desired +
 * observed → operations. Pure, and stable: planned again after everything is done, there is nothing to do.
 */

import type { HostInstructions, WitnessInstructions } from '../../agent/contract/host-instructions.ts'
import { planMigrations } from '../address-space/migration/plan-migrations.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { listHostCandidates } from '../load-balancing/host-candidates.ts'
import { planBreaker } from '../load-balancing/life/plan-breaker.ts'
import { planLife } from '../load-balancing/life/plan-life.ts'
import { planWitnesses } from '../load-balancing/life/testimonies.ts'
import { placeInstances } from '../load-balancing/place-instances.ts'
import type { Addition } from '../load-balancing/prepare-instances.ts'
import type { InstanceValue, LoadBalancerValue } from '../objects.ts'
import { findInstanceReport, findMachineReport } from '../observed/report-index.ts'
import type { ControllerSettings } from '../services.ts'
import { type JudgedHost, judgeHosts, type Observed } from './judge-hosts.ts'
import type { JudgedInstance } from './judge-instance.ts'
import { type Generations, indexGenerations, judgeInstances } from './judge-instances.ts'
import type { ReconcileOperation } from './operation.ts'
import { planStatuses } from './plan-statuses.ts'
import type { HostContent } from './render-host-instructions.ts'
import { countFreeAddresses, isLeaving, type Snapshot } from './snapshot.ts'
import { stampGenerations } from './stamp-generations.ts'

export interface ReconcileInput {
  readonly snapshot: Snapshot
  /** By host name, from `renderAllHosts` of this snapshot. */
  readonly contents: ReadonlyMap<string, HostContent>
  /** What is on the bus, by host name. */
  readonly published: ReadonlyMap<string, HostInstructions>
  readonly observed: Observed
  readonly settings: Pick<ControllerSettings, 'uplinkGateway' | 'life'>
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

/** Each balancer has as many instances as it wants, as far as there are hosts. */
function planInstances(view: TurnView): readonly ReconcileOperation[] {
  const { snapshot } = view
  const candidates = listHostCandidates({
    hosts: snapshot.hosts.values(),
    hostStatuses: snapshot.hostStatuses.values(),
    instances: snapshot.instances.values(),
    machines: snapshot.machines.values(),
  })
  const placed = new Map<string, number>()
  return [...snapshot.loadBalancers.values()].flatMap((loadBalancer): ReconcileOperation[] => {
    if (loadBalancer.value.deletingSince !== undefined) return []
    const slots = snapshot.slots.get(loadBalancer.id) ?? null
    const surplus = planSurplus(view, loadBalancer)
    if (surplus !== null) return [surplus]
    const empty = listEmptySlots(view, loadBalancer)
    if (empty.length === 0) return []
    // What can't have an address is not begun with; its balancer's status says so.
    const wanted = empty.slice(0, Math.max(0, countFreeAddresses(snapshot, loadBalancer.value.networkId)))
    const hosts = placeInstances({
      count: wanted.length,
      hosts: candidates.map((host) => ({ ...host, instances: host.instances + (placed.get(host.id) ?? 0) })),
      occupied: listOccupied(view, loadBalancer),
    })
    const additions = wanted.flatMap((slot, i): Addition[] => {
      const host = hosts[i]
      if (host === undefined) return []
      placed.set(host.id, (placed.get(host.id) ?? 0) + 1)
      return [{ ...slot, hostId: host.id }]
    })
    return additions.length === 0 ? [] : [{ kind: 'addInstances', loadBalancer, slots, additions }]
  })
}

function listEmptySlots(
  { snapshot }: TurnView,
  { id, value }: StoredObject<LoadBalancerValue>,
): readonly Omit<Addition, 'hostId'>[] {
  const slots = snapshot.slots.get(id)?.value.slots ?? []
  const empty = slots
    .filter(({ instanceId }) => !isPlaced(snapshot, instanceId))
    .map(({ slot, vip, former }) => ({ slot, vip, former }))
  const missing = Math.max(0, value.instanceCount - slots.length)
  const used = new Set(slots.map(({ slot }) => slot))
  const fresh = Array.from({ length: value.instanceCount + slots.length }, (_, i) => i + 1).filter(
    (slot) => !used.has(slot),
  )
  return [...empty, ...fresh.slice(0, missing).map((slot) => ({ slot, vip: null }))]
}

/** One whose host has been deleted has no place any more: its slot is given another. */
function isPlaced({ hosts, instances }: Snapshot, instanceId: string | null): boolean {
  const instance = instances.get(instanceId ?? '')
  return instance !== undefined && hosts.has(instance.value.hostId)
}

function listOccupied({ snapshot }: TurnView, loadBalancer: StoredObject<LoadBalancerValue>): readonly string[] {
  const slots = snapshot.slots.get(loadBalancer.id)?.value.slots ?? []
  return slots.flatMap(({ instanceId, former }) =>
    [instanceId, former?.instanceId].flatMap((id) => snapshot.instances.get(id ?? '')?.value.hostId ?? []),
  )
}

/** The highest slots go first. */
function planSurplus(
  { snapshot, now }: TurnView,
  { id, value }: StoredObject<LoadBalancerValue>,
): ReconcileOperation | null {
  const slots = snapshot.slots.get(id)
  if (slots === undefined || slots.value.slots.length <= value.instanceCount) return null
  const sorted = slots.value.slots.toSorted((a, b) => a.slot - b.slot)
  const kept = { slots: sorted.slice(0, value.instanceCount) }
  const instances = sorted
    .slice(value.instanceCount)
    .flatMap(({ instanceId, former }) => [instanceId, former?.instanceId])
    .flatMap((id) => snapshot.instances.get(id ?? '') ?? [])
  return { kind: 'retireInstances', slots, kept, instances, deletingSince: new Date(now).toISOString() }
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
