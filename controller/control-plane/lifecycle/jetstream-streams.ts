/**
 * The streams of microshards as operations use them, on JetStream: made, read, copied, sealed, removed. It touches the
 * streams `ms_*` and nothing else.
 */

import { JetStreamApiError, jetstreamManager } from '@nats-io/jetstream'
import { headers, type NatsConnection, nuid } from '@nats-io/transport-node'
import { watchConnection } from '../connection-watch.ts'
import {
  type MicroshardPlace,
  microshardSubjects,
  outboxSubjects,
  peekShardKey,
  readSubject,
  sealSubject,
  streamName,
} from '../message.ts'
import { ensureMicroshardStream, leadMicroshardStream } from '../stream-placement.ts'
import { copiedHeader, decodeCopied, encodeCopied } from './copied-header.ts'
import type { AppendOutcome, CopyMessage, LifecycleStreams, SourceMessage } from './lifecycle-streams.ts'
import { type ReadMessage, readBatch } from './read-batch.ts'

const messagesReadMaximum = 512
const bytesReadMaximum = 4_000_000
/** So much goes out before the server has said that all of it is stored. */
const bytesAppendedMaximum = 1_000_000
const answerMilliseconds = 10_000
const noMessageFound = 10037

export interface LifecycleStreamsOptions {
  readonly connection: NatsConnection
  readonly replicas: number
}

export function createLifecycleStreams({ connection, replicas }: LifecycleStreamsOptions): LifecycleStreams {
  const watch = watchConnection(connection)
  const openManager = () => jetstreamManager(connection, { checkAPI: false })

  async function request(subject: string, body: string | Uint8Array, fields = headers()): Promise<Answer> {
    const asked = connection.request(subject, body, { headers: fields, timeout: answerMilliseconds })
    return (await watch.unlessDisconnected(asked)).json<Answer>()
  }

  async function readLast(place: MicroshardPlace, subject: string): Promise<Answer['message'] | null> {
    const question = JSON.stringify({ last_by_subj: subject })
    const answer = await request(`$JS.API.STREAM.MSG.GET.${streamName(place.id)}`, question)
    if (answer.error?.err_code === noMessageFound) return null
    if (answer.message === undefined) {
      throw new Error(`microshard ${place.id} can't be read: ${answer.error?.description}`)
    }
    return answer.message
  }

  /** All or nothing, and the server syncs it to disk at once: many times faster than one message after the other. */
  async function appendPart(messages: readonly CopyMessage[], after: number): Promise<boolean> {
    const batchId = messages.length > 1 ? nuid.next() : null
    for (const [i, { subject, data, copiedUpTo }] of messages.entries()) {
      const fields = headers()
      if (i === 0) fields.append('Nats-Expected-Last-Sequence', String(after))
      fields.append(copiedHeader, encodeCopied(copiedUpTo))
      if (batchId !== null) {
        fields.append('Nats-Batch-Id', batchId)
        fields.append('Nats-Batch-Sequence', String(i + 1))
      }
      if (i < messages.length - 1) {
        connection.publish(subject, data, { headers: fields })
        continue
      }
      if (batchId !== null) fields.append('Nats-Batch-Commit', '1')
      const { seq } = await request(subject, data, fields)
      return seq === after + messages.length
    }
    return true
  }

  return {
    make: (entry) => ensureMicroshardStream(connection, entry, { replicas, node: entry.node }),

    lead: (entry) => leadMicroshardStream(connection, entry),

    async isThere(microshardId) {
      const manager = await openManager()
      return unlessMissing(manager.streams.info(streamName(microshardId)))
    },

    async drop(microshardId) {
      const manager = await openManager()
      await unlessMissing(manager.streams.delete(streamName(microshardId)))
    },

    async seal(place) {
      const manager = await openManager()
      const { config } = await manager.streams.info(streamName(place.id))
      const subject = sealSubject(place)
      const isSealed = config.subjects.length === 1 && config.subjects[0] === subject
      if (!isSealed) await manager.streams.update(config.name, { ...config, subjects: [subject] })
      // The update alone is not ordered with the writes; whatever is stored lies before this message.
      const { seq, error } = await request(subject, '')
      if (seq === undefined) throw new Error(`microshard ${place.id} can't be sealed: ${error?.description}`)
      return seq
    },

    async readAfter(place, sequence) {
      const read = await readBatch(connection, {
        stream: streamName(place.id),
        subjects: microshardSubjects(place),
        fromSequence: sequence + 1,
        messagesMaximum: messagesReadMaximum,
        bytesMaximum: bytesReadMaximum,
      })
      const messages = read.filter(({ subject }) => readSubject(subject).kind !== 'event').map(describeMessage)
      return { messages, upTo: read.at(-1)?.sequence ?? sequence }
    },

    async readCopied(place) {
      const message = await readLast(place, microshardSubjects(place))
      if (message === null || message === undefined) return { lastSequence: 0, copiedUpTo: {} }
      const head = Buffer.from(message.hdrs ?? '', 'base64').toString()
      const copied = head.split('\r\n').find((line) => line.startsWith(`${copiedHeader}:`))
      const copiedUpTo = copied === undefined ? null : decodeCopied(copied.slice(copiedHeader.length + 1).trim())
      return { lastSequence: message.seq, copiedUpTo }
    },

    async append(_, messages, after): Promise<AppendOutcome> {
      let lastSequence = after
      for (const part of splitByBytes(messages)) {
        try {
          if (!(await appendPart(part, lastSequence))) return { kind: 'elsewhere' }
        } catch {
          // Some of it may be stored. Where the stream ends now is asked before anything else.
          return { kind: 'elsewhere' }
        }
        lastSequence += part.length
      }
      return { kind: 'stored', lastSequence }
    },

    hasWaitingEvents: async (place) => (await readLast(place, outboxSubjects(place))) !== null,
  }
}

/** False: there is no such stream. */
async function unlessMissing(work: Promise<unknown>): Promise<boolean> {
  try {
    await work
    return true
  } catch (cause) {
    if (cause instanceof JetStreamApiError && cause.status === 404) return false
    throw cause
  }
}

interface Answer {
  readonly seq?: number
  readonly error?: { readonly err_code?: number; readonly description?: string }
  readonly message?: { readonly subject: string; readonly seq: number; readonly hdrs?: string }
}

const describeMessage = (message: ReadMessage): SourceMessage => ({
  ...message,
  shardKey: peekShardKey(message.data),
})

function splitByBytes(messages: readonly CopyMessage[]): readonly (readonly CopyMessage[])[] {
  const parts: CopyMessage[][] = []
  let bytes = bytesAppendedMaximum
  for (const message of messages) {
    bytes += message.data.length
    if (bytes > bytesAppendedMaximum) {
      parts.push([])
      bytes = message.data.length
    }
    parts.at(-1)?.push(message)
  }
  return parts
}
