/** The JSON interface's actions on instances, each of which is a load balancer. Calls the services that REST calls. */

import { refuseField } from '../../access/problems.ts'
import {
  type InstanceCreateInfo,
  instanceCreateInfoSchema,
  instanceNameInfoSchema,
  instanceUpdateInfoSchema,
} from '../../contract/json-interface.ts'
import { type LoadBalancer, type LoadBalancerCreate, loadBalancerCreateSchema } from '../../contract/load-balancer.ts'
import { type Outcome, succeed } from '../../contract/problem.ts'
import type { Project } from '../../contract/project.ts'
import { loadBalancerKind } from '../../objects.ts'
import { parseValue } from '../parse.ts'
import { listAll } from '../status-routes.ts'
import { type ActionCall, type ActionResult, findProject, parseInfo, refuseNameTaken } from './act-on-project.ts'
import { findOrCreateSubnet, findSubnet } from './subnets.ts'
import {
  describeInstance,
  findDifference,
  type GivenMember,
  translateCreate,
  translateUpdate,
} from './translate-instance.ts'

/** Stands for the network while the rest of a balancer is checked, before there is one. */
const anyNetworkId = `net_${'0'.repeat(25)}`

export async function createInstance(call: ActionCall, given: unknown): Promise<Outcome<ActionResult>> {
  const parsed = parseInfo(instanceCreateInfoSchema, given)
  if (!parsed.ok) return parsed
  const info = parsed.value
  const project = await findProject(call, info.project, info.user, 'project')
  if (!project.ok) return project
  // All that can be told without a network is told before one is made.
  const wanted = translateChecked(info, project.value.id, anyNetworkId)
  if (!wanted.ok) return wanted
  return call.lock(project.value.id, () => createOnce(call, info, project.value, wanted.value))
}

async function createOnce(
  call: ActionCall,
  info: InstanceCreateInfo,
  project: Project,
  wanted: LoadBalancerCreate,
): Promise<Outcome<ActionResult>> {
  const known = await findByName(call, project.id, info.name)
  if (!known.ok) return known
  if (known.value !== null) return refuseTaken(call, info, known.value, wanted)
  const subnet = await findOrCreateSubnet(call.services, project.id, info.subnet, call.request)
  if (!subnet.ok) return subnet
  const created = await call.services.loadBalancers.create(
    { ...wanted, networkId: subnet.value.networkId },
    call.request,
  )
  if (created.ok) return describeResult(call, project.name, created.value)
  await subnet.value.undo()
  return created
}

export async function showInstance(call: ActionCall, given: unknown): Promise<Outcome<ActionResult>> {
  const found = await findInstance(call, given)
  return found.ok ? describeResult(call, found.value.project.name, found.value.balancer) : found
}

export async function updateInstance(call: ActionCall, given: unknown): Promise<Outcome<ActionResult>> {
  const parsed = parseInfo(instanceUpdateInfoSchema, given)
  if (!parsed.ok) return parsed
  const info = parsed.value
  const found = await findInstance(call, { name: info.name, project: info.project, user: info.user })
  if (!found.ok) return found
  const { balancer, project } = found.value
  const subnet = await findSubnet(call.services, balancer.networkId, call.request)
  if (!subnet.ok) return subnet
  const { trafficType } = balancer
  if (info.traffic_type !== undefined && info.traffic_type !== trafficType)
    return refuseFixed('traffic_type', trafficType)
  if (info.subnet !== undefined && info.subnet !== subnet.value) return refuseFixed('subnet', String(subnet.value))
  const update = translateUpdate(info, trafficType)
  if (Object.keys(update).length === 0) {
    return refuseField('backend', 'is missing, and there is no new-name', 'Give what is to change.')
  }
  const updated = await call.services.loadBalancers.update(balancer.id, update, call.request)
  return updated.ok ? describeResult(call, project.name, updated.value) : updated
}

