/** What is to be recorded of what hosts report: each object's status, with the events of its change. Pure. */

import { type EventDraft, type Kind, type StoredObject, write } from '../control-plane/store.ts'
import { endpointOf } from '../load-balancing/members.ts'
import { isStaying } from '../load-balancing/scaling/advance-slots.ts'
import {
  hostStatusKind,
  type InstanceStatusValue,
  type InstanceValue,
  instanceStatusKind,
  type LoadBalancerStatusValue,
  type LoadBalancerValue,
  loadBalancerStatusKind,
  type MachineStatusValue,
  type MachineValue,
  machineStatusKind,
} from '../objects.ts'
import type { JudgedHost } from './judge-hosts.ts'
import type { JudgedInstance } from './judge-instance.ts'
import { type Generations, gone } from './judge-instances.ts'
import { judgeLoadBalancer } from './judge-load-balancer.ts'
import { describeLeaving, judgeMachine } from './judge-machine.ts'
import type { ReconcileOperation } from './operation.ts'
import type { TurnView } from './plan-reconcile.ts'
import { countFreeAddresses, type Snapshot, wantedCount } from './snapshot.ts'

type RecordStatus = Extract<ReconcileOperation, { kind: 'recordStatus' }>

export function planStatuses(view: TurnView): readonly RecordStatus[] {
  const { generations, judged: instances } = view
  return [
    ...[...view.hosts.values()].flatMap((host) => recordHost(view, host)),
    ...[...view.snapshot.machines.values()].flatMap((machine) => recordMachine(view, machine, generations)),
    ...[...view.snapshot.instances.values()].flatMap((instance) => recordInstance(view, instance, instances)),
    ...recordLoadBalancers(view, instances),
  ]
}

function recordHost(view: TurnView, host: JudgedHost): RecordStatus[] {
  const before = view.snapshot.hostStatuses.get(host.id)
  if (before?.value.status === host.status) return []
  const since = new Date(view.now).toISOString()
  const name = host.name
  const events: EventDraft[] = []
  const tell = (type: string, data: unknown) => events.push({ type, projectId: null, subject: host.id, data })
  if (host.status === 'silent' && host.hearing.kind === 'silent') {
    tell('host.silenced', { name, lastReportAt: host.hearing.since })
  }
  if (host.status === 'active' && before?.value.status === 'silent') tell('host.recovered', { name })
  return [record(hostStatusKind, host, before, { status: host.status, since }, events)]
}

function recordMachine(view: TurnView, machine: StoredObject<MachineValue>, generations: Generations): RecordStatus[] {
  const { snapshot, now } = view
  const before = snapshot.machineStatuses.get(machine.id)
  const host = view.hosts.get(machine.value.hostId)
  const status = judgeMachine({
    machine,
    before: before?.value ?? null,
    host: host?.name ?? machine.value.hostId,
    hearing: host?.hearing ?? gone,
    generation: generations.get(machine.id),
    now,
  })
  if (isSame(status, before)) return []
  const { name, projectId, addresses, hostId } = machine.value
  const events: EventDraft[] = []
  const tell = (type: string, data: unknown) => events.push({ type, projectId, subject: machine.id, data })
  if (status.status !== before?.value.status) {
    if (status.status === 'active') {
      tell('machine.activated', { name, hostId, addresses: addresses.map(({ address }) => address) })
    }
    if (status.status === 'failed') tell('machine.failed', { name, reason: reasonOf(status) })
  }
  return [record(machineStatusKind, machine, before, status, events)]
}

function recordInstance(
  view: TurnView,
  instance: StoredObject<InstanceValue>,
  instances: ReadonlyMap<string, JudgedInstance>,
): RecordStatus[] {
  const before = view.snapshot.instanceStatuses.get(instance.id)
  const status = instances.get(instance.id)?.status
  if (status === undefined || isSame(status, before)) return []
  const { loadBalancerId, slot, hostId, projectId } = instance.value
  const events: EventDraft[] = []
  const tell = (type: string, data: unknown) => events.push({ type, projectId, subject: instance.id, data })
  if (status.status !== before?.value.status) {
    const from = before?.value.status ?? 'placing'
    const change = { from, to: status.status, reason: reasonOf(status) }
    tell('load-balancer.instance.changed', { loadBalancerId, slot, hostId, ...change })
    if (status.status === 'active') tell('load-balancer.instance.activated', { loadBalancerId, slot, hostId })
    if (status.status === 'suspect') {
      tell('load-balancer.instance.suspected', { loadBalancerId, slot, reason: reasonOf(status) })
    }
  }
  return [record(instanceStatusKind, instance, before, status, events)]
}

