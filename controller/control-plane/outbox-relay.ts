/**
 * Relays the events that wait in the microshards to the stream EVENTS, each exactly once and in the order of its
 * microshard, and then removes them. It touches the outbox messages and that stream.
 *
 * An event that was published and not yet removed when a relay died is published once all the same: the server drops
 * a message id that it has seen lately, and a relay that begins looks up what came out before. Several controllers
 * may relay at once.
 */

import { jetstreamManager } from '@nats-io/jetstream'
import { headers, type NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type { CloudEvent } from './cloud-event.ts'
import { sleep, watchConnection } from './connection-watch.ts'
import { openDirectory } from './directory/watched-directory.ts'
import {
  ensureEventStream,
  eventDuplicateSeconds,
  eventStream,
  eventSubject,
  eventSubjects,
  messageIdHeader,
} from './event-stream.ts'
import { type FollowedMessage, followStream } from './follow-stream.ts'
import { type MicroshardPlace, outboxSubjects, streamName } from './message.ts'
import type { MicroshardDirectory } from './microshard-directory.ts'
import { openMicroshardStream } from './microshard-stream.ts'

export interface OutboxRelay {
  /** Ends after the event at hand. What still waits is relayed by the next. */
  stop(): Promise<void>
}

export interface OutboxRelayOptions {
  readonly connection: NatsConnection
  readonly logger: Pick<Logger, 'warn'>
  readonly replicas?: number
}

const publishMilliseconds = 5_000
const retryMilliseconds = 200
const emptyDelayMilliseconds = 20
/** How much earlier than a waiting event to look for it among those that came out: the servers' clocks may differ. */
const clockSkewMilliseconds = 60_000
/** An event that has waited in this process for longer is read again, since the server may have forgotten its id. */
const waitMillisecondsMaximum = (1000 * eventDuplicateSeconds) / 2

/** @example const relay = await startOutboxRelay({ connection, logger }) */
export async function startOutboxRelay(options: OutboxRelayOptions): Promise<OutboxRelay> {
  const replicas = options.replicas ?? 1
  await ensureEventStream(options.connection, replicas)
  const directory = await openDirectory({ connection: options.connection, replicas })
  const stopping = new AbortController()
  const relays = new Map<string, { readonly ending: AbortController; readonly ended: Promise<void> }>()

  function follow(current: MicroshardDirectory): void {
    const wanted = listOutboxes(current)
    for (const { place, before } of wanted) {
      if (relays.has(place.id)) continue
      const ending = new AbortController()
      const signal = AbortSignal.any([stopping.signal, ending.signal])
      relays.set(place.id, { ending, ended: relayAfter(options, place, before, signal) })
    }
    for (const [id, { ending }] of relays) {
      if (!wanted.some(({ place }) => place.id === id)) ending.abort()
    }
  }

  follow(directory.current())
  directory.subscribe(follow)
  return {
    async stop() {
      stopping.abort()
      await directory.close()
      await Promise.all([...relays.values()].map(({ ended }) => ended))
    },
  }
}

interface Outbox {
  readonly place: MicroshardPlace
  /** Whose events come out before its own. */
  readonly before: readonly MicroshardPlace[]
}

/** Of all microshards that are written, and of those that were until lately. */
function listOutboxes({ microshards, operations }: MicroshardDirectory): readonly Outbox[] {
  const handed = operations.filter(({ phase }) => phase === 'dropping')
  const beforeOf = (id: string) =>
    handed.find(({ targets }) => targets.some((target) => target.id === id))?.sources ?? []
  const places = [...handed.flatMap(({ sources }) => sources), ...microshards]
  return places.map((place) => ({ place, before: beforeOf(place.id) }))
}

async function relayAfter(
  options: OutboxRelayOptions,
  place: MicroshardPlace,
  before: readonly MicroshardPlace[],
  signal: AbortSignal,
): Promise<void> {
  for (const earlier of before) await whenEmpty(options, earlier, signal)
  await relayForEver(options, place, signal)
}

/** Waits until no events of a microshard that is sealed are left, or it is gone. */
async function whenEmpty(
  { connection }: OutboxRelayOptions,
  place: MicroshardPlace,
  signal: AbortSignal,
): Promise<void> {
  const stream = openMicroshardStream({ connection, place, acknowledgementMilliseconds: publishMilliseconds })
  while (!signal.aborted) {
    try {
      if (!(await stream.holds(outboxSubjects(place)))) return
    } catch {
      // It answers later, or is gone, which is then said.
    }
    await sleep(emptyDelayMilliseconds, signal)
  }
}

async function relayForEver(options: OutboxRelayOptions, place: MicroshardPlace, signal: AbortSignal): Promise<void> {
  const watch = watchConnection(options.connection)
  while (!signal.aborted) {
    await watch.whenConnected(signal)
    try {
      await relayUntilTrouble(options, place, signal)
    } catch (trouble) {
      if (signal.aborted) return
      options.logger.warn({ err: trouble, microshard: place.id }, 'events of a microshard wait to be relayed')
      await sleep(retryMilliseconds, signal)
    }
  }
}

/** Relays what waits and what comes, until something fails: then it is uncertain what came out, and has to be looked up. */
async function relayUntilTrouble(
  options: OutboxRelayOptions,
  place: MicroshardPlace,
  signal: AbortSignal,
): Promise<void> {
  const { connection } = options
  const removals = createRemovals(connection, place)
  let relayedBefore: ReadonlySet<string> | null = null
  try {
    for await (const item of followStream({
      connection,
      stream: streamName(place.id),
      filterSubject: outboxSubjects(place),
      start: { kind: 'sequence', sequence: 1 },
      signal,
    })) {
      if (item.kind === 'message') {
        relayedBefore ??= await collectRelayed(connection, item.storedAt - clockSkewMilliseconds, signal)
        if (signal.aborted) return
        const event = JSON.parse(Buffer.from(item.data).toString()) as CloudEvent
        if (!relayedBefore.has(event.id)) await publishEvent(connection, item, event)
        removals.add(item.sequence)
      }
      // Others may have relayed in the meantime, and died before they removed it.
      if (item.kind === 'started') relayedBefore = null
      // What comes from now on no earlier relay can have seen, and the server knows what others relay at this moment.
      if (item.kind === 'caughtUp') relayedBefore = new Set()
    }
  } finally {
    await removals.end()
  }
}

async function publishEvent(connection: NatsConnection, message: FollowedMessage, event: CloudEvent): Promise<void> {
  if (performance.now() - message.receivedAtMilliseconds > waitMillisecondsMaximum) {
    throw new Error(`event ${event.id} has waited for too long in this process; it is read again`)
  }
  const fields = headers()
  fields.set(messageIdHeader, event.id)
  fields.set('Content-Type', 'application/cloudevents+json')
  if (event.traceparent !== undefined) fields.set('traceparent', event.traceparent)
  const request = connection.request(eventSubject(event), message.data, {
    headers: fields,
    timeout: publishMilliseconds,
  })
  const answer = (await watchConnection(connection).unlessDisconnected(request)).json<{
    error?: { description?: string }
  }>()
  if (answer.error !== undefined) throw new Error(`event ${event.id} was refused: ${answer.error.description}`)
}

/** The ids of the events that have come out since a time. */
async function collectRelayed(
  connection: NatsConnection,
  since: number,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const ids = new Set<string>()
  const start = { kind: 'time', time: new Date(since) } as const
  const filterSubject = eventSubjects()
  for await (const item of followStream({
    connection,
    stream: eventStream,
    filterSubject,
    start,
    headersOnly: true,
    signal,
  })) {
    if (item.kind === 'message') ids.add(item.headers?.get(messageIdHeader) ?? '')
    if (item.kind === 'caughtUp') break
  }
  return ids
}

/**
 * Removes relayed events from the outbox. One removal is under way at a time and takes all that were relayed while the
 * one before it was; `add` throws once a removal has failed.
 */
function createRemovals(
  connection: NatsConnection,
  place: MicroshardPlace,
): { add(sequence: number): void; end(): Promise<void> } {
  let relayed = 0
  let removed = 0
  let failure: Error | null = null
  let removing: Promise<void> | null = null

  async function remove(): Promise<void> {
    const manager = await jetstreamManager(connection, { checkAPI: false })
    while (removed < relayed) {
      const upTo = relayed
      // Relayed in order: everything in the outbox up to here has come out.
      const purge = manager.streams.purge(streamName(place.id), { filter: outboxSubjects(place), seq: upTo + 1 })
      await watchConnection(connection).unlessDisconnected(purge)
      removed = upTo
    }
  }

  return {
    add(sequence) {
      if (failure !== null) throw failure
      relayed = sequence
      removing ??= remove()
        .catch((cause: unknown) => {
          failure = new Error(`removing relayed events of microshard ${place.id}`, { cause })
        })
        .finally(() => {
          removing = null
        })
    },
    async end() {
      await removing
    },
  }
}
