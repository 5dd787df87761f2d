/**
 * Tells how many lines of a worker never came, by the numbers that haproxy counts them with: it says nothing itself of
 * lines that were written over before anybody had read them. Pure but for what it remembers.
 */

import type { AccessLine } from './parse-access-line.ts'

/** How far a listener's lines have been read, by its port. */
export type Counts = Readonly<Record<string, number>>

export interface MissingCounter {
  take(line: AccessLine): void
  /** Lines that have been missing since the last call but one and have not been told yet. */
  tell(): number
  /** The highest count of each listener. */
  counts(): Counts
}

/**
 * What is known of the lines before: an earlier agent had got so far; there were none, as the worker is new; or nothing.
 */
export type CountStart =
  | { readonly kind: 'at'; readonly counts: Counts }
  | { readonly kind: 'new' }
  | { readonly kind: 'unknown' }

export function createMissingCounter(start: CountStart): MissingCounter {
  const before = start.kind === 'at' ? start.counts : {}
  const listeners = new Map<string, Listener>()
  const find = ({ listenerPort, oneOf, countBefore }: AccessLine): Listener => {
    const key = String(listenerPort)
    const first = start.kind === 'unknown' ? countBefore : 0
    const base = before[key] ?? first - oneOf
    const known = listeners.get(key) ?? { base, highest: base, received: 0, late: 0, told: 0, oneOf }
    listeners.set(key, known)
    return known
  }
  return {
    take(line) {
      const listener = find(line)
      listener.received += 1
      listener.highest = Math.max(listener.highest, line.countBefore)
    },
    tell() {
      let sum = 0
      for (const listener of listeners.values()) {
        const { base, highest, oneOf, received, told } = listener
        const missing = Math.floor((highest - base) / oneOf) - received
        // Threads overtake each other, so that one may only be late.
        const sure = Math.max(0, Math.min(missing, listener.late) - told)
        listener.late = missing
        listener.told += sure
        sum += sure
      }
      return sum
    },
    counts: () => ({
      ...before,
      ...Object.fromEntries([...listeners].map(([port, { highest }]) => [port, highest])),
    }),
  }
}

interface Listener {
  readonly base: number
  readonly oneOf: number
  highest: number
  received: number
  /** Missing at the last call. */
  late: number
  told: number
}
