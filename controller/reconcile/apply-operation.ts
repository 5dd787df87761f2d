/**
 * Does what a plan says, and says how it went. Each step may be done again: what it takes carries its owner, what it
 * writes is written at the version that the plan saw. A step that fails is a value; the next turn plans it anew.
 */

import { releaseAll } from '../access/change-object.ts'
import { applyMigration } from '../address-space/migration/apply-migration.ts'
import { type ApplyOutcome, applyTransaction, done, failed, overtaken } from '../control-plane/apply-outcome.ts'
import { type EventDraft, type Kind, type StoredObject, shardKeyOf, type Write, write } from '../control-plane/store.ts'
import { applyLife } from '../load-balancing/life/apply-life.ts'
import { type InstanceMeans, type InstanceRequest, prepareInstances } from '../load-balancing/prepare-instances.ts'
import {
  hostKind,
  type InstanceValue,
  instanceKind,
  instanceStatusKind,
  type LoadBalancerSlotsValue,
  loadBalancerKind,
  loadBalancerScalingKind,
  loadBalancerSlotsKind,
  loadBalancerStatusKind,
  machineKind,
  machineStatusKind,
  systemClient,
} from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import type { ReconcileOperation } from './operation.ts'
import type { Publisher } from './publisher.ts'

export interface ApplyContext extends InstanceMeans, Pick<ControllerContext, 'store' | 'now' | 'random'> {
  readonly publisher: Publisher
}

type OperationOf<KindName extends ReconcileOperation['kind']> = Extract<ReconcileOperation, { kind: KindName }>

export async function applyOperation(context: ApplyContext, operation: ReconcileOperation): Promise<ApplyOutcome> {
  switch (operation.kind) {
    case 'publishInstructions':
      return (await context.publisher.publish(operation.statement)) ? done : overtaken
    case 'recordStatus':
      return recordStatuses(context, [operation])
    case 'addInstances':
      return addInstances(context, operation)
    case 'scale':
      return scale(context, operation)
    case 'forgetScaling':
      return applyTransaction(context, {
        writes: [tombstone(loadBalancerScalingKind, operation.scaling.id, operation.scaling.version)],
      })
    case 'markSlots':
      return applyTransaction(context, {
        writes: [writeSlots(operation.slots, operation.marked)],
        events: operation.events,
      })
    case 'retireInstances':
      return retireInstances(context, operation)
    case 'finishInstance':
      return finishInstance(context, operation)
    case 'finishMachine':
      return finishMachine(context, operation)
    case 'finishLoadBalancer':
      return finishLoadBalancer(context, operation)
    case 'migrate':
      return applyMigration(context, operation.operation)
    case 'live':
      return applyLife(context, operation.operation)
    default:
      return operation satisfies never
  }
}

/** Statuses of one entity group, in one transaction. */
export async function recordStatuses(
  context: ApplyContext,
  operations: readonly OperationOf<'recordStatus'>[],
): Promise<ApplyOutcome> {
  const traceparent = operations[0]?.traceparent
  return applyTransaction(context, {
    writes: operations.map((operation) => operation.write),
    events: operations.flatMap(({ events }) => events),
    ...(traceparent === undefined ? {} : { traceparent }),
  })
}

/** Operations that can be recorded together: of one entity group and one trace, and few enough for a transaction. */
export function groupStatuses(
  operations: readonly OperationOf<'recordStatus'>[],
): readonly (readonly OperationOf<'recordStatus'>[])[] {
  const groups = new Map<string, { operations: OperationOf<'recordStatus'>[]; messages: number }[]>()
  for (const operation of operations) {
    const { kind, id } = operation.write
    const key = `${shardKeyOf(kind, id)} ${operation.traceparent ?? ''}`
    const batches = groups.get(key) ?? []
    groups.set(key, batches)
    const messages = 1 + operation.events.length
    const open = batches.at(-1)
    if (open !== undefined && open.messages + messages <= recordMessagesMaximum) {
      open.operations.push(operation)
      open.messages += messages
    } else batches.push({ operations: [operation], messages })
  }
  return [...groups.values()].flat().map((batch) => batch.operations)
}

const recordMessagesMaximum = 400

async function addInstances(context: ApplyContext, operation: OperationOf<'addInstances'>): Promise<ApplyOutcome> {
  const { loadBalancer, slots, additions } = operation
  const request: InstanceRequest = {
    loadBalancerId: loadBalancer.id,
    loadBalancer: loadBalancer.value,
    slots,
    additions,
  }
  const prepared = await prepareInstances(context, request)
  // What was taken stays taken for the next turn, or is swept: another controller may be writing the very same.
  if (!prepared.ok) return failed(prepared.problem.detail)
  // The balancer's own version is not held to: whether it is being deleted shows in its instances' next turn.
  const { writes, events } = prepared.value
  return applyTransaction(context, { writes, events, ...traceOf(loadBalancer) })
}

async function scale(
  context: ApplyContext,
  { loadBalancer: { id }, scaling, value, events }: OperationOf<'scale'>,
): Promise<ApplyOutcome> {
  const expect = scaling?.version ?? 'absent'
  return applyTransaction(context, {
    writes: [write({ kind: loadBalancerScalingKind, id, expect, value })],
    events,
  })
}

