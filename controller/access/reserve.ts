/**
 * Reservations: what is taken before the object that wants it is written, since a transaction covers one entity group.
 * A name, a unit of quota, a VNI, an address on the uplink: each is a small object whose id follows from what it
 * reserves, so that taking it twice is a conflict that the store decides; it carries its owner, and one whose owner is
 * not there after the grace is nobody's (`sweep-reservations.ts`). Touches reservations alone.
 */

import { createNamedId } from '../control-plane/shard-key.ts'
import {
  type Kind,
  OutcomeUnknownError,
  retryAfterSeconds,
  type StoredObject,
  StoreUnavailableError,
} from '../control-plane/store.ts'
import {
  hostKind,
  instanceKind,
  loadBalancerKind,
  machineKind,
  networkKind,
  poolKind,
  projectKind,
  type ReservationValue,
  reservationKind,
  shardKind,
  tokenKind,
} from '../objects.ts'
import type { ControllerContext } from '../services.ts'

/** What is wanted. Its id is the hash of client and words. */
export interface Claim {
  /** Within whose things it is unique: a project's id, a user, or `system`. */
  readonly clientId: string
  /** Its sort first: `['vni', '4711']`, `['uplink', '198.18.32.10']`. */
  readonly words: readonly [string, ...string[]]
}

/** Who holds it: the object may be written later than the reservation, within the grace. */
export interface Owner {
  readonly kind: Kind<unknown>
  readonly id: string
}

export type Reservation = StoredObject<ReservationValue>

export type ReserveOutcome =
  | { readonly outcome: 'taken'; readonly reservation: Reservation }
  | { readonly outcome: 'held'; readonly ownerKind: string; readonly ownerId: string }
  | { readonly outcome: 'unavailable'; readonly retryAfterSeconds: number; readonly reason: string }

type AccessContext = Pick<ControllerContext, 'store' | 'now'>

/**
 * How long a reservation may wait for its owner to be written. A creation takes milliseconds; one that takes longer
 * than half of this checks again that what it took is still its own.
 */
export const reservationGraceMilliseconds = 30_000
const attemptsMaximum = 8

const ownerKinds: ReadonlyMap<string, Kind<unknown>> = new Map(
  [hostKind, instanceKind, loadBalancerKind, machineKind, networkKind, poolKind, projectKind, shardKind, tokenKind].map(
    (kind): [string, Kind<unknown>] => [kind.name, kind as Kind<unknown>],
  ),
)

export const reservationId = (claim: Claim): string =>
  createNamedId(reservationKind.prefix, claim.clientId, claim.clientId, ...claim.words)

/**
 * Takes what is claimed for its owner. Idempotent: the owner who holds it already has taken it. With `refresh` its age
 * begins anew, which a caller needs whose object does not say yet that it wants this.
 * @example await reserve(context, { clientId: systemClient, words: ['vni', '4711'] }, { kind: networkKind, id })
 */
export async function reserve(
  context: AccessContext,
  claim: Claim,
  owner: Owner,
  options: { readonly refresh?: boolean } = {},
): Promise<ReserveOutcome> {
  const id = reservationId(claim)
  let latest = false
  for (let attempt = 1; attempt <= attemptsMaximum; attempt++) {
    try {
      const current = await context.store.get(reservationKind, id, { latest })
      if (current !== null) {
        const standing = await judge(context, current, owner, options.refresh === true)
        if (standing === 'own') return { outcome: 'taken', reservation: current }
        if (standing === 'held') {
          return { outcome: 'held', ownerKind: current.value.ownerKind, ownerId: current.value.ownerId }
        }
      }
      const outcome = await context.store.transact({
        writes: [
          { kind: reservationKind, id, expect: current?.version ?? 'absent', value: describe(context, claim, owner) },
        ],
      })
      switch (outcome.outcome) {
        case 'committed':
          return { outcome: 'taken', reservation: outcome.objects[0] as Reservation }
        case 'conflict':
          break
        case 'unavailable':
          return outcome
        default:
          outcome satisfies never
      }
    } catch (cause) {
      if (cause instanceof StoreUnavailableError) {
        return { outcome: 'unavailable', retryAfterSeconds, reason: cause.message }
      }
      if (!(cause instanceof OutcomeUnknownError)) throw cause
    }
    latest = true
  }
  return { outcome: 'unavailable', retryAfterSeconds, reason: `${claim.words.join(' ')} is wanted by many at once` }
}

