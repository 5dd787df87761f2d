/**
 * Follows a JetStream stream without gaps and without doubles, for as long as its reader wants, across broken
 * connections and restarted servers. It touches NATS by throw-away consumers of its own and by nothing else.
 *
 * Why not the client's ordered consumer: whoever follows must know when it has caught up with what was there when it
 * (re)started, must resume at once after a reconnect, and must hold the server back while it is busy.
 */

import { AckPolicy, type ConsumerConfig, DeliverPolicy, jetstreamManager, ReplayPolicy } from '@nats-io/jetstream'
import { createInbox, type Msg, type MsgHdrs, type NatsConnection, nanos } from '@nats-io/transport-node'
import { type ConnectionWatch, sleep, watchConnection } from './connection-watch.ts'

export interface FollowOptions {
  readonly connection: NatsConnection
  readonly stream: string
  readonly filterSubject: string
  readonly start: FollowStart
  readonly headersOnly?: boolean
  /** Ends the iteration. */
  readonly signal: AbortSignal
  /** Told of each failed attempt to go on; the next one follows by itself. */
  readonly onTrouble?: (trouble: Error) => void
}

export type FollowStart =
  | { readonly kind: 'sequence'; readonly sequence: number }
  /** The last message of each subject, and then everything new. */
  | { readonly kind: 'lastOfEachSubject' }
  | { readonly kind: 'new' }
  | { readonly kind: 'time'; readonly time: Date }

export type FollowedItem =
  /** It begins, or goes on after a break: the stream holds messages up to `target` by now. */
  | { readonly kind: 'started'; readonly target: number }
  | FollowedMessage
  /** All up to this sequence has been delivered. Comes once after each start. */
  | { readonly kind: 'caughtUp'; readonly sequence: number }

export interface FollowedMessage {
  readonly kind: 'message'
  readonly sequence: number
  readonly subject: string
  readonly data: Uint8Array
  readonly headers: MsgHdrs | undefined
  /** When the server stored it, in milliseconds since the epoch by the server's clock. */
  readonly storedAt: number
  /** When it came, on the monotonic clock. */
  readonly receivedAtMilliseconds: number
}

/** The stream ends before what has been read from it: it was deleted, or its server lost data. */
export class StreamRolledBackError extends Error {
  override readonly name = 'StreamRolledBackError'
}

const idleHeartbeatMilliseconds = 1_000
const silenceMillisecondsMaximum = 3_500
const consumerLifeMilliseconds = 30_000
const retryMillisecondsMinimum = 50
const retryMillisecondsMaximum = 1_000

/** @example for await (const item of followStream({ connection, stream: 'ms_1', filterSubject: 'ms.1.>', start, signal })) */
export async function* followStream(options: FollowOptions): AsyncGenerator<FollowedItem, void> {
  const watch = watchConnection(options.connection)
  let start = options.start
  let position = 0
  let retryMilliseconds = retryMillisecondsMinimum
  while (!options.signal.aborted) {
    await watch.whenConnected(options.signal)
    let session: Session | null = null
    try {
      session = await openSession(options, watch, start, position)
      retryMilliseconds = retryMillisecondsMinimum
      start = session.start
      yield { kind: 'started', target: session.target }
      for await (const item of session.items()) {
        yield item
        if (item.kind !== 'started') position = Math.max(position, item.sequence)
        start = { kind: 'sequence', sequence: position + 1 }
      }
    } catch (trouble) {
      if (options.signal.aborted) return
      if (trouble instanceof StreamRolledBackError) throw trouble
      options.onTrouble?.(trouble instanceof Error ? trouble : new Error(String(trouble)))
      await sleep(retryMilliseconds, options.signal)
      retryMilliseconds = Math.min(2 * retryMilliseconds, retryMillisecondsMaximum)
    } finally {
      session?.close()
    }
  }
}

