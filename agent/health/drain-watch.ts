/**
 * Follows instances that were told to drain, until they have no clients any more or their time is over. Reads the kernel's
 * table of connections by way of a process in the instance's namespace; changes nothing.
 */

import type { InstanceInstructions } from '../contract/host-instructions.ts'
import { readText } from './process-facts.ts'

export interface DrainSubject {
  readonly instance: Pick<InstanceInstructions, 'id' | 'vips' | 'timeouts' | 'draining'>
  /** A process in its namespace; undefined: none, so that it has no clients either. */
  readonly pid: number | undefined
  /** haproxy runs the config that closes connections after their answers. */
  readonly isClosing: boolean
}

export interface DrainWatch {
  /** True once it has lost its clients, and then for as long as it is to drain. */
  hasDrained(subject: DrainSubject): boolean
  /** How many connections were still open when its time was over, and end with the handover; 0 where none was. */
  connectionsCut(instanceId: string): number
  forget(instanceId: string): void
}

export interface DrainWatchOptions {
  /** In milliseconds, of a clock that never goes back. */
  readonly now: () => number
  readonly countClients?: typeof countClients
}

interface Drain {
  readonly since: number
  isOver: boolean
  connectionsCut: number
}

export function createDrainWatch({ now, countClients: count = countClients }: DrainWatchOptions): DrainWatch {
  const drains = new Map<string, Drain>()
  return {
    hasDrained({ instance, pid, isClosing }) {
      if (instance.draining !== true) {
        drains.delete(instance.id)
        return false
      }
      const drain = drains.get(instance.id) ?? { since: now(), isOver: false, connectionsCut: 0 }
      drains.set(instance.id, drain)
      if (drain.isOver) return true
      const open = pid === undefined ? 0 : count(pid, instance.vips)
      const isEmpty = open === 0 && (isClosing || pid === undefined)
      drain.isOver = isEmpty || (now() - drain.since) / 1000 >= instance.timeouts.drainSeconds
      if (drain.isOver) drain.connectionsCut = open ?? 0
      return drain.isOver
    },
    connectionsCut: (instanceId) => drains.get(instanceId)?.connectionsCut ?? 0,
    forget(instanceId) {
      drains.delete(instanceId)
    },
  }
}

/** By the clients of all haproxy's workers, those that a reload has replaced too. Undefined where nobody can tell. */
function countClients(pid: number, vips: readonly { readonly address: string }[]): number | undefined {
  const table = readText(`/proc/${pid}/net/tcp`)
  return table === undefined
    ? undefined
    : countOpen(
        table,
        vips.map(({ address }) => address),
      )
}

/**
 * Those on which something may still be on its way to either end: established, half closed, or closed with data that has
 * not been taken. See the kernel's include/net/tcp_states.h.
 */
const openStates = new Set(['01', '03', '04', '08', '09', '0B'])

/** Of a table as /proc/net/tcp has it: `sl local_address rem_address st …`, addresses in hexadecimal, last byte first. */
export function countOpen(table: string, addresses: readonly string[]): number {
  const wanted = new Set(addresses.map(toHex))
  return table.split('\n').filter((line) => {
    const [, local = '', , state = ''] = line.trim().split(/\s+/, 4)
    return openStates.has(state) && wanted.has(local.slice(0, 8))
  }).length
}

const toHex = (address: string) =>
  address
    .split('.')
    .toReversed()
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase()
