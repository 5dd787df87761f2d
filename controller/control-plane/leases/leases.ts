/**
 * Keeps one controller's session and the leases that it wants: turns steadily and at each change, and does what the plan
 * says. It writes to the lease bucket and touches nothing else.
 *
 * A holder counts its session's time from before its last beat was sent, the others from after they heard it, so it stops
 * before they begin, whatever the clocks say and however slow the way between is.
 */

import type { Lease, LeaseClaim, LeaseHolder, Leases, SessionView } from './lease.ts'
import type { LeaseBucket, LeaseEntry } from './lease-bucket.ts'
import {
  createLeaseTable,
  encodeLease,
  encodeSession,
  type HeardSession,
  type LeaseTable,
  leaseKey,
  type OwnSession,
  sessionKey,
} from './lease-table.ts'
import { findLiveHolder, type LeaseOperation, type LeaseTimes, leaseTimes, planLeases } from './plan-leases.ts'

export interface LeasesOptions {
  readonly bucket: LeaseBucket
  /** Of this controller, kept over its restarts: its own former session never stands in its way. */
  readonly id: string
  readonly address: string
  readonly version: string
  /** RFC 3339. */
  readonly since: string
  readonly createNonce: () => string
  /** Milliseconds of a clock that never goes back, and goes on while the process does not. */
  readonly now: () => number
  readonly onTrouble: (trouble: unknown) => void
  readonly times?: LeaseTimes
  /** False: a test turns it by hand. */
  readonly isTurning?: boolean
}

export interface KeptLeases extends Leases {
  /** Does all that is to be done now. */
  turn(): Promise<void>
}

interface Want {
  readonly name: string
  readonly isSpread: boolean
  claims: number
  readonly waiters: Set<() => void>
  held: HeldLease | null
}

interface HeldLease {
  readonly lease: Lease
  readonly abort: AbortController
}

const turnMilliseconds = 200
const namesakePollMilliseconds = 100
const never = Number.NEGATIVE_INFINITY
const operationsAtOnceMaximum = 64

/** @example const leases = await openLeases({ bucket, id: 'ctl_1', address, version, since, createNonce, now, onTrouble }) */
export async function openLeases(options: LeasesOptions): Promise<KeptLeases> {
  const { bucket, id, now } = options
  const times = options.times ?? leaseTimes
  const table = createLeaseTable(now)
  const wanted = new Map<string, Want>()
  const listeners = new Set<() => void>()
  const closing = new AbortController()
  let nonce = options.createNonce()
  /** Before the last beat that is known to have arrived was sent; null: none of this session has. */
  let beatAt: number | null = null
  let beatenAt = never
  let told = new Set<string>()
  let turning: Promise<void> | null = null
  let isAsked = false

  const deadline = () => (beatAt ?? never) + times.sessionMilliseconds - times.marginMilliseconds
  const isAlive = () => now() < deadline()
  const own = () => ({ id, nonce, isAlive: isAlive(), beatenAt })
  const spread = () => [...wanted.values()].filter(({ isSpread }) => isSpread).map(({ name }) => name)

  function take(entry: LeaseEntry): void {
    if (table.take(entry)) changed()
  }

  /** Brings what is held to what is known. */
  function settle(): void {
    for (const want of wanted.values()) {
      const known = table.lease(want.name)
      const isOurs = isAlive() && known !== null && known.holder === id && known.nonce === nonce
      if (want.held !== null && (!isOurs || known.revision !== want.held.lease.token)) drop(want)
      if (want.held === null && isOurs) {
        want.held = hold(want.name, known.revision)
        for (const done of [...want.waiters]) done()
      }
    }
  }

  function hold(name: string, token: number): HeldLease {
    const abort = new AbortController()
    const ownNonce = nonce
    const isHeld = () => !abort.signal.aborted && ownNonce === nonce && isAlive()
    return { lease: { name, token, signal: abort.signal, isHeld }, abort }
  }

  function drop(want: Want): void {
    const { held } = want
    want.held = null
    held?.abort.abort(new Error(`the lease ${want.name} is lost`))
  }

  function changed(): void {
    settle()
    for (const listener of [...listeners]) listener()
    isAsked = true
    if (options.isTurning !== false) void turn()
  }

  async function beat(): Promise<void> {
    const sentAt = now()
    const wants = spread()
    const text = encodeSession({ nonce, wants, ...describeSelf(options) })
    const beatNonce = nonce
    const revision = await bucket.write(sessionKey(id), text, null)
    beatenAt = sentAt
    told = new Set(wants)
    if (beatNonce === nonce && revision !== null) beatAt = Math.max(beatAt ?? sentAt, sentAt)
    if (revision !== null) take({ key: sessionKey(id), revision, text })
  }

  async function apply(operation: LeaseOperation): Promise<void> {
    switch (operation.kind) {
      case 'beat':
        return beat()
      case 'verify':
        return verify(operation.id)
      case 'take':
        return write(operation.name, encodeLease(own()), operation.revision)
      case 'release': {
        const want = wanted.get(operation.name)
        // Whoever works under it is told before anybody else may begin.
        if (want !== undefined) drop(want)
        return write(operation.name, null, operation.revision)
      }
      default:
        return operation satisfies never
    }
  }

  async function write(name: string, text: string | null, revision: number): Promise<void> {
    const written = await bucket.write(leaseKey(name), text, revision)
    if (written !== null) take({ key: leaseKey(name), revision: written, text })
  }

  /** The watch may lag: a session is over when its leader, too, says no more than was heard. */
  async function verify(other: string): Promise<void> {
    const known = table.sessions().find((session) => session.id === other)
    const entry = await bucket.read(sessionKey(other))
    if (known === undefined) return
    if (entry === null || entry.revision === known.revision) table.end(other, known.revision)
    else table.hear(other)
    changed()
  }

  /** A session that ran out is over for good: what was held is lost, and the next beat begins another. */
  function beginAnewIfOver(): void {
    if (beatAt === null || isAlive()) return
    nonce = options.createNonce()
    beatAt = null
    beatenAt = never
  }

  function turn(): Promise<void> {
    isAsked = true
    turning ??= runTurns().finally(() => {
      turning = null
    })
    return turning
  }

  async function runTurns(): Promise<void> {
    while (isAsked && !closing.signal.aborted) {
      isAsked = false
      beginAnewIfOver()
      settle()
      const isUntold = spread().some((name) => !told.has(name))
      const operations = planLeases(table.sight(isUntold ? { ...own(), beatenAt: never } : own(), wanted), times)
      const outcomes = await Promise.allSettled(operations.slice(0, operationsAtOnceMaximum).map(apply))
      for (const outcome of outcomes) if (outcome.status === 'rejected') options.onTrouble(outcome.reason)
    }
  }

  await bucket.follow(take, closing.signal)
  await refuseNamesake(options, table, times.sessionMilliseconds)
  // Each turn beats until one has arrived: a bucket that was just made may have no leader yet.
  await beat().catch(options.onTrouble)
  const look = () => {
    // Not only as part of a turn: that may be waiting for a server which does not answer.
    beginAnewIfOver()
    settle()
    void turn()
  }
  const timer = options.isTurning === false ? undefined : setInterval(look, turnMilliseconds)

  function claim(name: string, { isSpread = false }: { readonly isSpread?: boolean } = {}): LeaseClaim {
    const want: Want = wanted.get(name) ?? { name, isSpread, claims: 0, waiters: new Set(), held: null }
    want.claims += 1
    wanted.set(name, want)
    changed()
    return createClaim(want, {
      current: () => (want.held?.lease.isHeld() === true ? want.held.lease : null),
      async release() {
        want.claims -= 1
        if (want.claims > 0) return
        drop(want)
        wanted.delete(name)
        await turn().catch(options.onTrouble)
      },
    })
  }

  return {
    holder: id,
    claim,
    turn,
    find: (name) => findHolder(name, table, own()),
    sessions: () => table.sessions().map((session) => viewSession(session, table, own())),
    subscribe(listener) {
      const wrapper = () => listener()
      listeners.add(wrapper)
      return () => listeners.delete(wrapper)
    },
    async close() {
      clearInterval(timer)
      for (const want of wanted.values()) drop(want)
      wanted.clear()
      await turning
      closing.abort()
      // One key ends the session, and with it every lease that is held through it.
      await bucket.write(sessionKey(id), null, null).catch(options.onTrouble)
    },
  }
}

