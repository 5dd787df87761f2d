/**
 * Knows what is published for each host, and publishes what differs: on the condition that nobody else did meanwhile, so
 * that a generation never goes back, whichever controller writes and however often it starts. Touches the bus alone.
 */

import type { HostInstructions } from '../../agent/contract/host-instructions.ts'
import type { InstructionsBus, PublishedInstructions } from './instructions-bus.ts'

export interface Publisher {
  /** By host name; complete for the hosts that `load` was asked for. */
  readonly published: ReadonlyMap<string, HostInstructions>
  /** True when what is published for these is known: then nothing needs to be loaded. */
  knows(hosts: readonly string[]): boolean
  /** Reads what is not known yet of these hosts, and at the first call of all others that have a statement. */
  load(hosts: Iterable<string>): Promise<void>
  /** Knows nothing any more: others may have published since. */
  forget(): void
  /** False: another controller published meanwhile; what it wrote is read before the next plan. */
  publish(statement: HostInstructions): Promise<boolean>
  /** Whether what is known of a host is what is published: another controller may have told it more. */
  isCurrent(host: string): Promise<boolean>
}

export function createPublisher(bus: InstructionsBus): Publisher {
  const published = new Map<string, HostInstructions>()
  const revisions = new Map<string, number | null>()
  let hasListed = false

  function remember(host: string, known: PublishedInstructions | null): void {
    revisions.set(host, known?.revision ?? null)
    if (known === null) published.delete(host)
    else published.set(host, known.statement)
  }

  return {
    published,
    // A deleted host counts, too, until it is known that what it was told last was published.
    knows: (hosts) => hasListed && [...hosts, ...published.keys()].every((host) => revisions.has(host)),

    async load(hosts) {
      const wanted = new Set([...hosts, ...published.keys()])
      if (!hasListed) for (const host of await bus.listHosts()) wanted.add(host)
      const unknown = [...wanted].filter((host) => !revisions.has(host))
      await Promise.all(unknown.map(async (host) => remember(host, await bus.read(host))))
      hasListed = true
    },

    forget() {
      published.clear()
      revisions.clear()
      hasListed = false
    },

    async isCurrent(host) {
      const revision = revisions.get(host)
      const known = await bus.read(host)
      if (revision === (known?.revision ?? null)) return true
      revisions.delete(host)
      return false
    },

    async publish(statement) {
      const { host } = statement
      const revision = revisions.get(host)
      // It was found to be outdated since the plan.
      if (revision === undefined) return false
      // Unknown until it is acknowledged: whatever goes wrong, it is read again before it is next written.
      revisions.delete(host)
      const written = await bus.write(statement, revision)
      if (written === null) return false
      remember(host, { statement, revision: written })
      return true
    },
  }
}
