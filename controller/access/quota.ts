/**
 * Quota: a project may have so many of each noun. A unit is a numbered reservation, so that however many controllers
 * give them out, no more are given than there are. Touches reservations alone.
 */

import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import type { QuotaNoun } from '../contract/project.ts'
import { type StoredObject, StoreUnavailableError } from '../control-plane/store.ts'
import { type ProjectValue, projectKind, reservationKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import { refuseField, refuseUnavailable } from './problems.ts'
import {
  ageMilliseconds,
  type Claim,
  type Owner,
  type Reservation,
  release,
  reservationGraceMilliseconds,
  reserve,
  reserveFirstFree,
} from './reserve.ts'

type AccessContext = Pick<ControllerContext, 'store' | 'now'>

/** Takes a unit for the owner, the one that it has or the first free one; refuses with `quota-exceeded`. */
export async function reserveQuota(
  context: AccessContext,
  owner: Owner,
  quota: { readonly noun: QuotaNoun; readonly projectId: string },
): Promise<Outcome<Claim>> {
  const { noun, projectId } = quota
  const project = await readProject(context, projectId)
  if (!project.ok) return project
  const limit = project.value.value.quota[noun]
  const outcome = await reserveUnit(context, owner, projectId, noun, limit)
  if (outcome === null) return refuseQuota(projectId, noun, limit)
  if (outcome.outcome === 'unavailable') return refuseUnavailable(outcome.reason, outcome.retryAfterSeconds)
  const claim: Claim = { clientId: projectId, words: ['quota', noun, outcome.reservation.value.words[2] ?? ''] }
  // Whoever deletes the project marks it first and looks for reservations then: one of both sees the other.
  const still = await readProject(context, projectId, { latest: true })
  if (still.ok) return succeed(claim)
  await release(context, claim, owner.id)
  return still
}

/** A project that is there and is not being deleted; else the field `projectId` is at fault. */
export async function readProject(
  context: Pick<ControllerContext, 'store'>,
  projectId: string,
  options: { readonly latest?: boolean } = {},
): Promise<Outcome<StoredObject<ProjectValue>>> {
  try {
    const project = await context.store.get(projectKind, projectId, options)
    if (project !== null && project.value.deletingSince === undefined) return succeed(project)
  } catch (cause) {
    if (!(cause instanceof StoreUnavailableError)) throw cause
    return refuseUnavailable(cause.message, cause.retryAfterSeconds)
  }
  return refuseField('projectId', `there is no project ${projectId}`, 'Give the id of a project that is there.')
}

/** The units of a noun that are taken, by their number: from memory. */
export function findUnits(
  context: Pick<ControllerContext, 'store'>,
  projectId: string,
  noun: QuotaNoun,
): ReadonlyMap<number, Reservation> {
  const units = new Map<number, Reservation>()
  for (const reservation of context.store.snapshot(reservationKind, projectId)) {
    const [sort, of, unit] = reservation.value.words
    if (sort === 'quota' && of === noun && reservation.value.clientId === projectId)
      units.set(Number(unit), reservation)
  }
  return units
}

async function reserveUnit(
  context: AccessContext,
  owner: Owner,
  projectId: string,
  noun: QuotaNoun,
  limit: number,
): ReturnType<typeof reserveFirstFree> {
  const claim = (unit: number): Claim => ({ clientId: projectId, words: ['quota', noun, String(unit)] })
  const units = findUnits(context, projectId, noun)
  for (const [unit, { value }] of units) {
    if (value.ownerId !== owner.id) continue
    const outcome = await reserve(context, claim(unit), owner, { refresh: true })
    if (outcome.outcome !== 'held') return outcome
  }
  return reserveFirstFree(context, listCandidates(context, units, limit, owner.id).map(claim), owner)
}

/** Free units, begun at a place of the owner's own so that creations at once don't meet; then what may be abandoned. */
function* listCandidates(
  context: AccessContext,
  units: ReadonlyMap<number, Reservation>,
  limit: number,
  ownerId: string,
): Generator<number> {
  // After the quota was lowered there may be more units than it allows, and gaps below the limit.
  if (units.size < limit) {
    const start = Number(Bun.hash.crc32(ownerId)) % limit
    for (let i = 0; i < limit; i++) {
      const unit = ((start + i) % limit) + 1
      if (!units.has(unit)) yield unit
    }
  }
  for (const [unit, reservation] of units) {
    if (unit <= limit && ageMilliseconds(context, reservation) > reservationGraceMilliseconds) yield unit
  }
}

const refuseQuota = (projectId: string, noun: QuotaNoun, limit: number) =>
  refuse({
    code: 'quota-exceeded',
    title: 'The quota is used up',
    detail: `Project ${projectId} may have ${limit} ${noun}, and has them.`,
    remedy: `Delete what is not needed, or have an admin raise the project's quota.${noun}.`,
    errors: [{ field: 'projectId', message: `its quota of ${limit} ${noun} is used up` }],
  })