export async function deleteInstance(call: ActionCall, given: unknown): Promise<Outcome<ActionResult>> {
  const found = await findInstance(call, given)
  if (!found.ok) return found
  const { balancer, project } = found.value
  const removed = await call.services.loadBalancers.remove(balancer.id, call.request)
  if (!removed.ok) return removed
  const describe = (status: 'deleting' | 'deleted'): ActionResult => ({
    info: { name: balancer.name, project: project.name, id: balancer.id, status },
  })
  if (removed.value) return succeed(describe('deleted'))
  const reread = async () => succeed(describe('deleted'))
  return succeed({ ...describe('deleting'), pending: { id: balancer.id, until: 'gone', reread } })
}

interface FoundInstance {
  readonly project: Project
  readonly balancer: LoadBalancer
}

async function findInstance(call: ActionCall, given: unknown): Promise<Outcome<FoundInstance>> {
  const parsed = parseInfo(instanceNameInfoSchema, given)
  if (!parsed.ok) return parsed
  const { name, user } = parsed.value
  const project = await findProject(call, parsed.value.project, user, 'project')
  if (!project.ok) return project
  const balancer = await findByName(call, project.value.id, name)
  if (!balancer.ok) return balancer
  if (balancer.value !== null) return succeed({ project: project.value, balancer: balancer.value })
  const message = `there is no instance '${name}' in the project '${project.value.name}'`
  return refuseField('name', message, 'Create it first, or correct the name.', 'not-found')
}

async function findByName(call: ActionCall, projectId: string, name: string): Promise<Outcome<LoadBalancer | null>> {
  const balancers = await listAll(call.services.loadBalancers, call.request, { projectId, name })
  return balancers.ok ? succeed(balancers.value[0] ?? null) : balancers
}

/** The same rules as for REST, on the same input. */
function translateChecked(info: InstanceCreateInfo, projectId: string, networkId: string): Outcome<LoadBalancerCreate> {
  const input = translateCreate(info, { projectId, networkId })
  return input.ok ? parseValue(loadBalancerCreateSchema, input.value, 'info') : input
}

/** Who asks once more is told whether what is there is what he asks for: then there is nothing left to do. */
async function refuseTaken(
  call: ActionCall,
  info: InstanceCreateInfo,
  known: LoadBalancer,
  wanted: LoadBalancerCreate,
): Promise<Outcome<never>> {
  const subnet = await findSubnet(call.services, known.networkId, call.request)
  if (!subnet.ok) return subnet
  const differs = findDifference(info, known, wanted, await readGiven(call, known.id))
  const field = differs ?? (subnet.value === info.subnet ? null : 'subnet')
  return refuseNameTaken('instance', known, field === null ? 'just as it is asked for' : `and differs in ${field}`)
}

async function describeResult(
  call: ActionCall,
  project: string,
  balancer: LoadBalancer,
): Promise<Outcome<ActionResult>> {
  const subnet = await findSubnet(call.services, balancer.networkId, call.request)
  if (!subnet.ok) return subnet
  const names = { project, subnet: subnet.value }
  const reread = async (): Promise<Outcome<ActionResult>> => {
    const shown = await call.services.loadBalancers.show(balancer.id, call.request)
    return shown.ok
      ? succeed({ info: describeInstance(shown.value, names, await readGiven(call, balancer.id)) })
      : shown
  }
  return succeed({
    info: describeInstance(balancer, names, await readGiven(call, balancer.id)),
    pending: { id: balancer.id, until: 'active', reread },
  })
}

/** What the view resolves is kept as it was asked for in the spec. */
const readGiven = async (call: ActionCall, id: string): Promise<readonly GivenMember[]> =>
  (await call.context.store.get(loadBalancerKind, id))?.value.members ?? []

const refuseFixed = (field: string, value: string) =>
  refuseField(field, `is ${value}, and can not change`, 'Leave it out, or delete the instance and create it anew.')
