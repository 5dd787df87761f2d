/**
 * One microshard's JetStream stream, as its writers and its leader's readers use it: conditional writes, one message
 * or an atomic batch, and reads of single messages. It turns what the server says into outcomes and decides nothing.
 *
 * The client library's own batch takes a second round trip and loses the server's error, so batches are put together
 * here: https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md
 */

import { headers, type Msg, type NatsConnection, NoRespondersError, nuid, RequestError } from '@nats-io/transport-node'
import { watchConnection } from './connection-watch.ts'
import { decodeObject, type MicroshardPlace, microshardSubjects, type StoredMessage, streamName } from './message.ts'
import { StoreUnavailableError } from './store.ts'

export interface OutgoingMessage {
  readonly subject: string
  readonly body: string
  /** The sequence of the subject's last message, 0 for none; null writes in any case. */
  readonly expectedSequence: number | null
}

export type PublishOutcome =
  | { readonly kind: 'stored'; readonly lastSequence: number }
  /** Nothing is stored: a subject's last message is another than expected, the one at that sequence where it is said. */
  | { readonly kind: 'wrongSequence'; readonly lastSequence: number | null }
  /** Nothing is stored: nobody takes what is written in this epoch, as it is sealed or has no leader just now. */
  | { readonly kind: 'fenced'; readonly reason: string }
  /** Nothing is stored: other writes are in the way just now. */
  | { readonly kind: 'busy'; readonly reason: string }
  /** Nothing is stored, and trying again at once would not help. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It may be stored or not, now or later. */
  | { readonly kind: 'unknown'; readonly reason: string }

export interface MicroshardStream {
  /** Writes all or nothing. */
  publish(messages: readonly OutgoingMessage[]): Promise<PublishOutcome>
  /** The last message of a subject, from the leader. Rejects with StoreUnavailableError. */
  readLast(subject: string): Promise<StoredMessage | null>
  /** The first message of a subject at or after a sequence, from the leader. Rejects with StoreUnavailableError. */
  readNext(subject: string, sequence: number): Promise<StoredMessage | null>
  /** The sequence of the last message of all, from the leader; 0: there is none. Rejects with StoreUnavailableError. */
  readLastSequence(): Promise<number>
  /** What lies at a sequence, from the leader; null: nothing any more. Rejects with StoreUnavailableError. */
  readData(sequence: number): Promise<Uint8Array | null>
  /** Whether any message of a subject is there; false where the stream is gone. Rejects with StoreUnavailableError. */
  holds(subject: string): Promise<boolean>
  /** Whether it has been sealed: then what was read before may lie elsewhere by now. Rejects with StoreUnavailableError. */
  isSealed(): Promise<boolean>
  /** Removes the messages of a subject up to a sequence. Rejects with StoreUnavailableError. */
  purge(subject: string, upTo: number): Promise<void>
}

const readMilliseconds = 5_000

const wrongLastSequence = 10071
const wrongLastSequenceInFlight = 10164
const batchIncomplete = 10176
const tooManyBatches = 10210
const noMessageFound = 10037
const streamNotFound = 10059

