/**
 * Watches who carries the control plane, records it, and so tells of it by events. One turn at a time, steadily. It asks
 * the sessions and the servers, and writes the store.
 */

import type { Logger } from 'pino'
import { sleep } from '../control-plane/connection-watch.ts'
import type { Leases } from '../control-plane/leases/lease.ts'
import { type Store, transactionWritesMaximum } from '../control-plane/store.ts'
import type { ListedServer } from '../nats/cluster/server-list.ts'
import { systemClient } from '../objects.ts'
import { planPresence, type SeenPresence } from './plan-presence.ts'
import { presenceKind } from './presence-kind.ts'

export interface PresenceOptions {
  readonly store: Pick<Store, 'snapshot' | 'transact'>
  readonly leases: Pick<Leases, 'sessions'>
  readonly listServers: () => Promise<readonly ListedServer[]>
  readonly logger: Pick<Logger, 'warn'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const turnMilliseconds = 2_000
/** A server that is missing from so many answers in a row is gone; one alone may have been late. */
const absencesMinimum = 2

/** Resolves when the signal has aborted and the turn under way is over. */
export async function keepPresence(options: PresenceOptions, signal: AbortSignal): Promise<void> {
  const missed = new Map<string, number>()
  let lastServers: readonly ListedServer[] = []
  while (!signal.aborted) {
    try {
      lastServers = rememberMissed(await options.listServers(), lastServers, missed)
      await record(options, lastServers)
    } catch (cause) {
      if (!signal.aborted) options.logger.warn({ err: cause }, 'who is there could not be recorded; it is tried again')
    }
    await sleep(turnMilliseconds, signal)
  }
}

function rememberMissed(
  found: readonly ListedServer[],
  before: readonly ListedServer[],
  missed: Map<string, number>,
): readonly ListedServer[] {
  for (const { node } of found) missed.delete(node)
  const late = before.filter(({ node }) => {
    if (found.some((server) => server.node === node)) return false
    const times = (missed.get(node) ?? 0) + 1
    missed.set(node, times)
    return times < absencesMinimum
  })
  return [...found, ...late]
}

async function record({ store, leases, now }: PresenceOptions, servers: readonly ListedServer[]): Promise<void> {
  const seen: SeenPresence[] = [
    ...servers.map(({ node, address, version }) => ({ what: 'node' as const, name: node, address, version })),
    ...leases
      .sessions()
      .filter(({ isAlive }) => isAlive)
      .map(({ id, address, version }) => ({ what: 'controller' as const, name: id, address, version })),
  ]
  const recorded = new Map(store.snapshot(presenceKind, systemClient).map((object) => [object.id, object]))
  const changes = planPresence(seen, recorded, new Date(now()).toISOString()).slice(0, transactionWritesMaximum)
  if (changes.length === 0) return
  // What another controller wrote meanwhile is seen by the next turn.
  await store.transact({
    writes: changes.map(({ write }) => write),
    events: changes.flatMap(({ event }) => (event === null ? [] : [event])),
  })
}
