/**
 * Reads many messages of a stream by one question, in their order and without a gap. It asks the stream and touches
 * nothing else.
 *
 * The client library's own way never ends when an answer gets lost:
 * https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-31.md
 */

import { createInbox, type Msg, type NatsConnection } from '@nats-io/transport-node'
import { watchConnection } from '../connection-watch.ts'

export interface BatchQuestion {
  readonly stream: string
  readonly subjects: string
  readonly fromSequence: number
  readonly messagesMaximum: number
  readonly bytesMaximum: number
}

export interface ReadMessage {
  readonly subject: string
  readonly sequence: number
  readonly data: Uint8Array
}

const answerMilliseconds = 10_000
const endOfBatch = 204
const nothingFound = 404

/** Rejects when not all of the answer has come. */
export async function readBatch(connection: NatsConnection, question: BatchQuestion): Promise<readonly ReadMessage[]> {
  const messages: ReadMessage[] = []
  const answered = Promise.withResolvers<void>()
  const fail = (reason: string) => answered.reject(new Error(`reading ${question.stream}: ${reason}`))
  let last = 0

  function take(message: Msg): void {
    const status = message.headers?.code ?? 0
    if (status === endOfBatch || status === nothingFound) {
      const end = Number(message.headers?.get('Nats-Last-Sequence') || last)
      if (end === last) answered.resolve()
      else fail('messages were lost on the way')
      return
    }
    if (status !== 0) {
      fail(`the server said ${status} ${message.headers?.description ?? ''}`)
      return
    }
    if (Number(message.headers?.get('Nats-Last-Sequence')) !== last) fail('messages were lost on the way')
    last = Number(message.headers?.get('Nats-Sequence'))
    messages.push({ subject: message.headers?.get('Nats-Subject') ?? '', sequence: last, data: message.data })
  }

  const inbox = createInbox()
  const subscription = connection.subscribe(inbox, {
    callback: (error, message) => (error === null ? take(message) : fail(error.message)),
  })
  const timer = setTimeout(() => fail('no answer'), answerMilliseconds)
  try {
    connection.publish(`$JS.API.DIRECT.GET.${question.stream}`, describeQuestion(question), { reply: inbox })
    await watchConnection(connection).unlessDisconnected(answered.promise)
    return messages
  } finally {
    clearTimeout(timer)
    if (!connection.isClosed()) subscription.unsubscribe()
  }
}

const describeQuestion = ({ subjects, fromSequence, messagesMaximum, bytesMaximum }: BatchQuestion) =>
  JSON.stringify({
    seq: fromSequence,
    next_by_subj: subjects,
    batch: messagesMaximum,
    max_bytes: bytesMaximum,
  })