export function openMicroshardStream(options: {
  readonly connection: NatsConnection
  readonly place: MicroshardPlace
  /** How long a write waits to be acknowledged before its outcome counts as unknown. */
  readonly acknowledgementMilliseconds: number
}): MicroshardStream {
  const { connection, place } = options
  const watch = watchConnection(connection)
  const stream = streamName(place.id)

  async function send(messages: readonly OutgoingMessage[]): Promise<Msg> {
    const batchId = messages.length > 1 ? nuid.next() : null
    for (const [i, message] of messages.entries()) {
      // Appended, since to set a header looks for those before it each time.
      const fields = headers()
      if (message.expectedSequence !== null) {
        fields.append('Nats-Expected-Last-Subject-Sequence', String(message.expectedSequence))
      }
      if (batchId !== null) {
        fields.append('Nats-Batch-Id', batchId)
        fields.append('Nats-Batch-Sequence', String(i + 1))
      }
      const isLast = i === messages.length - 1
      if (isLast && batchId !== null) fields.append('Nats-Batch-Commit', '1')
      if (isLast) {
        const timeout = options.acknowledgementMilliseconds
        return await connection.request(message.subject, message.body, { headers: fields, timeout })
      }
      connection.publish(message.subject, message.body, { headers: fields })
    }
    throw new Error('BUG: a batch without a message')
  }

  /** Asks the leader. Rejects with StoreUnavailableError when it does not answer. */
  async function ask<Answer>(subject: string, question: object): Promise<Answer> {
    // What the client is given while it is disconnected can get lost without a word.
    if (!watch.isConnected()) throw new StoreUnavailableError('there is no connection to NATS')
    try {
      const request = connection.request(subject, JSON.stringify(question), { timeout: readMilliseconds })
      return (await watch.unlessDisconnected(request)).json<Answer>()
    } catch (cause) {
      throw new StoreUnavailableError(`microshard ${place.id} has no leader to read from`, { cause })
    }
  }

  async function readMessage(question: object): Promise<RawMessage | null> {
    const answer = await ask<MessageAnswer>(`$JS.API.STREAM.MSG.GET.${stream}`, question)
    if (answer.error?.err_code === noMessageFound) return null
    if (answer.message === undefined) {
      throw new StoreUnavailableError(`microshard ${place.id} can't be read: ${answer.error?.description}`)
    }
    const { subject, seq, data } = answer.message
    return { subject, sequence: seq, data: Buffer.from(data ?? '', 'base64') }
  }

  async function read(question: object): Promise<StoredMessage | null> {
    const message = await readMessage(question)
    return message === null ? null : decodeObject(message)
  }

  return {
    async publish(messages) {
      // The client would keep it and send it once it is connected again, when nobody waits for it any more.
      if (!watch.isConnected()) return { kind: 'refused', reason: 'there is no connection to NATS' }
      try {
        return judgeAnswer(await watch.unlessDisconnected(send(messages)), messages.length)
      } catch (cause) {
        if (isNoResponders(cause)) {
          return { kind: 'fenced', reason: `no stream takes microshard ${place.id} in epoch ${place.epoch}` }
        }
        return { kind: 'unknown', reason: cause instanceof Error ? cause.message : String(cause) }
      }
    },
    readLast: (subject) => read({ last_by_subj: subject }),
    readNext: (subject, sequence) => read({ next_by_subj: subject, seq: Math.max(1, sequence) }),
    readLastSequence: async () => (await readMessage({ last_by_subj: microshardSubjects(place) }))?.sequence ?? 0,
    readData: async (sequence) => (await readMessage({ seq: sequence }))?.data ?? null,
    async holds(subject) {
      const answer = await ask<MessageAnswer>(`$JS.API.STREAM.MSG.GET.${stream}`, { last_by_subj: subject })
      if (answer.message !== undefined) return true
      const code = answer.error?.err_code
      if (code === noMessageFound || code === streamNotFound) return false
      throw new StoreUnavailableError(`microshard ${place.id} can't be read: ${answer.error?.description}`)
    },
    async isSealed() {
      const info = await ask<InfoAnswer>(`$JS.API.STREAM.INFO.${stream}`, {})
      // One that is gone was sealed before.
      if (info.error?.err_code === streamNotFound) return true
      const subjects = info.config?.subjects
      if (subjects === undefined) throw new StoreUnavailableError(`microshard ${place.id} can't be asked how it is`)
      return !subjects.includes(microshardSubjects(place))
    },
    async purge(subject, upTo) {
      const question = { filter: subject, seq: upTo + 1 }
      const { error } = await ask<{ readonly error?: ServerError }>(`$JS.API.STREAM.PURGE.${stream}`, question)
      if (error !== undefined) {
        throw new StoreUnavailableError(`messages of microshard ${place.id} can't be removed: ${error.description}`)
      }
    },
  }
}

interface ServerError {
  readonly err_code?: number
  readonly description?: string
}

interface InfoAnswer {
  readonly error?: ServerError
  readonly config?: { readonly subjects?: readonly string[] }
}

interface MessageAnswer {
  readonly error?: ServerError
  readonly message?: { readonly subject: string; readonly seq: number; readonly data?: string }
}

interface RawMessage {
  readonly subject: string
  readonly sequence: number
  readonly data: Uint8Array
}

function judgeAnswer(answer: Msg, messages: number): PublishOutcome {
  const { seq, error, count } = answer.json<{ seq?: number; count?: number; error?: ServerError }>()
  if (error !== undefined) return judgeError(error)
  if (seq === undefined || (messages > 1 && count !== messages)) {
    return { kind: 'unknown', reason: `the server acknowledged ${count} of ${messages} messages` }
  }
  return { kind: 'stored', lastSequence: seq }
}

function judgeError(error: ServerError): PublishOutcome {
  const reason = `${error.description} (${error.err_code})`
  switch (error.err_code) {
    case wrongLastSequence:
      return { kind: 'wrongSequence', lastSequence: readLastSequence(error.description ?? '') }
    case wrongLastSequenceInFlight:
    case tooManyBatches:
    // What the server says at the end of a batch whose first message it has refused, as when there are too many.
    case batchIncomplete:
      return { kind: 'busy', reason }
    default:
      return { kind: 'refused', reason }
  }
}

/** From the words `wrong last sequence: 12`. */
function readLastSequence(description: string): number | null {
  const sequence = /^wrong last sequence: (\d+)$/.exec(description)?.[1]
  return sequence === undefined ? null : Number(sequence)
}

function isNoResponders(cause: unknown): boolean {
  return cause instanceof NoRespondersError || (cause instanceof RequestError && cause.isNoResponders())
}
