/** Machines: workloads attached to a network, each on a host, with an address that its network's shards gave it. */

import { updateObject } from '../access/change-object.ts'
import { type DeclaredContent, declareObject, seemsFree } from '../access/declare-object.ts'
import { createObjectId } from '../access/object-id.ts'
import { refuseField } from '../access/problems.ts'
import { readProject } from '../access/quota.ts'
import { findVisible, listObjects, maySee, viewObject } from '../access/view.ts'
import type { AddressAllocator } from '../address-space/allocator.ts'
import { refuseUnknownProject } from '../address-space/pools.ts'
import type { Machine, MachineCreate, MachineUpdate } from '../contract/machine.ts'
import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import type { Decision } from '../control-plane/act.ts'
import { type EventDraft, type StoredObject, type Write, write } from '../control-plane/store.ts'
import type { HostCandidates } from '../load-balancing/host-candidates.ts'
import { placeMachine } from '../load-balancing/place-instances.ts'
import {
  type HostValue,
  hostKind,
  loadBalancerKind,
  type MachineStatusValue,
  type MachineValue,
  machineKind,
  machineStatusKind,
  networkKind,
} from '../objects.ts'
import type { ControllerContext, RequestInfo, Service } from '../services.ts'
import { macAddressOf } from './mac-address.ts'

export interface MachineMeans {
  readonly allocator: AddressAllocator
  readonly hosts: HostCandidates
}

export function createMachinesService(
  context: ControllerContext,
  means: MachineMeans,
): Service<Machine, MachineCreate, MachineUpdate> {
  const view = (object: StoredObject<MachineValue>) => createMachineViewer(context, object.id)(object)

  return {
    async create(input, request) {
      if (!maySee(request.caller, input.projectId)) return refuseUnknownProject(input.projectId)
      const project = await readProject(context, input.projectId)
      if (!project.ok) return project
      const created = await createMachine(context, means, input, request)
      if (!created.ok) return created
      context.wake()
      return succeed(view(created.value))
    },
    async list(query, request) {
      const viewer = createMachineViewer(context, query.projectId ?? request.caller.projectId ?? undefined)
      return succeed(listObjects(context, { kind: machineKind, projectIdOf, view: viewer }, query, request))
    },
    async show(id, request) {
      const found = await findVisible(context, machineKind, id, projectIdOf, request)
      return found.ok ? succeed(view(found.value)) : found
    },
    async update(id, input, request) {
      const found = await findVisible(context, machineKind, id, projectIdOf, request)
      if (!found.ok) return found
      const scope = found.value.value.projectId
      const apply = (machine: StoredObject<MachineValue>) => decideUpdate(context, machine, input)
      const updated = await updateObject(context, { kind: machineKind, id, scope, apply }, request)
      context.wake()
      return updated.ok ? succeed(view(updated.value)) : updated
    },
    async remove(id, request) {
      const found = await findVisible(context, machineKind, id, projectIdOf, request)
      if (!found.ok) return found
      const apply = (machine: StoredObject<MachineValue>) => decideRemoval(context, machine)
      const marked = await updateObject(context, { kind: machineKind, id, apply }, request)
      context.wake()
      return marked.ok ? succeed(false) : marked
    },
  }
}

const projectIdOf = ({ value }: StoredObject<MachineValue>) => value.projectId

const findStatus = (context: Pick<ControllerContext, 'store'>, id: string) =>
  context.store.snapshot(machineStatusKind, id).find((status) => status.id === id)

