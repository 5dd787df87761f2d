/** Load balancers: what callers want of them is written here; the reconcile loop has the hosts make it so. */

import { updateObject } from '../access/change-object.ts'
import { type DeclaredContent, declareObject, seemsFree } from '../access/declare-object.ts'
import { createObjectId } from '../access/object-id.ts'
import { refuseField, refuseNotFound } from '../access/problems.ts'
import { readProject } from '../access/quota.ts'
import { findVisible, listObjects, maySee } from '../access/view.ts'
import { refuseUnknownProject } from '../address-space/pools.ts'
import type {
  HealthCheck,
  LoadBalancerCreate,
  LoadBalancerUpdate,
  MemberCreate,
  MemberUpdate,
} from '../contract/load-balancer.ts'
import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import type { Decision } from '../control-plane/act.ts'
import { type EventDraft, type StoredObject, type Write, write } from '../control-plane/store.ts'
import { describeDeleting, refuseNoHost } from '../machines/machines.ts'
import {
  type LoadBalancerStatusValue,
  type LoadBalancerValue,
  loadBalancerKind,
  loadBalancerStatusKind,
  type MemberValue,
  networkKind,
} from '../objects.ts'
import type { ControllerContext, RequestInfo, Services } from '../services.ts'
import { checkLoadBalancer, refuseFaults } from './check-load-balancer.ts'
import type { HostCandidates } from './host-candidates.ts'
import { identifyMembers } from './members.ts'
import { placeInstances } from './place-instances.ts'
import { giveBackInstances, type InstanceMeans, type InstanceRequest, prepareInstances } from './prepare-instances.ts'
import { findCountFaults } from './scaling/check-scaling.ts'
import type { ExpectedLoads } from './scaling/expected-loads.ts'
import type { LoadHistory } from './scaling/load-history.ts'
import { showScaling } from './scaling/show-scaling.ts'
import { firstCountOf, settleAutoScaling } from './scaling/wanted-count.ts'
import { createLoadBalancerViewer } from './view-load-balancer.ts'

export interface LoadBalancerMeans extends InstanceMeans {
  readonly loadHistory: LoadHistory
  readonly expectedLoads: ExpectedLoads
  readonly hosts: HostCandidates
}

type LoadBalancers = Services['loadBalancers']
type Stored = StoredObject<LoadBalancerValue>
type LoadBalancerDecision = Decision<LoadBalancerValue, Problem>

