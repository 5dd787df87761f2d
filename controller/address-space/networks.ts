/** Networks: a project's private segments. Each has a VNI, unique in the rack, and any number of shards. */

import { removeObject, updateObject } from '../access/change-object.ts'
import { declareObject } from '../access/declare-object.ts'
import { createObjectId } from '../access/object-id.ts'
import { refuseInUse, refuseUnavailable } from '../access/problems.ts'
import { type Claim, findReservations, release, reservationGraceMilliseconds, reserve } from '../access/reserve.ts'
import { findVisible, listObjects, maySee, viewObject } from '../access/view.ts'
import type { Network, NetworkCreate, NetworkUpdate } from '../contract/address-space.ts'
import type { Condition } from '../contract/common.ts'
import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import type { Decision } from '../control-plane/act.ts'
import { type EventDraft, type StoredObject, write } from '../control-plane/store.ts'
import {
  loadBalancerKind,
  machineKind,
  type NetworkStatusValue,
  type NetworkValue,
  networkKind,
  networkStatusKind,
  type ProjectValue,
  projectKind,
  reservationKind,
  shardKind,
  systemClient,
} from '../objects.ts'
import type { ControllerContext, RequestInfo, Service } from '../services.ts'
import { effectivePolicy } from './address-policy.ts'
import { refuseUnknownProject } from './pools.ts'
import { checkPolicy } from './read-policy.ts'

export function createNetworksService(context: ControllerContext): Service<Network, NetworkCreate, NetworkUpdate> {
  const view = (object: StoredObject<NetworkValue>) => viewNetwork(context, object)

  return {
    async create(input, request) {
      if (!maySee(request.caller, input.projectId)) return refuseUnknownProject(input.projectId)
      const created = await createNetwork(context, input, request)
      return created.ok ? succeed(view(created.value)) : created
    },
    async list(query, request) {
      return succeed(listObjects(context, { kind: networkKind, projectIdOf, view }, query, request))
    },
    async show(id, request) {
      const found = await findVisible(context, networkKind, id, projectIdOf, request)
      return found.ok ? succeed(view(found.value)) : found
    },
    async update(id, input, request) {
      const found = await findVisible(context, networkKind, id, projectIdOf, request)
      if (!found.ok) return found
      const updated = await updateObject(
        context,
        {
          kind: networkKind,
          id,
          scope: found.value.value.projectId,
          apply: ({ value }) => decideUpdate(context, id, value, input),
        },
        request,
      )
      return updated.ok ? succeed(view(updated.value)) : updated
    },
    async remove(id, request) {
      const found = await findVisible(context, networkKind, id, projectIdOf, request)
      return found.ok ? removeNetwork(context, found.value, request) : found
    },
  }
}

const projectIdOf = ({ value }: StoredObject<NetworkValue>) => value.projectId

function viewNetwork(context: Pick<ControllerContext, 'store'>, object: StoredObject<NetworkValue>): Network {
  const { name, projectId, vni, mtu, addressPolicy, deletingSince } = object.value
  const project = findProject(context, projectId)
  const shards = context.store.snapshot(shardKind, object.id).filter(({ value }) => value.networkId === object.id)
  return {
    ...viewObject(object, { name, projectId, conditions: describeConditions(findStatus(context, object.id)) }),
    status: deletingSince === undefined ? 'active' : 'deleting',
    vni,
    mtu,
    domain: networkDomain(project?.slug ?? 'project'),
    shardIds: shards.map(({ id }) => id),
    addressPolicy: addressPolicy ?? {},
    effectiveAddressPolicy: effectivePolicy(addressPolicy, project?.addressPolicy),
  }
}

const findStatus = ({ store }: Pick<ControllerContext, 'store'>, id: string) =>
  store.snapshot(networkStatusKind, id).find((status) => status.id === id)