interface Session {
  /** Where to begin again when it breaks before anything was delivered. */
  readonly start: FollowStart
  readonly target: number
  /** What is delivered, until the session breaks (then it throws) or the signal aborts (then it ends). */
  items(): AsyncGenerator<FollowedItem, void>
  close(): void
}

async function openSession(
  options: FollowOptions,
  watch: ConnectionWatch,
  start: FollowStart,
  position: number,
): Promise<Session> {
  const manager = await jetstreamManager(options.connection, { checkAPI: false })
  const { state } = await watch.unlessDisconnected(manager.streams.info(options.stream))
  const target = state.last_seq
  if (target < position) {
    throw new StreamRolledBackError(
      `stream ${options.stream} ends at ${target}, but ${position} has been read from it: it was deleted or has lost data`,
    )
  }
  const inbox = createInbox()
  const delivery = receive(options, watch, { inbox, target })
  try {
    const consumer = await watch.unlessDisconnected(
      manager.consumers.add(options.stream, describeConsumer(options, start, target, inbox)),
    )
    const close = () => {
      delivery.close()
      // It would go by itself, since nobody listens to its inbox any more; this only spares the server the wait.
      if (watch.isConnected()) manager.consumers.delete(options.stream, consumer.name).catch(() => {})
    }
    const pinned: FollowStart = start.kind === 'new' ? { kind: 'sequence', sequence: target + 1 } : start
    return { start: pinned, target, items: () => delivery.items(consumer.num_pending), close }
  } catch (cause) {
    delivery.close()
    throw cause
  }
}

function describeConsumer(
  options: FollowOptions,
  start: FollowStart,
  target: number,
  inbox: string,
): Partial<ConsumerConfig> {
  return {
    deliver_subject: inbox,
    filter_subject: options.filterSubject,
    ack_policy: AckPolicy.None,
    replay_policy: ReplayPolicy.Instant,
    max_deliver: 1,
    flow_control: true,
    idle_heartbeat: nanos(idleHeartbeatMilliseconds),
    inactive_threshold: nanos(consumerLifeMilliseconds),
    mem_storage: true,
    num_replicas: 1,
    ...(options.headersOnly === true ? { headers_only: true } : {}),
    ...describeStart(start, target),
  } as Partial<ConsumerConfig>
}

function describeStart(start: FollowStart, target: number): Partial<ConsumerConfig> {
  switch (start.kind) {
    case 'sequence':
      return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Math.max(1, start.sequence) }
    case 'lastOfEachSubject':
      return { deliver_policy: DeliverPolicy.LastPerSubject }
    // Pinned to a sequence, so that what comes between the question and the consumer is not lost.
    case 'new':
      return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: target + 1 }
    case 'time':
      return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: start.time.toISOString() }
    default:
      return start satisfies never
  }
}

/** What has arrived and waits for the reader: a message, or the server's question whether the reader keeps up. */
type Arrival =
  | { readonly kind: 'message'; readonly message: FollowedMessage; readonly isLastPending: boolean }
  | { readonly kind: 'flowControl'; readonly reply: string }
  | { readonly kind: 'idle' }

interface Delivery {
  items(pendingAtStart: number): AsyncGenerator<FollowedItem, void>
  close(): void
}