export function createLoadBalancersService(context: ControllerContext, means: LoadBalancerMeans): LoadBalancers {
  const view = (object: Stored) => createLoadBalancerViewer(context, object.id).view(object)
  const find = (id: string, request: RequestInfo) => findVisible(context, loadBalancerKind, id, projectIdOf, request)

  async function change(
    id: string,
    request: RequestInfo,
    apply: (current: Stored) => LoadBalancerDecision,
  ): Promise<Outcome<Stored>> {
    const found = await find(id, request)
    if (!found.ok) return found
    const scope = found.value.value.projectId
    const changed = await updateObject(context, { kind: loadBalancerKind, id, scope, apply }, request)
    context.wake()
    return changed
  }

  /** The member as it is after the change; `pick` finds it. */
  async function changeMembers(
    id: string,
    request: RequestInfo,
    apply: (current: Stored) => Outcome<readonly MemberValue[]>,
    pick: (members: readonly MemberValue[]) => string | undefined,
  ): Promise<Outcome<ReturnType<ReturnType<typeof createLoadBalancerViewer>['viewMembers']>[number]>> {
    const changed = await change(id, request, (current) => {
      const members = apply(current)
      return members.ok ? decideChange(context, current, { members: members.value }) : refused(members.problem)
    })
    if (!changed.ok) return changed
    const memberId = pick(changed.value.value.members)
    const member = viewMembers(changed.value).find((candidate) => candidate.id === memberId)
    return member === undefined ? refuseNotFound('member', memberId ?? '') : succeed(member)
  }

  const viewMembers = (object: Stored) => createLoadBalancerViewer(context, object.id).viewMembers(object)

  return {
    async create(input, request) {
      if (!maySee(request.caller, input.projectId)) return refuseUnknownProject(input.projectId)
      const project = await readProject(context, input.projectId)
      if (!project.ok) return project
      const created = await createLoadBalancer(context, means, input, request)
      if (!created.ok) return created
      context.wake()
      return succeed(view(created.value))
    },
    async list(query, request) {
      const viewer = createLoadBalancerViewer(context, query.projectId ?? request.caller.projectId ?? undefined)
      return succeed(listObjects(context, { kind: loadBalancerKind, projectIdOf, view: viewer.view }, query, request))
    },
    async show(id, request) {
      const found = await find(id, request)
      return found.ok ? succeed(view(found.value)) : found
    },
    async update(id, input, request) {
      const updated = await change(id, request, (current) => decideUpdate(context, current, input))
      return updated.ok ? succeed(view(updated.value)) : updated
    },
    async remove(id, request) {
      const marked = await change(id, request, (current) => decideRemoval(context, current))
      return marked.ok ? succeed(false) : marked
    },
    async listMembers(id, request) {
      const found = await find(id, request)
      return found.ok ? succeed({ items: viewMembers(found.value), next: null }) : found
    },
    async showMember(id, memberId, request) {
      const found = await find(id, request)
      if (!found.ok) return found
      const member = viewMembers(found.value).find((candidate) => candidate.id === memberId)
      return member === undefined ? refuseNotFound('member', memberId) : succeed(member)
    },
    addMember(id, input, request) {
      return changeMembers(
        id,
        request,
        ({ value }) => succeed(withMember(id, value, input)),
        (members) => members.at(-1)?.id,
      )
    },
    updateMember(id, memberId, input, request) {
      return changeMembers(
        id,
        request,
        ({ value }) => changeMember(value, memberId, input),
        () => memberId,
      )
    },
    async showScaling(id, request) {
      const found = await find(id, request)
      return found.ok ? succeed(showScaling({ ...context, ...means }, found.value)) : found
    },
    async removeMember(id, memberId, request) {
      const changed = await change(id, request, (current) => {
        const { members } = current.value
        const kept = members.filter((member) => member.id !== memberId)
        if (kept.length === members.length) return refused(refuseNotFound('member', memberId).problem)
        return decideChange(context, current, { members: kept })
      })
      return changed.ok ? succeed(true) : changed
    },
  }
}

const projectIdOf = ({ value }: Stored) => value.projectId
const refused = (problem: Problem): LoadBalancerDecision => ({ kind: 'refuse', problem })

const memberLimit = 256

async function createLoadBalancer(
  context: ControllerContext,
  means: LoadBalancerMeans,
  input: LoadBalancerCreate,
  request: RequestInfo,
): Promise<Outcome<Stored>> {
  const id = createObjectId(loadBalancerKind, input.projectId, request.seed)
  const before = await context.store.get(loadBalancerKind, id)
  if (before !== null) return succeed(before)
  const network = await context.store.get(networkKind, input.networkId)
  if (network === null || network.value.projectId !== input.projectId || network.value.deletingSince !== undefined) {
    const message = `there is no network ${input.networkId} in the project`
    return refuseField('networkId', message, 'Give the id of a network of the same project.')
  }
  const value = describeLoadBalancer(id, input)
  const checked = checkLoadBalancer(context.store, id, value)
  if (!checked.ok) return checked
  const countFaults = findCountFaults(value.autoScaling, input.instanceCount)
  if (countFaults.length > 0) return refuseFaults(countFaults)
  const placed = placeInstances({ count: firstCountOf(value, context.now()), hosts: means.hosts.list(), occupied: [] })
  if (placed.length === 0) return refuseNoHost()
  const additions = placed.map((host, i) => ({ slot: i + 1, vip: null, hostId: host.id }))
  const settled = means.hosts.hold(
    'instances',
    placed.map((host) => host.id),
  )
  try {
    const instances: InstanceRequest = { loadBalancerId: id, loadBalancer: value, slots: null, additions }
    return await declareLoadBalancer(context, means, instances, request)
  } finally {
    settled()
  }
}

