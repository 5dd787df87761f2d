/**
 * The log of actions: what users of the API do, as a stream that is bounded in time and bytes. Writing never makes an
 * answer wait: what comes together goes in one message, and what there is no room for is counted and left out. It makes
 * the stream ACTIONS and writes there, and touches nothing else.
 */

import { jetstream, PersistMode } from '@nats-io/jetstream'
import { type NatsConnection, nanos } from '@nats-io/transport-node'
import { ensureStream } from '../../nats/ensure-stream.ts'
import { type ActionRecord, encodeActions } from './action-record.ts'

export const actionStream = 'ACTIONS'
export const actionSubjects = 'actions.>'
export const actionSecondsMaximum = 7 * 24 * 3600
export const actionBytesMaximum = 64 * 1024 ** 2
/** What comes within so long of the first goes with it. */
const gatherMilliseconds = 20
const batchMaximum = 64
const waitingMaximum = 4_096
/**
 * In the long run. Every controller learns all of them, at a tenth of a millisecond each or somewhat more; of those who
 * ask faster than that for long a sample is enough.
 */
const actionsPerSecondMaximum = 200
/** What may come at once after a rest. */
const burstMaximum = 2_000
const batchesUnderWayMaximum = 4
const publishMilliseconds = 5_000

export interface ActionLog {
  /** Returns at once, and never throws. */
  note(action: ActionRecord): void
  counts(): { readonly written: number; readonly lost: number }
  /** Writes what still waits. */
  close(): Promise<void>
}

export interface ActionLogOptions {
  /** Of the account in which controllers keep what is their own. */
  readonly connection: NatsConnection
  /** By which this controller tells its own actions. */
  readonly controller: string
  /** Milliseconds, on the monotonic clock. */
  readonly now: () => number
}

export function openActionLog({ connection, controller, now }: ActionLogOptions): ActionLog {
  const stream = jetstream(connection, { timeout: publishMilliseconds })
  const underWay = new Set<Promise<void>>()
  let waiting: ActionRecord[] = []
  let timer: ReturnType<typeof setTimeout> | null = null
  let [written, lost] = [0, 0]
  let [room, countedAt] = [burstMaximum, now()]

  function flush(): void {
    timer = null
    while (waiting.length > 0 && underWay.size < batchesUnderWayMaximum) publish(waiting.splice(0, batchMaximum))
  }

  function publish(actions: readonly ActionRecord[]): void {
    const published = send(actions).then(() => {
      underWay.delete(published)
      flush()
    })
    underWay.add(published)
  }

  async function send(actions: readonly ActionRecord[]): Promise<void> {
    try {
      await stream.publish(`actions.${controller}`, encodeActions(controller, actions))
      written += actions.length
    } catch {
      // Whether it is stored or not: what is missing here is learned from what comes.
      lost += actions.length
    }
  }

  return {
    note(action) {
      const at = now()
      room = Math.min(burstMaximum, room + ((at - countedAt) / 1000) * actionsPerSecondMaximum)
      countedAt = at
      if (room < 1 || waiting.length >= waitingMaximum) {
        lost++
        return
      }
      room--
      waiting.push(action)
      timer ??= setTimeout(flush, gatherMilliseconds)
    },
    counts: () => ({ written, lost }),
    async close() {
      if (timer !== null) clearTimeout(timer)
      flush()
      while (underWay.size > 0) await Promise.all(underWay)
      lost += waiting.length
      waiting = []
    },
  }
}

/** Makes the stream, or brings the one that is there to the limits above. */
export async function ensureActionStream(connection: NatsConnection, replicas: number): Promise<void> {
  await ensureStream(connection, actionStream, {
    kept: {
      subjects: [actionSubjects],
      max_age: nanos(1000 * actionSecondsMaximum),
      max_bytes: actionBytesMaximum,
      num_replicas: replicas,
    },
    // On the disk, but not awaited: a power cut of a single server may cost the last moments of what was learned.
    first: replicas === 1 ? { persist_mode: PersistMode.Async } : {},
  })
}
