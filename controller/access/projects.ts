/** Projects: the tenants. Each has a name, unique for its user, a slug, unique in all, and a quota. */

import { checkProjectPolicy } from '../address-space/read-policy.ts'
import type { Page } from '../contract/common.ts'
import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import type { Project, ProjectCreate, ProjectUpdate, Quota } from '../contract/project.ts'
import type { Decision } from '../control-plane/act.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { type ProjectValue, projectKind, systemClient } from '../objects.ts'
import type { ControllerContext, RequestInfo, Service } from '../services.ts'
import { updateObject } from './change-object.ts'
import { declareObject } from './declare-object.ts'
import { makeDnsLabel } from './dns-label.ts'
import { createObjectClientId } from './object-id.ts'
import { refuseField, refuseForbidden, refuseUnavailable } from './problems.ts'
import { describeProjectEvent, type RemoveToken, removeProject, scopeOfUser } from './remove-project.ts'
import { type Claim, release, reserve } from './reserve.ts'
import { findVisible, listObjects, viewObject } from './view.ts'

type Projects = Service<Project, ProjectCreate, ProjectUpdate>

export function createProjectsService(context: ControllerContext, removeToken: RemoveToken): Projects {
  return {
    async create(input, request) {
      if (request.caller.scope !== 'admin') return refuseForbidden('create projects')
      return createProject(context, input, request)
    },

    async list(query, request): Promise<Outcome<Page<Project>>> {
      return succeed(listObjects(context, { kind: projectKind, projectIdOf, view: viewProject }, query, request))
    },

    async show(id, request) {
      const found = await findVisible(context, projectKind, id, projectIdOf, request)
      return found.ok ? succeed(viewProject(found.value)) : found
    },

    async update(id, input, request) {
      const found = await findVisible(context, projectKind, id, projectIdOf, request)
      if (!found.ok) return found
      if (request.caller.scope !== 'admin') return refuseForbidden('change projects')
      const scope = scopeOfUser(found.value.value.user)
      const updated = await updateObject(
        context,
        { kind: projectKind, id, scope, apply: ({ value }) => decideUpdate(context, id, value, input) },
        request,
      )
      return updated.ok ? succeed(viewProject(updated.value)) : updated
    },

    async remove(id, request) {
      const found = await findVisible(context, projectKind, id, projectIdOf, request)
      if (!found.ok) return found
      if (request.caller.scope !== 'admin') return refuseForbidden('delete projects')
      return removeProject(context, found.value, removeToken, request)
    },
  }
}

const projectIdOf = ({ id }: StoredObject<ProjectValue>): string => id
const slugClaim = (slug: string): Claim => ({ clientId: systemClient, words: ['slug', slug] })

function viewProject(object: StoredObject<ProjectValue>): Project {
  const { name, user, slug, quota, addressPolicy, deletingSince } = object.value
  return {
    ...viewObject(object, { name, projectId: object.id }),
    status: deletingSince === undefined ? 'active' : 'deleting',
    user,
    slug,
    quota,
    addressPolicy: addressPolicy ?? {},
  }
}

async function createProject(
  context: ControllerContext,
  input: ProjectCreate,
  request: RequestInfo,
): Promise<Outcome<Project>> {
  const id = createObjectClientId(projectKind, request.seed)
  const fault = checkProjectPolicy(context.store, id, input.addressPolicy)
  if (fault !== null) return refuse(fault)
  const slug = await reserveSlug(context, id, input)
  if (!slug.ok) return slug
  const value: ProjectValue = {
    name: input.name,
    user: input.user,
    slug: slug.value,
    quota: input.quota,
    ...(input.addressPolicy && { addressPolicy: input.addressPolicy }),
  }
  const declared = await declareObject(
    context,
    {
      kind: projectKind,
      id,
      scope: scopeOfUser(input.user),
      name: input.name,
      value,
      events: [describeProjectEvent('created', id, value)],
    },
    request,
  )
  if (declared.ok) return succeed(viewProject(declared.value))
  if (declared.problem.code !== 'unavailable') await release(context, slugClaim(slug.value), id)
  return declared
}

/** The chosen slug, or one made from the name: with a part of the id when that is taken. */
async function reserveSlug(context: ControllerContext, id: string, input: ProjectCreate): Promise<Outcome<string>> {
  const made = makeDnsLabel(input.name, slugCharactersMaximum, 'project')
  const candidates = input.slug === undefined ? [made, `${made}-${id.slice(-6)}`, id.slice(-12)] : [input.slug]
  for (const slug of candidates) {
    const outcome = await reserve(context, slugClaim(slug), { kind: projectKind, id }, { refresh: true })
    if (outcome.outcome === 'taken') return succeed(slug)
    if (outcome.outcome === 'unavailable') return refuseUnavailable(outcome.reason, outcome.retryAfterSeconds)
  }
  const message = `the slug '${candidates[0]}' is taken`
  return refuseField('slug', message, 'Choose another slug, or leave it out to have one made.', 'name-taken')
}

/** So that a part of the id fits behind it. */
const slugCharactersMaximum = 33

function decideUpdate(
  context: ControllerContext,
  id: string,
  value: ProjectValue,
  input: ProjectUpdate,
): Decision<ProjectValue, Problem> {
  const fault = checkProjectPolicy(context.store, id, input.addressPolicy)
  if (fault !== null) return { kind: 'refuse', problem: fault }
  const name = input.name ?? value.name
  const given = Object.entries(input.quota ?? {}).filter(([, limit]) => limit !== undefined)
  const quota: Quota = { ...value.quota, ...Object.fromEntries(given) }
  const { addressPolicy = value.addressPolicy } = input
  const changed: ProjectValue = { ...value, name, quota, ...(addressPolicy && { addressPolicy }) }
  if (Bun.deepEquals(changed, value)) return { kind: 'keep' }
  return { kind: 'write', value: changed, events: [describeProjectEvent('updated', id, changed)] }
}