function describeConditions(status: StoredObject<NetworkStatusValue> | undefined): readonly Condition[] {
  const blocked = status?.value.blocked ?? null
  if (blocked === null) return []
  const messages = {
    noRoom: 'Its address policy would give it another shard, and no pool that its shards may come from has room.',
    quotaExceeded: "Its address policy would give it another shard, and the project's quota of shards is used up.",
  }
  const { reason, since } = blocked
  return [{ type: 'grows', status: 'false', reason, message: messages[reason], changedAt: since }]
}

const findProject = ({ store }: Pick<ControllerContext, 'store'>, projectId: string): ProjectValue | undefined =>
  store.snapshot(projectKind, projectId).find(({ id }) => id === projectId)?.value

/** The domain in which a project's machines have their names. */
export const networkDomain = (slug: string) => `${slug}.internal`

async function createNetwork(
  context: ControllerContext,
  input: NetworkCreate,
  request: RequestInfo,
): Promise<Outcome<StoredObject<NetworkValue>>> {
  const id = createObjectId(networkKind, input.projectId, request.seed)
  const before = await context.store.get(networkKind, id)
  if (before !== null) return succeed(before)
  const { name, projectId, mtu, addressPolicy } = input
  const fault = checkPolicy(context.store, projectId, addressPolicy, findProject(context, projectId)?.addressPolicy)
  if (fault !== null) return refuse(fault)
  const vni = await reserveVni(context, id)
  if (!vni.ok) return vni
  const value: NetworkValue = { name, projectId, vni: vni.value, mtu, ...(addressPolicy && { addressPolicy }) }
  const declared = await declareObject(
    context,
    {
      kind: networkKind,
      id,
      scope: input.projectId,
      name: input.name,
      quota: { noun: 'networks', projectId: input.projectId },
      value,
      events: [describeEvent('created', id, value)],
    },
    request,
  )
  if (!declared.ok && declared.problem.code !== 'unavailable') await release(context, vniClaim(vni.value), id)
  return declared
}

function decideUpdate(
  context: ControllerContext,
  id: string,
  value: NetworkValue,
  input: NetworkUpdate,
): Decision<NetworkValue, Problem> {
  const project = findProject(context, value.projectId)
  const fault = checkPolicy(context.store, value.projectId, input.addressPolicy, project?.addressPolicy)
  if (fault !== null) return { kind: 'refuse', problem: fault }
  const { name = value.name, addressPolicy = value.addressPolicy } = input
  const changed = { ...value, name, ...(addressPolicy && { addressPolicy }) }
  if (Bun.deepEquals(changed, value)) return { kind: 'keep' }
  return { kind: 'write', value: changed, events: [describeEvent('updated', id, changed)] }
}

const vniMaximum = 0xffffff
const vniAttemptsMaximum = 64
const vniClaim = (vni: number): Claim => ({ clientId: systemClient, words: ['vni', String(vni)] })

/** Begun at a place of the network's own, so that creations at once don't meet. */
async function reserveVni(context: ControllerContext, id: string): Promise<Outcome<number>> {
  const [held] = findReservations(context, systemClient, id).filter(({ value }) => value.words[0] === 'vni')
  if (held !== undefined) return succeed(Number(held.value.words[1]))
  const taken = new Set(context.store.snapshot(reservationKind, systemClient).map(({ value }) => value.words.join(' ')))
  const start = Bun.hash.crc32(id) % vniMaximum
  for (let i = 0, attempts = 0; i < vniMaximum && attempts < vniAttemptsMaximum; i++) {
    const vni = ((start + i) % vniMaximum) + 1
    if (taken.has(`vni ${vni}`)) continue
    attempts++
    const outcome = await reserve(context, vniClaim(vni), { kind: networkKind, id })
    if (outcome.outcome === 'taken') return succeed(vni)
    if (outcome.outcome === 'unavailable') return refuseUnavailable(outcome.reason, outcome.retryAfterSeconds)
  }
  return refuse({
    code: 'no-space',
    title: 'No network can be made',
    detail: 'Every VNI is taken.',
    remedy: 'Delete networks that are not needed.',
  })
}