function receive(
  options: FollowOptions,
  watch: ConnectionWatch,
  session: { readonly inbox: string; readonly target: number },
): Delivery {
  const { connection, signal } = options
  const arrivals: Arrival[] = []
  let wake = Promise.withResolvers<void>()
  let trouble: Error | null = null
  let delivered = 0
  let silence: ReturnType<typeof setTimeout> | undefined
  let heardAt = performance.now()

  function push(arrival: Arrival): void {
    arrivals.push(arrival)
    wake.resolve()
  }

  function fail(reason: string): void {
    trouble ??= new Error(`following ${options.stream} (${options.filterSubject}): ${reason}`)
    wake.resolve()
  }

  /** One timer that sets itself again: a timer for each message would cost more than the message. */
  function awaitSilence(): void {
    const leftMilliseconds = heardAt + silenceMillisecondsMaximum - performance.now()
    if (leftMilliseconds <= 0) fail('the consumer fell silent')
    else silence = setTimeout(awaitSilence, leftMilliseconds)
  }

  function take(message: Msg): void {
    heardAt = performance.now()
    // Only a message of the stream has such a reply; what the server says of itself has a status instead. To parse headers
    // costs more than all the rest, so those of messages are left to whoever reads them.
    if (message.reply?.startsWith('$JS.ACK.')) {
      takeMessage(message)
      return
    }
    const status = message.headers?.code ?? 0
    if (status !== 100) fail(`the server said ${status} ${message.headers?.description ?? ''}`)
    else if (message.reply) push({ kind: 'flowControl', reply: message.reply })
    else takeHeartbeat(message)
  }

  function takeMessage(message: Msg): void {
    const info = parseDelivery(message.reply ?? '')
    if (info.consumerSequence !== delivered + 1) fail('messages were lost on the way')
    if (trouble !== null) return
    delivered = info.consumerSequence
    push({ kind: 'message', message: toFollowed(message, info), isLastPending: info.pending === 0 })
  }

  function takeHeartbeat(message: Msg): void {
    if (Number(message.headers?.get('Nats-Last-Consumer') ?? 0) !== delivered) fail('messages were lost on the way')
    if (trouble !== null) return
    const stalled = message.headers?.get('Nats-Consumer-Stalled') ?? ''
    push(stalled === '' ? { kind: 'idle' } : { kind: 'flowControl', reply: stalled })
  }

  const subscription = connection.subscribe(session.inbox, {
    callback: (error, message) => (error === null ? take(message) : fail(error.message)),
  })
  const forgetChange = watch.onChange(() => fail('the connection broke'))
  const abort = () => wake.resolve()
  signal.addEventListener('abort', abort, { once: true })
  awaitSilence()

  return {
    async *items(pendingAtStart) {
      let isCaughtUp = false
      if (pendingAtStart === 0) {
        isCaughtUp = true
        yield { kind: 'caughtUp', sequence: session.target }
      }
      while (!signal.aborted) {
        const arrival = arrivals.shift()
        if (arrival === undefined) {
          if (trouble !== null) throw trouble
          wake = Promise.withResolvers<void>()
          await wake.promise
          continue
        }
        if (arrival.kind === 'flowControl') connection.publish(arrival.reply)
        if (arrival.kind === 'message') yield arrival.message
        if (isCaughtUp || arrival.kind === 'flowControl') continue
        const isThere = arrival.kind === 'idle' || arrival.isLastPending || arrival.message.sequence >= session.target
        if (!isThere) continue
        isCaughtUp = true
        yield { kind: 'caughtUp', sequence: session.target }
      }
    },
    close() {
      clearTimeout(silence)
      signal.removeEventListener('abort', abort)
      forgetChange()
      // A closed connection has no subscriptions left to end.
      if (!connection.isClosed()) subscription.unsubscribe()
    },
  }
}

function toFollowed(message: Msg, info: DeliveryInfo): FollowedMessage {
  return {
    kind: 'message',
    sequence: info.streamSequence,
    subject: message.subject,
    data: message.data,
    get headers() {
      return message.headers
    },
    storedAt: info.storedAt,
    receivedAtMilliseconds: performance.now(),
  }
}

interface DeliveryInfo {
  readonly streamSequence: number
  readonly consumerSequence: number
  readonly storedAt: number
  readonly pending: number
}

/** The subject to reply to tells the place: `$JS.ACK.[domain.account.]stream.consumer.tries.stream.consumer.time.pending[.x]`. */
function parseDelivery(reply: string): DeliveryInfo {
  const tokens = reply.split('.')
  const offset = tokens.length === 9 ? 0 : 2
  return {
    streamSequence: Number(tokens[5 + offset]),
    consumerSequence: Number(tokens[6 + offset]),
    storedAt: Number(tokens[7 + offset]) / 1e6,
    pending: Number(tokens[8 + offset]),
  }
}