/** One reading of what all machines of a client (undefined: of all) are shown with, so that a list costs one as well. */
function createMachineViewer({ store }: Pick<ControllerContext, 'store'>, clientId: string | undefined) {
  const statuses = new Map(store.snapshot(machineStatusKind, clientId).map(({ id, value }) => [id, value]))
  const hosts = new Map(store.snapshot(hostKind).map(({ id, value }) => [id, value.name]))
  return (object: StoredObject<MachineValue>): Machine => {
    const { name, projectId, networkId, hostId, driver, mac, addresses, workloads, deletingSince } = object.value
    const status = statuses.get(object.id)
    return {
      ...viewObject(object, { name, projectId, conditions: status?.conditions ?? [] }),
      status: deletingSince === undefined ? (status?.status ?? 'provisioning') : 'deleting',
      networkId,
      hostId,
      host: hosts.get(hostId) ?? null,
      driver,
      mac,
      addresses: addresses.map(({ address }) => address),
      workloads: [...workloads],
    }
  }
}

async function createMachine(
  context: ControllerContext,
  means: MachineMeans,
  input: MachineCreate,
  request: RequestInfo,
): Promise<Outcome<StoredObject<MachineValue>>> {
  const id = createObjectId(machineKind, input.projectId, request.seed)
  const before = await context.store.get(machineKind, id)
  if (before !== null) return succeed(before)
  const fault = await checkReferences(context, input)
  if (fault !== null) return refuse(fault)
  const host = chooseHost(context, means.hosts, input.hostId)
  if (!host.ok) return host
  const settled = means.hosts.hold('machines', [host.value.id])
  try {
    return await declareMachine(context, means, { id, input, hostId: host.value.id }, request)
  } finally {
    settled()
  }
}

async function checkReferences(context: ControllerContext, input: MachineCreate): Promise<Problem | null> {
  const network = await context.store.get(networkKind, input.networkId)
  if (network === null || network.value.projectId !== input.projectId || network.value.deletingSince !== undefined) {
    const message = `there is no network ${input.networkId} in the project`
    return refuseField('networkId', message, 'Give the id of a network of the same project.').problem
  }
  return checkWorkloads(input.workloads)
}

function checkWorkloads(workloads: MachineValue['workloads']): Problem | null {
  const ports = workloads.map(({ port }) => port)
  const twice = ports.findIndex((port, i) => ports.indexOf(port) < i)
  if (twice < 0) return null
  const message = `${ports[twice]} is the port of another workload already`
  return refuseField(`workloads[${twice}].port`, message, 'Give each workload a port of its own.').problem
}

function chooseHost(
  context: ControllerContext,
  hosts: HostCandidates,
  hostId: string | undefined,
): Outcome<{ readonly id: string }> {
  if (hostId === undefined) {
    const host = placeMachine(hosts.list())
    return host === undefined ? refuseNoHost() : succeed(host)
  }
  const candidate = hosts.list().find(({ id }) => id === hostId)
  if (candidate !== undefined) return succeed(candidate)
  const host: StoredObject<HostValue> | undefined = context.store.snapshot(hostKind).find(({ id }) => id === hostId)
  if (host === undefined) {
    return refuseField('hostId', `there is no host ${hostId}`, 'Give the id of a host that is there, or leave it out.')
  }
  return refuseField(
    'hostId',
    `the host ${host.value.name} is ${host.value.maintenance ? 'in maintenance' : 'not active'}`,
    'Choose an active host, or leave it out.',
    'no-host',
  )
}

export const refuseNoHost = () =>
  refuse({
    code: 'no-host',
    title: 'There is no host to run it on',
    detail: 'No host has joined, is heard of and is not in maintenance.',
    remedy: 'Add a host, start the agents of those that are silent, or end the maintenance of one.',
  })