/**
 * Marks the network first: whoever allocates a shard to it looks for the mark afterwards, so one of both sees the other.
 * What is still on it takes the mark away again.
 */
async function removeNetwork(
  context: ControllerContext,
  network: StoredObject<NetworkValue>,
  request: RequestInfo,
): Promise<Outcome<boolean>> {
  const { id } = network
  const { name } = network.value
  const before = findHolders(context, id)
  if (before.length > 0) return refuseInUse('network', name, before)
  const deletingSince = new Date(context.now()).toISOString()
  const marked = await updateObject(
    context,
    { kind: networkKind, id, apply: ({ value }) => ({ kind: 'write', value: { ...value, deletingSince } }) },
    { ...request, actionId: `${request.actionId}-mark` },
  )
  if (!marked.ok) return marked
  const { expectedVersion: _, ...unconditional } = request
  const holders = findHolders(context, id)
  if (holders.length > 0) {
    await unmark(context, id, unconditional)
    return refuseInUse('network', name, holders)
  }
  return finishRemoval(context, network, unconditional)
}

function finishRemoval(
  context: ControllerContext,
  { id, value: { projectId } }: StoredObject<NetworkValue>,
  request: ChangeRequest,
): Promise<Outcome<boolean>> {
  return removeObject(
    context,
    {
      kind: networkKind,
      id,
      scopes: [projectId, systemClient],
      beside: () => {
        const status = findStatus(context, id)
        return status === undefined ? [] : [write({ kind: networkStatusKind, id, expect: status.version, value: null })]
      },
      events: ({ value }) => [describeEvent('deleted', id, value)],
    },
    request,
  )
}

type ChangeRequest = Pick<RequestInfo, 'actionId' | 'traceparent'>

/**
 * Carries on with deletions that were cut off after the mark: whoever was at it is not any more once the grace is over.
 * Called with the sweeps.
 */
export async function resumeNetworkRemovals(context: ControllerContext): Promise<void> {
  for (const network of context.store.snapshot(networkKind)) {
    const { deletingSince } = network.value
    if (deletingSince === undefined) continue
    if (context.now() - Date.parse(deletingSince) <= reservationGraceMilliseconds) continue
    const { id, version } = network
    const request = { actionId: `resume ${id} ${version}`, traceparent: network.traceparent ?? noTrace }
    if (findHolders(context, id).length > 0) await unmark(context, id, request)
    else await finishRemoval(context, network, request)
  }
}

const noTrace = `00-${'0'.repeat(32)}-${'0'.repeat(16)}-00`

async function unmark(context: ControllerContext, id: string, request: ChangeRequest): Promise<void> {
  const apply = ({ value }: StoredObject<NetworkValue>) => {
    const { deletingSince: _, ...kept } = value
    return { kind: 'write', value: kept } as const
  }
  await updateObject(context, { kind: networkKind, id, apply }, { ...request, actionId: `${request.actionId}-unmark` })
}

/** What is on a network, in words. */
function findHolders(context: ControllerContext, id: string): readonly string[] {
  const { store } = context
  return [
    ...store
      .snapshot(loadBalancerKind, id)
      .flatMap(({ value }) => (value.networkId === id ? [`load balancer '${value.name}'`] : [])),
    ...store
      .snapshot(machineKind, id)
      .flatMap(({ value }) => (value.networkId === id ? [`machine '${value.name}'`] : [])),
    ...store
      .snapshot(shardKind, id)
      .flatMap(({ value }) =>
        value.networkId === id ? [`shard '${value.name}' (${value.cidr}), which is allocated to it`] : [],
      ),
  ]
}

const describeEvent = (type: 'created' | 'updated' | 'deleted', id: string, value: NetworkValue): EventDraft => ({
  type: `network.${type}`,
  projectId: value.projectId,
  subject: id,
  data: { name: value.name, vni: value.vni },
})
