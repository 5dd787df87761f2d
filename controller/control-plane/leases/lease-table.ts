/**
 * What one controller knows of everybody's sessions and leases, by what the bucket tells and by its own clock: a session
 * lives for as long as it is heard of here, whatever its clock says. Touches nothing.
 */

import * as v from 'valibot'
import type { LeaseEntry } from './lease-bucket.ts'
import { findLiveHolder, type KnownLease, type KnownSession, type LeaseSight, type WantedLease } from './plan-leases.ts'

export interface OwnSession {
  readonly id: string
  readonly nonce: string
  readonly isAlive: boolean
  readonly beatenAt: number
}

export interface SessionText {
  readonly nonce: string
  readonly address: string
  readonly version: string
  readonly since: string
  readonly wants: readonly string[]
}

export interface HeardSession extends KnownSession {
  readonly revision: number
  readonly text: SessionText
}

export interface LeaseTable {
  /** False: it says nothing new. */
  take(entry: LeaseEntry): boolean
  /** The leader says no more of it than is known: it is over. */
  end(id: string, revision: number): void
  /** The leader says more of it than is known: the watch lags, and the session is given its time anew. */
  hear(id: string): void
  sight(own: OwnSession, wanted: ReadonlyMap<string, WantedLease>): LeaseSight
  sessions(): readonly HeardSession[]
  lease(name: string): KnownLease | null
  leases(): readonly KnownLease[]
}

const sessionRoot = 'session.'
const leaseRoot = 'lease.'
export const sessionKey = (id: string): string => `${sessionRoot}${id}`
export const leaseKey = (name: string): string => `${leaseRoot}${name}`

const sessionSchema = v.object({
  nonce: v.string(),
  address: v.string(),
  version: v.string(),
  since: v.string(),
  wants: v.array(v.string()),
})
const leaseSchema = v.object({ holder: v.string(), nonce: v.string() })

export const encodeSession = (text: SessionText): string => JSON.stringify(text)
export const encodeLease = (own: Pick<OwnSession, 'id' | 'nonce'>): string =>
  JSON.stringify({ holder: own.id, nonce: own.nonce })

/** @param now milliseconds of a clock that never goes back, and goes on while the process does not */
export function createLeaseTable(now: () => number): LeaseTable {
  const sessions = new Map<string, HeardSession>()
  const leases = new Map<string, KnownLease>()
  const freeSince = new Map<string, number>()

  function takeSession(id: string, { revision, text }: LeaseEntry): boolean {
    const known = sessions.get(id)
    if (known !== undefined && revision <= known.revision) return false
    const parsed = parse(sessionSchema, text)
    if (parsed === null) {
      sessions.delete(id)
      return true
    }
    const isSame = known?.nonce === parsed.nonce && known.isAlive
    const at = now()
    sessions.set(id, {
      id,
      revision,
      nonce: parsed.nonce,
      wants: new Set(parsed.wants),
      firstHeardAt: isSame ? known.firstHeardAt : at,
      lastHeardAt: at,
      isAlive: true,
      text: parsed,
    })
    return true
  }

  function takeLease(name: string, { revision, text }: LeaseEntry): boolean {
    if (revision <= (leases.get(name)?.revision ?? 0)) return false
    const parsed = parse(leaseSchema, text)
    leases.set(name, { name, revision, holder: parsed?.holder ?? null, nonce: parsed?.nonce ?? null })
    return true
  }

  return {
    take(entry) {
      if (entry.key.startsWith(sessionRoot)) return takeSession(entry.key.slice(sessionRoot.length), entry)
      return entry.key.startsWith(leaseRoot) && takeLease(entry.key.slice(leaseRoot.length), entry)
    },
    end(id, revision) {
      const known = sessions.get(id)
      if (known !== undefined && known.revision <= revision) sessions.set(id, { ...known, isAlive: false })
    },
    hear(id) {
      const known = sessions.get(id)
      if (known !== undefined) sessions.set(id, { ...known, lastHeardAt: now() })
    },
    sight(own, wanted) {
      const at = now()
      const others = [...sessions.values()].filter(({ id }) => id !== own.id)
      for (const name of wanted.keys()) {
        const lease = leases.get(name)
        if (lease !== undefined && findLiveHolder(lease, { own, others }) !== null) freeSince.delete(name)
        else if (!freeSince.has(name)) freeSince.set(name, at)
      }
      for (const name of freeSince.keys()) if (!wanted.has(name)) freeSince.delete(name)
      return { own, others, leases, wanted, freeSince, now: at }
    },
    sessions: () => [...sessions.values()],
    lease: (name) => leases.get(name) ?? null,
    leases: () => [...leases.values()],
  }
}

/** Null: nothing that is understood here, which holds nothing. */
function parse<Schema extends v.GenericSchema>(schema: Schema, text: string | null): v.InferOutput<Schema> | null {
  if (text === null) return null
  try {
    const parsed = v.safeParse(schema, JSON.parse(text))
    return parsed.success ? parsed.output : null
  } catch {
    return null
  }
}