async function retireInstances(
  context: ApplyContext,
  { slots, kept, events, instances, deletingSince }: OperationOf<'retireInstances'>,
): Promise<ApplyOutcome> {
  const leaving = instances.map(({ id, version, value }) =>
    write({ kind: instanceKind, id, expect: version, value: { ...value, deletingSince } }),
  )
  return applyTransaction(context, { writes: [writeSlots(slots, kept), ...leaving], events })
}

const writeSlots = ({ id, version }: StoredObject<LoadBalancerSlotsValue>, value: LoadBalancerSlotsValue): Write =>
  write({ kind: loadBalancerSlotsKind, id, expect: version, value })

async function finishInstance(
  context: ApplyContext,
  { instance, statusVersion }: OperationOf<'finishInstance'>,
): Promise<ApplyOutcome> {
  if (!(await areCurrent(context, [instance.value.hostId]))) return overtaken
  const outcome = await applyTransaction(context, {
    writes: tombstonesOf(instance, statusVersion),
    events: [describeInstanceDeleted(instance)],
    ...traceOf(instance),
  })
  if (outcome.kind === 'done') await giveBackLegs(context, instance.id)
  return outcome
}

async function finishMachine(
  context: ApplyContext,
  { machine, statusVersion }: OperationOf<'finishMachine'>,
): Promise<ApplyOutcome> {
  if (!(await areCurrent(context, [machine.value.hostId]))) return overtaken
  const { id, version, value } = machine
  const { name, networkId, projectId } = value
  const outcome = await applyTransaction(context, {
    writes: [tombstone(machineKind, id, version), ...tombstoneIf(machineStatusKind, id, statusVersion)],
    events: [{ type: 'machine.deleted', projectId, subject: id, data: { name, networkId } }],
    ...traceOf(machine),
  })
  if (outcome.kind === 'done') {
    await Promise.all([context.allocator.releaseAddresses(id), releaseAll(context, id, [projectId])])
  }
  return outcome
}

async function finishLoadBalancer(
  context: ApplyContext,
  { loadBalancer, status, slots, scaling, instances }: OperationOf<'finishLoadBalancer'>,
): Promise<ApplyOutcome> {
  const { id, version, value } = loadBalancer
  const hostIds = instances.map(({ instance }) => instance.value.hostId)
  if (!(await areCurrent(context, hostIds))) return overtaken
  const outcome = await applyTransaction(context, {
    writes: [
      tombstone(loadBalancerKind, id, version),
      ...tombstoneIf(loadBalancerStatusKind, id, status?.version ?? null),
      ...tombstoneIf(loadBalancerSlotsKind, id, slots?.version ?? null),
      ...tombstoneIf(loadBalancerScalingKind, id, scaling?.version ?? null),
      ...instances.flatMap(({ instance, statusVersion }) => tombstonesOf(instance, statusVersion)),
    ],
    events: [
      ...instances.map(({ instance }) => describeInstanceDeleted(instance)),
      { type: 'load-balancer.deleted', projectId: value.projectId, subject: id, data: { name: value.name } },
    ],
    ...traceOf(loadBalancer),
  })
  if (outcome.kind === 'done') {
    // Its name, its unit of quota and its VIPs.
    const own = releaseAll(context, id, [value.projectId, systemClient])
    await Promise.all([own, ...instances.map(({ instance }) => giveBackLegs(context, instance.id))])
  }
  return outcome
}

/**
 * A host has given up what it does not report only if nobody has told it of that meanwhile: what this controller knows of
 * the statement may be older than what another one has published.
 */
async function areCurrent({ store, publisher }: ApplyContext, hostIds: readonly string[]): Promise<boolean> {
  const hosts = await Promise.all([...new Set(hostIds)].map((hostId) => store.get(hostKind, hostId)))
  const current = await Promise.all(hosts.map((host) => host === null || publisher.isCurrent(host.value.name)))
  return current.every(Boolean)
}

/** After the tombstone, so that what is there always has what it says; a crash between leaves it to the sweep. */
async function giveBackLegs(context: ApplyContext, instanceId: string): Promise<void> {
  await Promise.all([context.allocator.releaseAddresses(instanceId), context.uplink.giveBack(instanceId)])
}

const tombstone = <Value>(kind: Kind<Value>, id: string, version: number): Write =>
  write<Value>({ kind, id, expect: version, value: null })

const tombstoneIf = <Value>(kind: Kind<Value>, id: string, version: number | null): Write[] =>
  version === null ? [] : [tombstone(kind, id, version)]

const tombstonesOf = ({ id, version }: StoredObject<InstanceValue>, statusVersion: number | null): Write[] => [
  tombstone(instanceKind, id, version),
  ...tombstoneIf(instanceStatusKind, id, statusVersion),
]

const describeInstanceDeleted = ({ id, value }: StoredObject<InstanceValue>): EventDraft => ({
  type: 'load-balancer.instance.deleted',
  projectId: value.projectId,
  subject: id,
  data: { loadBalancerId: value.loadBalancerId, slot: value.slot },
})

const traceOf = ({ traceparent }: StoredObject<unknown>) => (traceparent === undefined ? {} : { traceparent })