function describeLoadBalancer(id: string, input: LoadBalancerCreate): LoadBalancerValue {
  const { name, projectId, networkId, trafficType, algorithm, listeners } = input
  const { timeouts, retries, slowStartSeconds, stickySessions, proxyProtocol, limits, logging } = input
  return {
    name,
    projectId,
    networkId,
    trafficType,
    algorithm,
    listeners,
    members: identifyMembers(id, input.members ?? [], []),
    healthCheck: input.healthCheck ?? defaultHealthCheck(trafficType),
    timeouts,
    retries,
    slowStartSeconds,
    stickySessions,
    proxyProtocol,
    limits,
    logging,
    // It is on unless it is said otherwise, and tcp has no headers that it could be about.
    forwardedFor: trafficType === 'http' && input.forwardedFor,
    ...(input.driver !== 'netns' && { driver: input.driver }),
    instanceCount: input.instanceCount ?? instanceCountDefault,
    autoScaling: settleAutoScaling(input.autoScaling, false),
  }
}

const instanceCountDefault = 2

export function defaultHealthCheck(trafficType: 'http' | 'tcp'): HealthCheck {
  const thresholds = { intervalSeconds: 5, timeoutSeconds: 5, healthyThreshold: 2, unhealthyThreshold: 2 }
  if (trafficType === 'tcp') return { protocol: 'tcp', ...thresholds }
  return { protocol: 'http', method: 'GET', path: '/', hostHeader: 'sluice', expectedStatus: '200-399', ...thresholds }
}

/** What its instances need is taken while its name is; then all of it is written at once. */
async function declareLoadBalancer(
  context: ControllerContext,
  means: LoadBalancerMeans,
  instances: InstanceRequest,
  request: RequestInfo,
): Promise<Outcome<Stored>> {
  const { loadBalancerId: id, loadBalancer: value } = instances
  const { projectId, name } = value
  const quota = { noun: 'loadBalancers', projectId } as const
  const named = { kind: loadBalancerKind, id, scope: projectId, name, quota }
  const prepare = () => prepareInstances(means, instances)
  let preparation: ReturnType<typeof prepare> | null = (await seemsFree(context, named)) ? prepare() : null
  const decide = async (): Promise<Outcome<DeclaredContent<LoadBalancerValue>>> => {
    const prepared = await (preparation ?? prepare())
    preparation = null
    if (!prepared.ok) return prepared
    const status: LoadBalancerStatusValue = { status: 'provisioning', conditions: [], observedGeneration: 0 }
    return succeed({
      value,
      beside: [write({ kind: loadBalancerStatusKind, id, expect: 'absent', value: status }), ...prepared.value.writes],
      events: [describeCreated(id, value), ...prepared.value.events],
    })
  }
  const declared = await declareObject(context, { ...named, value, events: [], decide }, request)
  if (declared.ok) return declared
  await preparation
  // Nobody can tell yet whether it was written: the sweep does, later.
  if (declared.problem.code !== 'unavailable') await giveBackInstances(context, means, instances)
  return declared
}

function decideUpdate(context: ControllerContext, current: Stored, input: LoadBalancerUpdate): LoadBalancerDecision {
  const { members, autoScaling, ...rest } = input
  const scaling =
    autoScaling === undefined ? current.value.autoScaling : settleAutoScaling(autoScaling, current.value.autoScaling)
  const countFaults = findCountFaults(scaling, input.instanceCount)
  if (countFaults.length > 0) return refused(refuseFaults(countFaults).problem)
  const given = Object.fromEntries(Object.entries(rest).filter(([, field]) => field !== undefined))
  return decideChange(context, current, {
    ...given,
    autoScaling: scaling,
    ...(members && { members: identifyMembers(current.id, members, current.value.members) }),
  })
}

