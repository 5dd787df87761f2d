/**
 * Whether a NATS connection is up, as an event: the client itself neither fails what is under way when the connection
 * breaks nor tells who waits when it is back. Touches nothing but the connection's status.
 */

import type { NatsConnection } from '@nats-io/transport-node'

export interface ConnectionWatch {
  isConnected(): boolean
  /** Calls back at each change, until the returned function is called. */
  onChange(listener: (isConnected: boolean) => void): () => void
  /** Waits until the connection is up or the signal aborts. */
  whenConnected(signal: AbortSignal): Promise<void>
  /** As the promise given, but it rejects as soon as the connection breaks. */
  unlessDisconnected<T>(work: Promise<T>): Promise<T>
}

export class ConnectionBrokenError extends Error {
  override readonly name = 'ConnectionBrokenError'
  constructor() {
    super('the connection to NATS broke')
  }
}

/** One watch a connection, for its whole life: the client's status iterators can't be ended before it. */
const watches = new WeakMap<NatsConnection, ConnectionWatch>()

export function watchConnection(connection: NatsConnection): ConnectionWatch {
  const watch = watches.get(connection) ?? createWatch(connection)
  watches.set(connection, watch)
  return watch
}

function createWatch(connection: NatsConnection): ConnectionWatch {
  let isConnected = true
  const listeners = new Set<(isConnected: boolean) => void>()

  function change(next: boolean): void {
    isConnected = next
    for (const listener of [...listeners]) listener(next)
  }

  async function follow(): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect' || status.type === 'close') change(false)
      if (status.type === 'reconnect') change(true)
    }
  }
  // The statuses end with the connection; whatever ended them, it is gone.
  follow().then(
    () => change(false),
    () => change(false),
  )

  const self: ConnectionWatch = {
    isConnected: () => isConnected && !connection.isClosed(),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async whenConnected(signal) {
      if (self.isConnected() || signal.aborted) return
      const done = Promise.withResolvers<void>()
      const forget = self.onChange((connected) => connected && done.resolve())
      const abort = () => done.resolve()
      signal.addEventListener('abort', abort, { once: true })
      await done.promise
      signal.removeEventListener('abort', abort)
      forget()
    },
    async unlessDisconnected<T>(work: Promise<T>) {
      const broken = Promise.withResolvers<never>()
      const forget = self.onChange((connected) => connected || broken.reject(new ConnectionBrokenError()))
      try {
        return await Promise.race([work, broken.promise])
      } finally {
        forget()
      }
    },
  }
  return self
}

/** Waits that long, or until the signal aborts. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, milliseconds)
    signal.addEventListener('abort', end, { once: true })
  })
}