function recordLoadBalancers(view: TurnView, instances: ReadonlyMap<string, JudgedInstance>): RecordStatus[] {
  const { snapshot, now } = view
  const leaving = describeAllLeaving(view)
  return [...snapshot.loadBalancers.values()].flatMap((loadBalancer) => {
    const before = snapshot.loadBalancerStatuses.get(loadBalancer.id)
    const slots = (snapshot.slots.get(loadBalancer.id)?.value.slots ?? []).filter(isStaying)
    const wanted = wantedCount(snapshot, loadBalancer, now)
    const status = judgeLoadBalancer({
      loadBalancer,
      before: before?.value ?? null,
      slots,
      wantedCount: wanted,
      instances,
      obstacle: slots.length < wanted ? describeObstacle(view, loadBalancer.value.networkId) : undefined,
      leaving: leaving.get(loadBalancer.id) ?? [],
      now,
    })
    if (isSame(status, before)) return []
    const events = [
      ...describeLoadBalancerChange(
        loadBalancer,
        before?.value,
        status,
        slots.map(({ vip }) => vip),
      ),
      ...describeMemberChanges(snapshot, loadBalancer, before?.value, status),
    ]
    return [record(loadBalancerStatusKind, loadBalancer, before, status, events)]
  })
}

/** Why no further instance can be placed on a network, if none can. */
function describeObstacle({ snapshot, hosts }: TurnView, networkId: string): string | undefined {
  const isAnyActive = [...hosts.values()].some(
    ({ id, status }) => status === 'active' && snapshot.hosts.get(id)?.value.maintenance === false,
  )
  if (!isAnyActive) return 'no host is active'
  if (countFreeAddresses(snapshot, networkId) > 0) return undefined
  return 'the network has no free address; allocate another shard to it'
}

/** By balancer that is being deleted, what its remaining instances wait for. */
function describeAllLeaving({ snapshot, hosts }: TurnView): ReadonlyMap<string, readonly string[]> {
  const leaving = new Map<string, string[]>()
  for (const { value } of snapshot.instances.values()) {
    if (snapshot.loadBalancers.get(value.loadBalancerId)?.value.deletingSince === undefined) continue
    const host = hosts.get(value.hostId)
    if (host === undefined) continue
    const { message } = describeLeaving(host.name, host.hearing)
    leaving.set(value.loadBalancerId, [...(leaving.get(value.loadBalancerId) ?? []), message])
  }
  return leaving
}

function describeLoadBalancerChange(
  { id, value }: StoredObject<LoadBalancerValue>,
  before: LoadBalancerStatusValue | undefined,
  status: LoadBalancerStatusValue,
  vips: readonly string[],
): readonly EventDraft[] {
  if (status.status === before?.status) return []
  const { name, projectId } = value
  switch (status.status) {
    case 'active':
      return [{ type: 'load-balancer.activated', projectId, subject: id, data: { name, vips } }]
    case 'degraded':
    case 'failed':
      return [
        { type: `load-balancer.${status.status}`, projectId, subject: id, data: { name, reason: reasonOf(status) } },
      ]
    case 'provisioning':
    case 'deleting':
      return []
    default:
      return status.status satisfies never
  }
}

function describeMemberChanges(
  snapshot: Snapshot,
  { id, value }: StoredObject<LoadBalancerValue>,
  before: LoadBalancerStatusValue | undefined,
  status: LoadBalancerStatusValue,
): readonly EventDraft[] {
  const addressOfMachine = (machineId: string) => snapshot.machines.get(machineId)?.value.addresses[0]?.address
  return value.members.flatMap((member): EventDraft[] => {
    const now = status.members?.[member.id] ?? 'unknown'
    if (now === (before?.members?.[member.id] ?? 'unknown')) return []
    const address = endpointOf(member, value.trafficType, addressOfMachine)?.address ?? ''
    const data = { loadBalancerId: id, memberId: member.id, address, status: now }
    return [{ type: 'load-balancer.member.changed', projectId: value.projectId, subject: id, data }]
  })
}

function record<Value>(
  kind: Kind<Value>,
  object: { readonly id: string; readonly traceparent?: string | undefined },
  before: StoredObject<Value> | undefined,
  value: Value,
  events: readonly EventDraft[],
): RecordStatus {
  const { id, traceparent } = object
  return {
    kind: 'recordStatus',
    write: write({ kind, id, expect: before?.version ?? 'absent', value }),
    events,
    ...(traceparent === undefined ? {} : { traceparent }),
  }
}

const isSame = <Value>(status: Value, before: StoredObject<Value> | undefined) =>
  before !== undefined && Bun.deepEquals(status, before.value)

function reasonOf(status: MachineStatusValue | InstanceStatusValue | LoadBalancerStatusValue): string {
  return status.conditions[0]?.message ?? status.status
}