/** The change is checked as a whole with what stays as it was; nothing is changed where anything is wrong. */
function decideChange(
  context: ControllerContext,
  current: Stored,
  change: Partial<LoadBalancerValue>,
): LoadBalancerDecision {
  const { id, value } = current
  if (value.deletingSince !== undefined) return refused(describeDeleting('load balancer', value.name))
  const changed = { ...value, ...change }
  if (Bun.deepEquals(changed, value)) return { kind: 'keep' }
  if (changed.members.length > memberLimit) {
    return refused(refuseField('members', `are more than ${memberLimit}`, 'Remove some first.').problem)
  }
  const checked = checkLoadBalancer(context.store, id, changed, value.members)
  if (!checked.ok) return refused(checked.problem)
  const fields = Object.keys(change).filter(
    (field) => !Bun.deepEquals(changed[field as keyof LoadBalancerValue], value[field as keyof LoadBalancerValue]),
  )
  const event: EventDraft = {
    type: 'load-balancer.updated',
    projectId: value.projectId,
    subject: id,
    data: { name: changed.name, fields },
  }
  // A name changes nothing on a host: what serves is as it should be already.
  const isRenamed = fields.every((field) => field === 'name')
  const writes = resetStatus(context, current, isRenamed ? null : 'provisioning')
  return { kind: 'write', value: changed, writes, events: [event] }
}

function decideRemoval(context: ControllerContext, current: Stored): LoadBalancerDecision {
  const { value } = current
  if (value.deletingSince !== undefined) return { kind: 'keep' }
  const deletingSince = new Date(context.now()).toISOString()
  return { kind: 'write', value: { ...value, deletingSince }, writes: resetStatus(context, current, 'deleting') }
}

/**
 * Written with the change, so that whoever waits for it never takes the status of before for the one after. Null: the
 * status stays, and answers for the new version as it did for the old.
 */
function resetStatus(
  context: ControllerContext,
  { id, version }: Stored,
  status: LoadBalancerStatusValue['status'] | null,
): readonly Write[] {
  const before = context.store.snapshot(loadBalancerStatusKind, id).find((object) => object.id === id)
  if (before === undefined) return []
  const answered = before.value.observedGeneration === version ? version + 1 : before.value.observedGeneration
  const value = status === null ? { ...before.value, observedGeneration: answered } : { ...before.value, status }
  return [write({ kind: loadBalancerStatusKind, id, expect: before.version, value })]
}

/** Those that are there keep their ids, and the new one gets another, whatever it says. */
function withMember(id: string, { members }: LoadBalancerValue, input: MemberCreate): readonly MemberValue[] {
  return identifyMembers(id, [...members.map(describeMember), input], members)
}

function describeMember(member: MemberValue): MemberCreate {
  const { address, port, url, machineId, weight, host = null, draining = false } = member
  return {
    ...(address !== null && { address }),
    ...(host !== null && { host }),
    ...(port !== null && { port }),
    ...(url !== null && { url }),
    ...(machineId !== null && { machineId }),
    weight,
    draining,
  }
}

function changeMember(
  value: LoadBalancerValue,
  memberId: string,
  input: MemberUpdate,
): Outcome<readonly MemberValue[]> {
  const member = value.members.find(({ id }) => id === memberId)
  if (member === undefined) return refuseNotFound('member', memberId)
  if (input.address !== undefined && member.address === null) {
    return refuse({
      code: 'invalid',
      title: 'The member has no address of its own',
      detail: `The member ${memberId} is given as a ${givenAs(member)}.`,
      remedy: 'Add a member with that address, and remove this one.',
      errors: [{ field: 'address', message: 'is not what this member is given by' }],
    })
  }
  const changed = {
    ...member,
    address: input.address ?? member.address,
    port: input.port ?? member.port,
    weight: input.weight ?? member.weight,
    draining: input.draining ?? member.draining ?? false,
  }
  return succeed(value.members.map((other) => (other.id === memberId ? changed : other)))
}

const givenAs = ({ url, machineId }: MemberValue) => (url !== null ? 'URL' : machineId !== null ? 'machine' : 'name')

const describeCreated = (id: string, value: LoadBalancerValue): EventDraft => ({
  type: 'load-balancer.created',
  projectId: value.projectId,
  subject: id,
  data: { name: value.name, networkId: value.networkId, trafficType: value.trafficType },
})
