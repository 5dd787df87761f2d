/**
 * Releases what nobody wants: reservations whose owner was never written or is gone, names that their owner does not
 * bear, a second unit of quota. Called by the reconcile loop, each turn or every few. Touches reservations and
 * idempotency keys.
 */

import type { StoredObject } from '../control-plane/store.ts'
import { idempotencyKind, reservationKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import {
  ageMilliseconds,
  findOwner,
  type Reservation,
  releaseReservation,
  reservationGraceMilliseconds,
} from './reserve.ts'

/** How long an answer is kept for the repetition of its request. */
export const idempotencyKeptMilliseconds = 24 * 3600 * 1000
/** One turn releases so many at most; the next one goes on. */
const releasesMaximum = 200

/**
 * Says of an owner that is there whether it still wants what it reserved. By the sort of reservation, its first word;
 * a sort without a judge is wanted as long as its owner is there.
 * @example { uplink: ({ value }, owner) => slotsOf(owner).some(({ vip }) => vip === value.words[1]) }
 */
export type Judges = Readonly<Record<string, (reservation: Reservation, owner: StoredObject<unknown>) => boolean>>

type AccessContext = Pick<ControllerContext, 'store' | 'now' | 'logger'>

/** Never fails: what can't be released now is looked at again in the next turn. Answers how many were released. */
export async function sweepReservations(context: AccessContext, judges: Judges = {}): Promise<number> {
  const all = context.store.snapshot(reservationKind)
  const units = findLowestUnits(all)
  let released = 0
  for (const reservation of all) {
    if (released >= releasesMaximum) break
    if (ageMilliseconds(context, reservation) <= reservationGraceMilliseconds) continue
    try {
      if (await isWanted(context, reservation, units, judges)) continue
      if (!(await releaseReservation(context, reservation))) continue
      released++
      context.logger.info({ reservation: reservation.value.words, ownerId: reservation.value.ownerId }, 'swept')
    } catch (cause) {
      context.logger.warn({ err: cause, reservation: reservation.value.words }, 'a reservation could not be judged')
      break
    }
  }
  return released + (await sweepIdempotencyKeys(context))
}

async function isWanted(
  context: AccessContext,
  reservation: Reservation,
  units: ReadonlyMap<string, number>,
  judges: Judges,
): Promise<boolean> {
  const owner = await findOwner(context, reservation)
  if (owner === null) return false
  const [sort = '', of, what] = reservation.value.words
  if (sort === 'name') return of !== owner.kind || nameOf(owner.value) === what
  if (sort === 'quota') return units.get(unitKey(reservation)) === Number(what)
  return judges[sort]?.(reservation, owner) ?? true
}

/** By owner and noun its lowest unit: a race can leave an owner with two, of which one is enough. */
function findLowestUnits(all: readonly Reservation[]): ReadonlyMap<string, number> {
  const lowest = new Map<string, number>()
  for (const reservation of all) {
    const [sort, , unit] = reservation.value.words
    if (sort !== 'quota') continue
    const key = unitKey(reservation)
    lowest.set(key, Math.min(Number(unit), lowest.get(key) ?? Number.POSITIVE_INFINITY))
  }
  return lowest
}

const unitKey = ({ value }: Reservation): string => `${value.clientId} ${value.words[1]} ${value.ownerId}`

async function sweepIdempotencyKeys(context: AccessContext): Promise<number> {
  let released = 0
  for (const { id, version, value } of context.store.snapshot(idempotencyKind)) {
    if (released >= releasesMaximum) break
    if (context.now() - Date.parse(value.takenAt) <= idempotencyKeptMilliseconds) continue
    try {
      const outcome = await context.store.transact({
        writes: [{ kind: idempotencyKind, id, expect: version, value: null }],
      })
      if (outcome.outcome === 'committed') released++
    } catch (cause) {
      context.logger.warn({ err: cause, id }, 'an idempotency key could not be removed')
      break
    }
  }
  return released
}

function nameOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'name' in value ? value.name : undefined
}