/** Two of one name would take each other's leases for their own former ones. One that was moved is waited for. */
async function refuseNamesake(
  { id, address, now }: LeasesOptions,
  table: LeaseTable,
  sessionMilliseconds: number,
): Promise<void> {
  const find = () => table.sessions().find((session) => session.id === id)
  const known = find()
  if (known === undefined || known.text.address === address) return
  const deadline = now() + sessionMilliseconds
  while (now() < deadline) {
    await Bun.sleep(namesakePollMilliseconds)
    if (find() === undefined) return
    if (find()?.revision === known.revision) continue
    throw new Error(
      `another controller is called ${id}, at ${known.text.address}: give each a name of its own (SLUICE_CONTROLLER_NAME)`,
    )
  }
}

const describeSelf = ({ address, version, since }: LeasesOptions) => ({ address, version, since })

function findHolder(name: string, table: LeaseTable, own: OwnSession): LeaseHolder | null {
  const lease = table.lease(name)
  const holder = lease === null ? null : findLiveHolder(lease, { own, others: listOthers(table, own) })
  return lease === null || holder === null ? null : { name, holder, token: lease.revision }
}

const listOthers = (table: LeaseTable, own: OwnSession) => table.sessions().filter(({ id }) => id !== own.id)

function viewSession(session: HeardSession, table: LeaseTable, own: OwnSession): SessionView {
  const { id, nonce, text } = session
  const isAlive = id === own.id ? own.isAlive : session.isAlive
  const leads = table.leases().flatMap(({ name }) => (findHolder(name, table, own)?.holder === id ? [name] : []))
  return { id, nonce, address: text.address, version: text.version, since: text.since, isAlive, leads: leads.sort() }
}

function createClaim(
  want: Want,
  parts: { readonly current: () => Lease | null; readonly release: () => Promise<void> },
): LeaseClaim {
  let isReleased = false
  return {
    current: () => (isReleased ? null : parts.current()),
    async held(signal) {
      while (!signal.aborted && !isReleased) {
        const lease = parts.current()
        if (lease !== null) return lease
        const next = Promise.withResolvers<void>()
        want.waiters.add(next.resolve)
        const abort = () => next.resolve()
        signal.addEventListener('abort', abort, { once: true })
        await next.promise
        signal.removeEventListener('abort', abort)
        want.waiters.delete(next.resolve)
      }
      return null
    },
    async release() {
      if (isReleased) return
      isReleased = true
      for (const done of [...want.waiters]) done()
      await parts.release()
    },
  }
}
