/** Projects: the tenants. Each has a name, unique for its user, a slug, unique in all, and a quota. */

import type { Page } from '../contract/common.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import type { Project, ProjectCreate, ProjectUpdate, Quota } from '../contract/project.ts'
import type { EventDraft, StoredObject } from '../control-plane/store.ts'
import {
  loadBalancerKind,
  machineKind,
  networkKind,
  type ProjectValue,
  poolKind,
  projectKind,
  reservationKind,
  shardKind,
  systemClient,
  tokenKind,
} from '../objects.ts'
import type { ControllerContext, RequestInfo, Service } from '../services.ts'
import { checkExpectedVersion, removeObject, updateObject } from './change-object.ts'
import { declareObject } from './declare-object.ts'
import { createObjectClientId } from './object-id.ts'
import { refuseField, refuseForbidden, refuseInUse, refuseUnavailable } from './problems.ts'
import { type Claim, release, reserve } from './reserve.ts'
import { findVisible, listObjects, viewObject } from './view.ts'

/** Called for each token of a project that goes: it revokes what the token had beyond the store. */
type RemoveToken = (id: string, request: RequestInfo) => Promise<Outcome<boolean>>
type Projects = Service<Project, ProjectCreate, ProjectUpdate>

const heldKinds = [poolKind, shardKind, networkKind, machineKind, loadBalancerKind] as const

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
        { kind: projectKind, id, scope, apply: ({ value }) => decideUpdate(id, value, input) },
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
/** Users share one space of names with no project's id in it. */
const scopeOfUser = (user: string): string => `user ${user}`
const slugClaim = (slug: string): Claim => ({ clientId: systemClient, words: ['slug', slug] })

function viewProject(object: StoredObject<ProjectValue>): Project {
  const { name, user, slug, quota, deletingSince } = object.value
  return {
    ...viewObject(object, { name, projectId: object.id }),
    status: deletingSince === undefined ? 'active' : 'deleting',
    user,
    slug,
    quota,
  }
}

const describeEvent = (type: 'created' | 'updated' | 'deleted', id: string, value: ProjectValue): EventDraft => ({
  type: `project.${type}`,
  projectId: id,
  subject: id,
  data: { name: value.name, user: value.user },
})

async function createProject(
  context: ControllerContext,
  input: ProjectCreate,
  request: RequestInfo,
): Promise<Outcome<Project>> {
  const id = createObjectClientId(projectKind, request.seed)
  const slug = await reserveSlug(context, id, input)
  if (!slug.ok) return slug
  const value: ProjectValue = { name: input.name, user: input.user, slug: slug.value, quota: input.quota }
  const declared = await declareObject(
    context,
    {
      kind: projectKind,
      id,
      scope: scopeOfUser(input.user),
      name: input.name,
      value,
      events: [describeEvent('created', id, value)],
    },
    request,
  )
  if (declared.ok) return succeed(viewProject(declared.value))
  if (declared.problem.code !== 'unavailable') await release(context, slugClaim(slug.value), id)
  return declared
}

/** The chosen slug, or one made from the name: with a part of the id when that is taken. */
async function reserveSlug(context: ControllerContext, id: string, input: ProjectCreate): Promise<Outcome<string>> {
  const made = makeSlug(input.name)
  const candidates = input.slug === undefined ? [made, `${made}-${id.slice(-6)}`, id.slice(-12)] : [input.slug]
  for (const slug of candidates) {
    const outcome = await reserve(context, slugClaim(slug), { kind: projectKind, id }, { refresh: true })
    if (outcome.outcome === 'taken') return succeed(slug)
    if (outcome.outcome === 'unavailable') return refuseUnavailable(outcome.reason, outcome.retryAfterSeconds)
  }
  const message = `the slug '${candidates[0]}' is taken`
  return refuseField('slug', message, 'Choose another slug, or leave it out to have one made.', 'name-taken')
}

/** At most 33 characters, so that a part of the id fits behind it. */
function makeSlug(name: string): string {
  const words = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[\u0300-\u036f']/g, '')
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
  return words.join('-').slice(0, 33).replace(/-$/, '') || 'project'
}

function decideUpdate(id: string, value: ProjectValue, input: ProjectUpdate) {
  const name = input.name ?? value.name
  const given = Object.entries(input.quota ?? {}).filter(([, limit]) => limit !== undefined)
  const quota: Quota = { ...value.quota, ...Object.fromEntries(given) }
  const changed: ProjectValue = { ...value, name, quota }
  if (Bun.deepEquals(changed, value)) return { kind: 'keep' } as const
  return { kind: 'write', value: changed, events: [describeEvent('updated', id, changed)] } as const
}

/**
 * Marks the project first: whoever creates something in it takes a reservation and then looks for the mark, so one of
 * both sees the other. What is still in it takes the mark away again.
 */
async function removeProject(
  context: ControllerContext,
  project: StoredObject<ProjectValue>,
  removeToken: RemoveToken,
  request: RequestInfo,
): Promise<Outcome<boolean>> {
  const { id } = project
  const stale = checkExpectedVersion(projectKind.name, project, request)
  if (stale !== null) return refuse(stale)
  const holdersBefore = findHolders(context, id)
  if (holdersBefore.length > 0) return refuseInUse('project', project.value.name, holdersBefore)
  const mark = { ...request, actionId: `${request.actionId}-mark` }
  const deletingSince = new Date(context.now()).toISOString()
  const marked = await updateObject(
    context,
    { kind: projectKind, id, apply: ({ value }) => ({ kind: 'write', value: { ...value, deletingSince } }) },
    mark,
  )
  if (!marked.ok) return marked
  const holders = findHolders(context, id)
  if (holders.length > 0) {
    await unmark(context, id, request)
    return refuseInUse('project', project.value.name, holders)
  }
  for (const token of context.store.snapshot(tokenKind, id)) {
    if (token.value.projectId !== id) continue
    const { expectedVersion: _, ...unconditional } = request
    const removed = await removeToken(token.id, unconditional)
    if (!removed.ok && removed.problem.code !== 'not-found') return removed
  }
  const { expectedVersion: _, ...unconditional } = request
  const removal = {
    kind: projectKind,
    id,
    scopes: [scopeOfUser(project.value.user), systemClient, id],
    events: ({ value }: StoredObject<ProjectValue>) => [describeEvent('deleted', id, value)],
  }
  return removeObject(context, removal, unconditional)
}

async function unmark(context: ControllerContext, id: string, request: RequestInfo): Promise<void> {
  const apply = ({ value }: StoredObject<ProjectValue>) => {
    const { deletingSince: _, ...kept } = value
    return { kind: 'write', value: kept } as const
  }
  const { traceparent } = request
  await updateObject(context, { kind: projectKind, id, apply }, { actionId: `${request.actionId}-unmark`, traceparent })
}

/** What is in a project, in words; also what is about to be, of which only the reservation is there. */
function findHolders(context: ControllerContext, projectId: string): readonly string[] {
  const held = heldKinds.flatMap((kind) =>
    context.store
      .snapshot<{ readonly name: string; readonly projectId: string }>(kind, projectId)
      .filter(({ value }) => value.projectId === projectId)
      .map(({ value }) => `${kind.name} '${value.name}'`),
  )
  if (held.length > 0) return held
  return context.store
    .snapshot(reservationKind, projectId)
    .filter(({ value }) => value.clientId === projectId && value.ownerKind !== tokenKind.name)
    .map(({ value }) => `${value.ownerKind} ${value.ownerId}, which is being created`)
}
