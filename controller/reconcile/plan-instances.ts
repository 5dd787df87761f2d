/**
 * Which instances balancers are given, and which of their slots go: pure. What is wanted comes from callers, or from
 * scaling; both ways go step by step, so that a change of mind at any of them costs nothing.
 */

import type { EventDraft, StoredObject } from '../control-plane/store.ts'
import { listHostCandidates } from '../load-balancing/host-candidates.ts'
import { placeInstances } from '../load-balancing/place-instances.ts'
import type { Addition } from '../load-balancing/prepare-instances.ts'
import { advanceSlots, isStaying } from '../load-balancing/scaling/advance-slots.ts'
import { settleTraffic } from '../load-balancing/settle-traffic.ts'
import { unlistedSince } from '../names/unlisted-since.ts'
import type { LoadBalancerValue, SlotValue } from '../objects.ts'
import { findInstanceReport } from '../observed/report-index.ts'
import type { ReconcileOperation } from './operation.ts'
import type { TurnView } from './plan-reconcile.ts'
import { countFreeAddresses, type Snapshot, wantedCount } from './snapshot.ts'

/** Each balancer has as many instances as it wants, as far as there are hosts. */
export function planInstances(view: TurnView): readonly ReconcileOperation[] {
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
    const change = planSlots(view, loadBalancer)
    if (change !== null) return [change]
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
  { snapshot, now }: TurnView,
  loadBalancer: StoredObject<LoadBalancerValue>,
): readonly Omit<Addition, 'hostId'>[] {
  const slots = snapshot.slots.get(loadBalancer.id)?.value.slots ?? []
  const wanted = wantedCount(snapshot, loadBalancer, now)
  const staying = slots.filter(isStaying)
  const empty = staying
    .filter(({ instanceId }) => !isPlaced(snapshot, instanceId))
    .map(({ slot, vip, former }) => ({ slot, vip, former }))
  const missing = Math.max(0, wanted - staying.length)
  const used = new Set(slots.map(({ slot }) => slot))
  const fresh = Array.from({ length: wanted + slots.length }, (_, i) => i + 1).filter((slot) => !used.has(slot))
  return [...empty, ...fresh.slice(0, missing).map((slot) => ({ slot, vip: null }))]
}

/** One whose host has been deleted has no place any more: its slot is given another. */
function isPlaced({ hosts, instances }: Snapshot, instanceId: string | null): boolean {
  const instance = instances.get(instanceId ?? '')
  return instance !== undefined && hosts.has(instance.value.hostId)
}

function listOccupied({ snapshot }: TurnView, loadBalancer: StoredObject<LoadBalancerValue>): readonly string[] {
  const slots = snapshot.slots.get(loadBalancer.id)?.value.slots ?? []
  return slots.flatMap((slot) => instancesIn(snapshot, slot).map(({ value }) => value.hostId))
}

/** With who had it before, until that is decided. */
const instancesIn = ({ instances }: Snapshot, { instanceId, former }: SlotValue) =>
  [instanceId, former?.instanceId].flatMap((id) => instances.get(id ?? '') ?? [])

/** One step of those on their way out, or back; null: there is none to take now. */
function planSlots(view: TurnView, loadBalancer: StoredObject<LoadBalancerValue>): ReconcileOperation | null {
  const { snapshot, settings, now } = view
  const slots = snapshot.slots.get(loadBalancer.id)
  if (slots === undefined) return null
  const name = settings.names === null ? undefined : snapshot.names.get(loadBalancer.id)?.value
  const change = advanceSlots({
    slots: slots.value.slots,
    wantedCount: wantedCount(snapshot, loadBalancer, now),
    nameSeconds: settings.names?.ttlSeconds ?? 0,
    unlistedSince: (slot) => unlistedSince(slot, name),
    drainSeconds: settleTraffic(loadBalancer.value).timeouts.drainSeconds,
    isPlaced: ({ instanceId }) => isPlaced(snapshot, instanceId),
    isDrained: ({ instanceId }) => isDrained(view, instanceId ?? ''),
    now,
  })
  if (change === null) return null
  const kept = { slots: change.kept }
  const events = describeSlotChanges(view, loadBalancer, slots.value.slots, change.kept)
  if (change.retired.length === 0) return { kind: 'markSlots', slots, marked: kept, events }
  const instances = change.retired.flatMap((slot) => instancesIn(snapshot, slot))
  return { kind: 'retireInstances', slots, kept, events, instances, deletingSince: new Date(now).toISOString() }
}

/** Its host was told that it drains, and says that nobody is left; or that it serves nobody anyway. */
const isDrained = (view: TurnView, instanceId: string): boolean => findReport(view, instanceId)?.drained === true

function findReport({ snapshot, hosts }: TurnView, instanceId: string) {
  const host = hosts.get(snapshot.instances.get(instanceId)?.value.hostId ?? '')
  return host?.hearing.kind === 'heard' ? findInstanceReport(host.hearing.report, instanceId) : undefined
}

function describeSlotChanges(
  view: TurnView,
  { id, value }: StoredObject<LoadBalancerValue>,
  before: readonly SlotValue[],
  after: readonly SlotValue[],
): readonly EventDraft[] {
  return before.flatMap(({ slot, vip, instanceId, leavingSince }): EventDraft[] => {
    const next = after.find((other) => other.slot === slot)
    const word = next === undefined ? 'drained' : isStaying(next) ? 'kept' : 'withdrawn'
    const was = leavingSince === undefined ? 'kept' : 'withdrawn'
    if (word === was || instanceId === null) return []
    const connectionsCut = word === 'drained' ? findReport(view, instanceId)?.connectionsCut : undefined
    const data = { loadBalancerId: id, slot, vip, ...(connectionsCut !== undefined && { connectionsCut }) }
    return [{ type: `load-balancer.instance.${word}`, projectId: value.projectId, subject: instanceId, data }]
  })
}
