/** The JSON interface's actions on projects. Calls the services that REST calls. */

import * as v from 'valibot'
import { refuseField } from '../../access/problems.ts'
import { projectInfoSchemas } from '../../contract/json-interface.ts'
import { type Outcome, succeed } from '../../contract/problem.ts'
import { type Project, quotaSchema } from '../../contract/project.ts'
import { loadBalancerKind } from '../../objects.ts'
import type { ControllerContext, RequestInfo, Services } from '../../services.ts'
import type { KeyedLock } from '../keyed-lock.ts'
import { parseValue } from '../parse.ts'
import { listAll } from '../status-routes.ts'
import { waitUntilSettled } from '../wait.ts'
import { removeSubnets, subRequest } from './subnets.ts'

export interface ActionResult {
  readonly info: Record<string, unknown>
  /** The balancer whose hosts still work: what `?wait=true` waits for. */
  readonly pending?: {
    readonly id: string
    readonly until: 'active' | 'gone'
    readonly reread: () => Promise<Outcome<ActionResult>>
  }
}

export interface ActionCall {
  readonly context: Pick<ControllerContext, 'store'>
  readonly services: Services
  readonly request: RequestInfo
  readonly signal: AbortSignal
  /** By project: what finds or makes, and takes back what it made, is done by one at a time. */
  readonly lock: KeyedLock
}

/** How long the deletion of a project waits for its last instances to be given up by their hosts. */
const giveUpMilliseconds = 30_000

export async function createProject(call: ActionCall, given: unknown): Promise<Outcome<ActionResult>> {
  const parsed = parseInfo(projectInfoSchemas.create, given)
  if (!parsed.ok) return parsed
  const { name, user } = parsed.value
  const known = await listProjects(call, name, user)
  if (!known.ok) return known
  const [project] = known.value
  if (project !== undefined) return refuseNameTaken('project', project, 'just as it is asked for')
  const created = await call.services.projects.create({ name, user, quota: v.parse(quotaSchema, {}) }, call.request)
  return created.ok ? describeProject(call, created.value) : created
}

export async function showProject(call: ActionCall, given: unknown): Promise<Outcome<ActionResult>> {
  const parsed = parseInfo(projectInfoSchemas.info, given)
  if (!parsed.ok) return parsed
  const project = await findProject(call, parsed.value.name, parsed.value.user, 'name')
  return project.ok ? describeProject(call, project.value) : project
}

export async function updateProject(call: ActionCall, given: unknown): Promise<Outcome<ActionResult>> {
  const parsed = parseInfo(projectInfoSchemas.update, given)
  if (!parsed.ok) return parsed
  const project = await findProject(call, parsed.value.name, parsed.value.user, 'name')
  if (!project.ok) return project
  const name = parsed.value['new-name']
  if (name === undefined) {
    return refuseField('new-name', 'is missing, and nothing else of a project can change', 'Give new-name.')
  }
  const updated = await call.services.projects.update(project.value.id, { name }, call.request)
  return updated.ok ? describeProject(call, updated.value) : updated
}

export async function deleteProject(call: ActionCall, given: unknown): Promise<Outcome<ActionResult>> {
  const parsed = parseInfo(projectInfoSchemas.delete, given)
  if (!parsed.ok) return parsed
  const project = await findProject(call, parsed.value.name, parsed.value.user, 'name')
  if (!project.ok) return project
  const { id: projectId, name, user } = project.value
  const cleared = await clearProject(call, projectId)
  if (!cleared.ok) return cleared
  const removed = await call.services.projects.remove(projectId, call.request)
  return removed.ok ? succeed({ info: { user, name } }) : removed
}

/** A name that is there already: said with what is there, so that whoever asks once more can go on. */
export function refuseNameTaken(type: string, known: { readonly id: string; readonly name: string }, how: string) {
  const message = `is taken: the ${type} '${known.name}' exists already (${known.id}), ${how}`
  return refuseField(
    'name',
    message,
    'Ask for it by the action info, change it by update, or choose another name.',
    'name-taken',
  )
}

/** The project that is meant: by name, and by user where there are several of that name. */
export async function findProject(
  call: ActionCall,
  name: string,
  user: string | undefined,
  field: string,
): Promise<Outcome<Project>> {
  const projects = await listProjects(call, name, user)
  if (!projects.ok) return projects
  const [project, ...others] = projects.value
  if (project === undefined) {
    const whose = user === undefined ? '' : ` of ${user}`
    return refuseField(
      field,
      `there is no project '${name}'${whose}`,
      'Create it first, or correct the name.',
      'not-found',
    )
  }
  if (others.length === 0) return succeed(project)
  const users = projects.value.map((candidate) => candidate.user).join(', ')
  return refuseField('user', `several users have a project '${name}': ${users}`, 'Say whose by the field user.')
}

async function listProjects(call: ActionCall, name: string, user?: string): Promise<Outcome<readonly Project[]>> {
  const projects = await listAll(call.services.projects, call.request, { name })
  return projects.ok
    ? succeed(projects.value.filter((project) => user === undefined || project.user === user))
    : projects
}

async function describeProject(call: ActionCall, project: Project): Promise<Outcome<ActionResult>> {
  const balancers = await listAll(call.services.loadBalancers, call.request, { projectId: project.id })
  if (!balancers.ok) return balancers
  const { user, name, id, status } = project
  return succeed({ info: { user, name, instances: balancers.value.map((balancer) => balancer.name), id, status } })
}

/** Instances that are on their way out are waited for; the subnets that were made for them go with the project. */
async function clearProject(call: ActionCall, projectId: string): Promise<Outcome<true>> {
  const { services, context, request, signal } = call
  const balancers = await listAll(services.loadBalancers, request, { projectId })
  if (!balancers.ok) return balancers
  if (balancers.value.some(({ status }) => status !== 'deleting')) return succeed(true)
  const machines = await listAll(services.machines, request, { projectId })
  if (!machines.ok) return machines
  if (machines.value.length > 0) return succeed(true)
  for (const { id } of balancers.value) {
    const answer = async () => succeed({ status: 204 } as const)
    const settling = { kind: loadBalancerKind, id, until: 'gone', statusKind: null, answer } as const
    const gone = await waitUntilSettled(context, settling, { milliseconds: giveUpMilliseconds, signal })
    if (!gone.ok) return gone
  }
  return removeSubnets(services, projectId, subRequest(request, 'subnets'))
}

export const parseInfo = <Schema extends v.GenericSchema>(schema: Schema, given: unknown) =>
  parseValue(schema, given, 'info')
