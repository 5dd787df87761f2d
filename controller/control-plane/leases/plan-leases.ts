/**
 * Decides what one controller does about leases next, from what it knows of everybody's. Pure.
 *
 * A lease is held through its holder's session: one beat keeps all of a controller's leases, however many they are.
 * A lease that is spread has a preferred controller, of highest rendezvous weight among those that live and want it, so
 * that work spreads and only what must moves. Another one takes it if the preferred does not within its patience.
 */

import { createHash } from 'node:crypto'

export interface LeaseTimes {
  /** A session of which nothing was heard for so long is over. */
  readonly sessionMilliseconds: number
  readonly beatMilliseconds: number
  /** How much earlier a holder stops than the others begin. */
  readonly marginMilliseconds: number
  /** How long a free lease is left to the one that is preferred. */
  readonly patienceMilliseconds: number
  /** How long a controller must have been there before leases are handed over to it. */
  readonly settledMilliseconds: number
}

export const leaseTimes: LeaseTimes = {
  sessionMilliseconds: 4_000,
  beatMilliseconds: 1_000,
  marginMilliseconds: 750,
  patienceMilliseconds: 1_500,
  settledMilliseconds: 3_000,
}

/** All times are of this process's monotonic clock, in milliseconds. */
export interface KnownSession {
  readonly id: string
  readonly nonce: string
  /** The leases that it wants and shares with others that want them. */
  readonly wants: ReadonlySet<string>
  readonly firstHeardAt: number
  readonly lastHeardAt: number
  readonly isAlive: boolean
}

export interface KnownLease {
  readonly name: string
  readonly revision: number
  /** Null: it was given up. */
  readonly holder: string | null
  readonly nonce: string | null
}

export interface WantedLease {
  /** Shared with all that want it, by weight; else it is whose it was first. */
  readonly isSpread: boolean
}

export interface LeaseSight {
  readonly own: { readonly id: string; readonly nonce: string; readonly isAlive: boolean; readonly beatenAt: number }
  /** Without one's own. */
  readonly others: readonly KnownSession[]
  readonly leases: ReadonlyMap<string, KnownLease>
  readonly wanted: ReadonlyMap<string, WantedLease>
  /** Since when a lease is seen to be free. */
  readonly freeSince: ReadonlyMap<string, number>
  readonly now: number
}

export type LeaseOperation =
  | { readonly kind: 'beat' }
  | { readonly kind: 'take'; readonly name: string; readonly revision: number }
  | { readonly kind: 'release'; readonly name: string; readonly revision: number }
  /** A session of which nothing was heard: the leader is asked whether it really says nothing. */
  | { readonly kind: 'verify'; readonly id: string }

export function planLeases(sight: LeaseSight, times: LeaseTimes): readonly LeaseOperation[] {
  const { own, others, leases, wanted, now } = sight
  const beat: LeaseOperation[] = now - own.beatenAt >= times.beatMilliseconds ? [{ kind: 'beat' }] : []
  const verify = others
    .filter(({ isAlive, lastHeardAt }) => isAlive && now - lastHeardAt >= times.sessionMilliseconds)
    .map(({ id }): LeaseOperation => ({ kind: 'verify', id }))
  if (!own.isAlive) return [...beat, ...verify]
  const release = [...leases.values()]
    .filter((lease) => isHeldBy(lease, own) && isToBeReleased(lease, sight, times))
    .map(({ name, revision }): LeaseOperation => ({ kind: 'release', name, revision }))
  const take = [...wanted.keys()]
    .filter((name) => isToBeTaken(name, sight, times))
    .map((name): LeaseOperation => ({ kind: 'take', name, revision: leases.get(name)?.revision ?? 0 }))
  return [...beat, ...verify, ...release, ...take]
}

function isToBeReleased({ name }: KnownLease, sight: LeaseSight, { settledMilliseconds }: LeaseTimes): boolean {
  const wanted = sight.wanted.get(name)
  if (wanted === undefined) return true
  return wanted.isSpread && choosePreferred(name, sight, settledMilliseconds) !== sight.own.id
}

function isToBeTaken(name: string, sight: LeaseSight, { patienceMilliseconds }: LeaseTimes): boolean {
  const lease = sight.leases.get(name)
  if (lease !== undefined && findLiveHolder(lease, sight) !== null) return false
  if (sight.wanted.get(name)?.isSpread !== true || choosePreferred(name, sight, 0) === sight.own.id) return true
  return sight.now - (sight.freeSince.get(name) ?? sight.now) >= patienceMilliseconds
}

/** The controller that holds it through a session which is alive; null: it is free. */
export function findLiveHolder(lease: KnownLease, sight: Pick<LeaseSight, 'own' | 'others'>): string | null {
  if (isHeldBy(lease, sight.own)) return sight.own.isAlive ? sight.own.id : null
  return sight.others.find((session) => session.isAlive && isHeldBy(lease, session))?.id ?? null
}

const isHeldBy = (lease: KnownLease, session: { readonly id: string; readonly nonce: string }) =>
  lease.holder === session.id && lease.nonce === session.nonce

/** Of those that live and want it; of the others only those that have been there for so long. */
function choosePreferred(name: string, { own, others, now }: LeaseSight, settledMilliseconds: number): string {
  const settled = others.filter(
    ({ isAlive, wants, firstHeardAt }) => isAlive && wants.has(name) && now - firstHeardAt >= settledMilliseconds,
  )
  const ids = [own.id, ...settled.map(({ id }) => id)]
  return ids.reduce((best, id) => (weigh(name, id) > weigh(name, best) ? id : best))
}

/** Rendezvous hashing: the same everywhere, and a controller that leaves moves only what it had. */
const weigh = (name: string, id: string): string => createHash('sha256').update(`${name}\n${id}`).digest('hex')