/**
 * Takes the first of these claims that nobody holds; null when all are held. `claims` may be lazy and long: what memory
 * shows as held is passed over without a write.
 */
export async function reserveFirstFree(
  context: AccessContext,
  claims: Iterable<Claim>,
  owner: Owner,
): Promise<Exclude<ReserveOutcome, { outcome: 'held' }> | null> {
  for (const claim of claims) {
    const outcome = await reserve(context, claim, owner)
    if (outcome.outcome !== 'held') return outcome
  }
  return null
}

/**
 * Gives back what the owner holds, and leaves alone what another holds. Never fails: what can't be released now, as the
 * store is not available, has no owner that wants it and is swept.
 */
export async function release(context: AccessContext, claim: Claim, ownerId: string): Promise<void> {
  const current = await context.store.get(reservationKind, reservationId(claim))
  if (current?.value.ownerId === ownerId) await releaseReservation(context, current)
}

/** As `release`, of a reservation at hand: only if it is still as it was read. */
export async function releaseReservation(context: AccessContext, reservation: Reservation): Promise<boolean> {
  try {
    const { id, version } = reservation
    const outcome = await context.store.transact({
      writes: [{ kind: reservationKind, id, expect: version, value: null }],
    })
    return outcome.outcome === 'committed'
  } catch (cause) {
    if (cause instanceof OutcomeUnknownError) return false
    throw cause
  }
}

/** All that an owner holds within one client, from memory. */
export function findReservations(
  context: Pick<ControllerContext, 'store'>,
  clientId: string,
  ownerId: string,
): readonly Reservation[] {
  return context.store
    .snapshot(reservationKind, clientId)
    .filter(({ value }) => value.ownerId === ownerId && value.clientId === clientId)
}

/** The object that a reservation names as its owner, or null when there is none. */
export async function findOwner(
  context: Pick<ControllerContext, 'store'>,
  { value }: Reservation,
): Promise<StoredObject<unknown> | null> {
  const kind = ownerKinds.get(value.ownerKind)
  if (kind === undefined) throw new Error(`BUG: no kind ${value.ownerKind} can own a reservation: add it to ownerKinds`)
  // Memory may lag behind what another controller wrote: absent is said by the microshard's leader only.
  return (await context.store.get(kind, value.ownerId)) ?? context.store.get(kind, value.ownerId, { latest: true })
}

export const ageMilliseconds = (context: Pick<ControllerContext, 'now'>, reservation: Reservation): number =>
  context.now() - Date.parse(reservation.value.takenAt)

/** `own`: nothing to write; `held`: another's; `open`: to be written, over an abandoned one or to begin its age anew. */
async function judge(
  context: AccessContext,
  current: Reservation,
  owner: Owner,
  refresh: boolean,
): Promise<'own' | 'held' | 'open'> {
  const age = ageMilliseconds(context, current)
  if (current.value.ownerId === owner.id) {
    if (age <= reservationGraceMilliseconds / 2) return 'own'
    return refresh || (await findOwner(context, current)) === null ? 'open' : 'own'
  }
  if (age <= reservationGraceMilliseconds) return 'held'
  return (await findOwner(context, current)) === null ? 'open' : 'held'
}

function describe(context: AccessContext, claim: Claim, owner: Owner): ReservationValue {
  if (!ownerKinds.has(owner.kind.name)) {
    throw new Error(`BUG: no kind ${owner.kind.name} can own a reservation: add it to ownerKinds`)
  }
  return {
    ownerId: owner.id,
    ownerKind: owner.kind.name,
    clientId: claim.clientId,
    words: claim.words,
    takenAt: new Date(context.now()).toISOString(),
  }
}
