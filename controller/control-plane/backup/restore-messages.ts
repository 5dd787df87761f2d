/**
 * Writes messages of a backup into the microshards that keep their keys now, each on the condition that nothing newer is
 * there: so a restore that was cut off is simply begun again. It writes the microshards' streams.
 */

import { JetStreamApiError, type JetStreamClient, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { type NatsConnection, nuid } from '@nats-io/transport-node'
import type { BackupMessage } from '../../contract/backup.ts'
import { decodeObject, readSubject, streamName } from '../message.ts'
import { findMicroshard, type MicroshardDirectory } from '../microshard-directory.ts'

export interface RestoreTarget {
  readonly connection: NatsConnection
  readonly directory: () => MicroshardDirectory
}

export interface RestoreCount {
  written: number
  kept: number
}

const wrongLastSequence = 10071
const publishMilliseconds = 10_000
const parallelMaximum = 32

export async function restoreMessages(
  target: RestoreTarget,
  messages: readonly BackupMessage[],
): Promise<Readonly<RestoreCount>> {
  const count: RestoreCount = { written: 0, kept: 0 }
  const client = jetstream(target.connection, { timeout: publishMilliseconds })
  const isCrate = ({ subject }: BackupMessage) => readSubject(`ms.0.0.${subject}`).kind === 'crate'
  // What lies in a crate is there before the message that carries it no more.
  await restoreSubjects(target, client, messages.filter(isCrate), count)
  await restoreSubjects(
    target,
    client,
    messages.filter((message) => !isCrate(message)),
    count,
  )
  return count
}

/** The versions of one object in their order, different objects at once. */
async function restoreSubjects(
  target: RestoreTarget,
  client: JetStreamClient,
  messages: readonly BackupMessage[],
  count: RestoreCount,
): Promise<void> {
  const queue = [...Map.groupBy(messages, ({ subject }) => subject).values()]
  const work = async () => {
    for (let own = queue.pop(); own !== undefined; own = queue.pop()) await restoreSubject(target, client, own, count)
  }
  await Promise.all(Array.from({ length: Math.min(parallelMaximum, queue.length) }, work))
}

async function restoreSubject(
  target: RestoreTarget,
  client: JetStreamClient,
  messages: readonly BackupMessage[],
  count: RestoreCount,
): Promise<void> {
  let last = { sequence: 0, version: 0 }
  for (const message of messages) {
    const { id, epoch } = findMicroshard(target.directory(), message.shardKey)
    const subject = `ms.${id}.${epoch}.${message.subject}`
    const version = readVersion(subject, message.body)
    if (last.sequence > 0 && version <= last.version) {
      count.kept += 1
      continue
    }
    let written = await publish(client, subject, message.body, last.sequence)
    if (written === null) {
      last = await readLast(target.connection, streamName(id), subject)
      if (version <= last.version) {
        count.kept += 1
        continue
      }
      written = await publish(client, subject, message.body, last.sequence)
      if (written === null) throw new Error(`${message.subject} is being written by others while it is restored`)
    }
    last = { sequence: written, version }
    count.written += 1
  }
}

/** Null: another message is there than was expected. */
async function publish(
  client: JetStreamClient,
  subject: string,
  body: string,
  expected: number,
): Promise<number | null> {
  try {
    const expect = { lastSubjectSequence: expected }
    return (await client.publish(subject, standAlone(body), { expect })).seq
  } catch (cause) {
    if (cause instanceof JetStreamApiError && cause.code === wrongLastSequence) return null
    throw cause
  }
}

const transactionPattern = /"transaction":\{"id":"[^"]+","index":\d+,"count":\d+\}/
/** A transaction's other messages may have been dropped long ago: each message is one of its own from now on. */
const standAlone = (body: string): string =>
  body.replace(transactionPattern, `"transaction":{"id":"${nuid.next()}","index":0,"count":1}`)

/** A copy of an object does not raise its version, but its turn; crates are never changed. */
function readVersion(subject: string, body: string): number {
  if (readSubject(subject).kind === 'crate') return 1
  const { object, cargo } = decodeObject({ subject, sequence: 0, data: Buffer.from(body) })
  return object.version + cargo.turn
}

async function readLast(
  connection: NatsConnection,
  stream: string,
  subject: string,
): Promise<{ readonly sequence: number; readonly version: number }> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  try {
    const message = await manager.streams.getMessage(stream, { last_by_subj: subject })
    if (message === null) return { sequence: 0, version: 0 }
    return { sequence: message.seq, version: readVersion(subject, message.string()) }
  } catch (cause) {
    if (cause instanceof JetStreamApiError && cause.status === 404) return { sequence: 0, version: 0 }
    throw cause
  }
}
