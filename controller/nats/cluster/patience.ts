/**
 * Tries again what a cluster refuses only for the moment: while a stream has no leader, or a server has not heard yet of
 * one that was just made. Touches nothing by itself.
 */

import { JetStreamApiError } from '@nats-io/jetstream'
import { NoRespondersError, RequestError, TimeoutError } from '@nats-io/transport-node'
import { ConnectionBrokenError } from '../../control-plane/connection-watch.ts'

const againMilliseconds = 200
const secondsDefault = 60
const temporarilyUnavailable = 503
/** While servers of the cluster are still to come. */
const noSuitablePeers = 10005

/** The work must be safe to repeat. The last failure is thrown when the time is over, every other at once. */
export async function patiently<Result>(work: () => Promise<Result>, seconds = secondsDefault): Promise<Result> {
  const deadline = performance.now() + 1000 * seconds
  for (;;) {
    try {
      return await work()
    } catch (cause) {
      if (!isPassing(cause) || performance.now() > deadline) throw cause
      await Bun.sleep(againMilliseconds)
    }
  }
}

function isPassing(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false
  return isPassingItself(cause) || isPassing(cause.cause)
}

function isPassingItself(cause: Error): boolean {
  if (cause instanceof JetStreamApiError)
    return cause.status === temporarilyUnavailable || cause.code === noSuitablePeers
  return (
    cause instanceof NoRespondersError ||
    cause instanceof RequestError ||
    cause instanceof TimeoutError ||
    cause instanceof ConnectionBrokenError ||
    // As the client words it that nobody listens on a stream's subject.
    cause.name === 'JetStreamNotEnabled'
  )
}
