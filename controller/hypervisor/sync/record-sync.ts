/**
 * Records how a host's sync went: its status, an event when that changes, and an escalation for what a plan would destroy
 * that nobody asked for, which `retry` allows. Touches the store.
 */

import { createId } from '../../control-plane/shard-key.ts'
import { type EventDraft, type Store, type StoredObject, write } from '../../control-plane/store.ts'
import { type EscalationValue, escalationKind } from '../../control-plane/writes/kept-kinds.ts'
import { systemClient } from '../../objects.ts'
import type { ControllerContext, RequestInfo } from '../../services.ts'
import {
  type HypervisorStatusValue,
  type HypervisorValue,
  hypervisorKind,
  hypervisorStatusKind,
  unknownStatus,
} from '../hypervisor-kinds.ts'
import type { PlannedHarm } from './judge-plan.ts'
import { hostStack, type SyncOutcome } from './sync-host.ts'

type Context = Pick<ControllerContext, 'now' | 'random'> & { readonly store: Store }

/** What others wrote meanwhile is seen by the next sync, which records anew. */
export async function recordSync(
  context: Context,
  { id, version, value }: StoredObject<HypervisorValue>,
  outcome: SyncOutcome,
  request: RequestInfo,
): Promise<void> {
  const { store } = context
  const before = await store.get(hypervisorStatusKind, id)
  const known = before?.value ?? unknownStatus
  const escalationId =
    outcome.kind === 'refused' ? await raise(context, id, value, known, outcome.harms, request) : null
  const status = { ...describeStatus(known, outcome, new Date(context.now()).toISOString()), escalationId }
  const isTold = known.status !== status.status || known.trouble?.reason !== status.trouble?.reason
  const events = isTold || changesOf(outcome).length > 0 ? [describeEvent(id, value.host, outcome)] : []
  // What was allowed was for this plan, and for no other.
  const isUsed = outcome.kind === 'converged' && value.allowed.length > 0
  await store.transact({
    writes: [
      write({ kind: hypervisorStatusKind, id, expect: before?.version ?? 'absent', value: status }),
      ...(isUsed ? [write({ kind: hypervisorKind, id, expect: version, value: { ...value, allowed: [] } })] : []),
    ],
    events,
    actionId: request.actionId,
    traceparent: request.traceparent,
  })
}

/** Nothing of ours is on it any more. */
export async function forgetHypervisor(
  { store }: Context,
  { id, version }: StoredObject<HypervisorValue>,
  { actionId, traceparent }: RequestInfo,
): Promise<void> {
  const status = await store.get(hypervisorStatusKind, id)
  await store.transact({
    writes: [
      write({ kind: hypervisorKind, id, expect: version, value: null }),
      ...(status === null ? [] : [write({ kind: hypervisorStatusKind, id, expect: status.version, value: null })]),
    ],
    actionId: `${actionId}-forget`,
    traceparent,
  })
}

const changesOf = (outcome: SyncOutcome) => (outcome.kind === 'converged' ? outcome.changes : [])

function describeStatus(
  known: HypervisorStatusValue,
  outcome: SyncOutcome,
  syncedAt: string,
): Omit<HypervisorStatusValue, 'escalationId'> {
  const { observed } = outcome
  const seen =
    observed === null
      ? { capacity: known.capacity, pools: known.pools, networks: known.networks, domains: known.domains }
      : {
          capacity: { vcpus: observed.vcpus, memoryMiB: observed.memoryMiB },
          pools: observed.pools.map(({ name }) => name),
          networks: [...observed.networks],
          domains: [...observed.domains],
        }
  switch (outcome.kind) {
    case 'converged':
      return { ...seen, status: 'converged', trouble: null, refused: [], syncedAt }
    case 'refused':
      return {
        ...seen,
        status: 'refused',
        trouble: describeRefusal(outcome.harms),
        refused: harmsOf(outcome.harms),
        syncedAt,
      }
    case 'failed':
      return { ...seen, status: 'failed', trouble: outcome.trouble, refused: [], syncedAt }
    default:
      return outcome satisfies never
  }
}

const harmsOf = (harms: readonly PlannedHarm[]) => harms.map((harm) => ({ ...harm, because: [...harm.because] }))

const describeRefusal = (harms: readonly PlannedHarm[]) => ({
  reason: 'notAskedFor',
  message: harms.map(({ address, action }) => `${action} ${address}`).join(', '),
  remedy: 'See why it is planned, and retry the escalation to allow it.',
})

function describeEvent(id: string, name: string, outcome: SyncOutcome): EventDraft {
  const about = { projectId: null, subject: id }
  switch (outcome.kind) {
    case 'converged':
      return {
        ...about,
        type: 'host.stack.converged',
        data: { name, changes: [...outcome.changes], adopted: [...outcome.adopted] },
      }
    case 'refused':
      return { ...about, type: 'host.stack.refused', data: { name, harms: harmsOf(outcome.harms) } }
    case 'failed':
      return { ...about, type: 'host.stack.failed', data: { name, ...outcome.trouble } }
    default:
      return outcome satisfies never
  }
}

/** One for the same harms, however often they are planned. */
async function raise(
  context: Context,
  hostId: string,
  { host }: HypervisorValue,
  known: HypervisorStatusValue,
  harms: readonly PlannedHarm[],
  request: RequestInfo,
): Promise<string> {
  if (known.escalationId !== null && Bun.deepEquals(known.refused, harmsOf(harms))) return known.escalationId
  const id = createId(escalationKind.prefix, systemClient, context.now(), context.random)
  const payload = { parameters: { id: hostId }, query: {}, body: { addresses: harms.map(({ address }) => address) } }
  const value: EscalationValue = {
    projectId: null,
    action: { actionType: 'allowHarm', dataType: hypervisorKind.dataType, payload, currentVersion: null },
    request: { caller: request.caller, traceparent: request.traceparent, actionId: `${id} allow`, seed: request.seed },
    clash: {
      kind: hostStack(host).name,
      id: hostId,
      reason: 'notAskedFor',
      baseVersion: null,
      latestVersion: null,
      differences: harms.map(({ address, action, because }) => ({
        field: address,
        base: null,
        wanted: because.length === 0 ? action : `${action}, for ${because.join(', ')}`,
        latest: 'present',
      })),
    },
    status: 'open',
    resolution: null,
  }
  const data = { actionType: 'allowHarm', kind: value.clash.kind, objectId: hostId, reason: 'notAskedFor' }
  await context.store.transact({
    writes: [write({ kind: escalationKind, id, expect: 'absent', value })],
    events: [{ type: 'escalation.raised', projectId: null, subject: id, data }],
    actionId: `${request.actionId}-raise`,
    traceparent: request.traceparent,
  })
  return id
}