async function declareMachine(
  context: ControllerContext,
  { allocator }: MachineMeans,
  { id, input, hostId }: { readonly id: string; readonly input: MachineCreate; readonly hostId: string },
  request: RequestInfo,
): Promise<Outcome<StoredObject<MachineValue>>> {
  const { projectId, networkId, name, driver, workloads } = input
  const allocate = () =>
    allocator.allocateAddress({
      networkId,
      ownerId: id,
      machineName: name,
      ...(input.address && { address: input.address }),
    })
  const value: MachineValue = {
    name,
    projectId,
    networkId,
    hostId,
    driver,
    mac: macAddressOf(id),
    workloads,
    addresses: [],
  }
  const quota = { noun: 'machines', projectId } as const
  const named = { kind: machineKind, id, scope: projectId, name, quota }
  // Its address is taken while its name is; both are there before it is written.
  let allocation: ReturnType<typeof allocate> | null = (await seemsFree(context, named)) ? allocate() : null
  const decide = async (): Promise<Outcome<DeclaredContent<MachineValue>>> => {
    const held = await (allocation ?? allocate())
    allocation = null
    if (!held.ok) return held
    const status: MachineStatusValue = { status: 'provisioning', conditions: [], observedGeneration: 0 }
    return succeed({
      value: { ...value, addresses: [held.value] },
      beside: [write({ kind: machineStatusKind, id, expect: 'absent', value: status })],
      events: [describeEvent('created', id, value)],
    })
  }
  const declared = await declareObject(context, { ...named, value, events: [], decide }, request)
  if (declared.ok) return declared
  await allocation
  // A repetition of the same request may have written it; and where nobody can tell yet, the sweep does later.
  if (declared.problem.code !== 'unavailable' && (await context.store.get(machineKind, id)) === null) {
    await allocator.releaseAddresses(id)
  }
  return declared
}

function decideUpdate(
  context: ControllerContext,
  machine: StoredObject<MachineValue>,
  input: MachineUpdate,
): Decision<MachineValue, Problem> {
  const { id, value } = machine
  if (value.deletingSince !== undefined) return { kind: 'refuse', problem: describeDeleting('machine', value.name) }
  const changed = { ...value, name: input.name ?? value.name, workloads: input.workloads ?? value.workloads }
  const fault = checkWorkloads(changed.workloads)
  if (fault !== null) return { kind: 'refuse', problem: fault }
  if (Bun.deepEquals(changed, value)) return { kind: 'keep' }
  return {
    kind: 'write',
    value: changed,
    writes: resetStatus(context, id, 'provisioning'),
    events: [describeEvent('updated', id, changed)],
  }
}

export const describeDeleting = (noun: string, name: string): Problem => ({
  code: 'conflict',
  title: 'It is being deleted',
  detail: `The ${noun} '${name}' is being deleted.`,
  remedy: 'Create another.',
})

/** Its hosts give it up first; the loop does the rest. Whoever has it as a member goes on without it. */
function decideRemoval(
  context: ControllerContext,
  { id, value }: StoredObject<MachineValue>,
): Decision<MachineValue, Problem> {
  if (value.deletingSince !== undefined) return { kind: 'keep' }
  const balancer = context.store
    .snapshot(loadBalancerKind, id)
    .find(({ value: { members } }) => members.length > 0 && members.every(({ machineId }) => machineId === id))
  if (balancer !== undefined && balancer.value.deletingSince === undefined) {
    const problem: Problem = {
      code: 'in-use',
      title: 'It is in use',
      detail: `The machine '${value.name}' is the only member of the load balancer '${balancer.value.name}'.`,
      remedy: 'Give that another member, or delete it, first.',
    }
    return { kind: 'refuse', problem }
  }
  const deletingSince = new Date(context.now()).toISOString()
  return { kind: 'write', value: { ...value, deletingSince }, writes: resetStatus(context, id, 'deleting') }
}

/** Written with the change, so that whoever waits for it never takes the status of before for the one after. */
function resetStatus(context: ControllerContext, id: string, status: MachineStatusValue['status']): readonly Write[] {
  const before = findStatus(context, id)
  if (before === undefined) return []
  return [write({ kind: machineStatusKind, id, expect: before.version, value: { ...before.value, status } })]
}

const describeEvent = (type: 'created' | 'updated', id: string, value: MachineValue): EventDraft => ({
  type: `machine.${type}`,
  projectId: value.projectId,
  subject: id,
  data: { name: value.name, networkId: value.networkId },
})
