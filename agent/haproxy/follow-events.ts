/**
 * Follows what haproxy tells of members that come and go, one connection for as long as its worker lives. What is said
 * only wakes; the connection's end is news as well. Speaks to the runtime API's socket and touches nothing else.
 */

import { connect, type Socket } from 'node:net'
import { eventRing } from '../../templates/haproxy-config.ts'

export interface EventFollower {
  /** Follows this socket, or follows it anew: after a reload another worker answers there. */
  follow(instanceId: string, statsSocket: string): void
  isFollowing(instanceId: string): boolean
  forget(instanceId: string): void
  close(): void
}

/** Often while haproxy starts, so that its readiness is noticed at once; seldom later. */
const firstRetryMilliseconds = 10
const retryMillisecondsMaximum = 1000

export function createEventFollower(onNews: (instanceId: string) => void): EventFollower {
  const connections = new Map<string, { readonly socket: Socket; retry?: ReturnType<typeof setTimeout> }>()

  const forget = (instanceId: string) => {
    const connection = connections.get(instanceId)
    connections.delete(instanceId)
    clearTimeout(connection?.retry)
    connection?.socket.destroy()
  }

  const open = (instanceId: string, path: string, retryMilliseconds: number) => {
    forget(instanceId)
    const socket = connect({ path })
    const connection: { readonly socket: Socket; retry?: ReturnType<typeof setTimeout> } = { socket }
    connections.set(instanceId, connection)
    let wait = retryMilliseconds
    socket.on('connect', () => {
      wait = firstRetryMilliseconds
      socket.write(`show events ${eventRing} -w -n\n`)
      onNews(instanceId)
    })
    socket.on('data', () => {
      onNews(instanceId)
    })
    // What is wrong is seen by whoever looks; here only the retry counts.
    socket.on('error', () => undefined)
    socket.on('close', (isError: boolean) => {
      if (connections.get(instanceId) !== connection) return
      if (!isError) onNews(instanceId)
      connection.retry = setTimeout(() => {
        open(instanceId, path, Math.min(retryMillisecondsMaximum, wait * 1.5))
      }, wait)
    })
  }

  return {
    follow(instanceId, statsSocket) {
      open(instanceId, statsSocket, firstRetryMilliseconds)
    },
    isFollowing: (instanceId) => connections.has(instanceId),
    forget,
    close() {
      for (const instanceId of [...connections.keys()]) forget(instanceId)
    },
  }
}
