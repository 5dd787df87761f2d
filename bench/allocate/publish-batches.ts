/**
 * Batches of allocations published to JetStream by hand: a shard's record on the condition that it is as it was last seen,
 * with so many addresses. Either each of these is a message of its own which must be the first of its subject, and all
 * are one atomic batch; or all are in the record's message, as the store keeps them: what it could give at most.
 */

import { jetstreamManager, StorageType } from '@nats-io/jetstream'
import { headers, type NatsConnection, nuid } from '@nats-io/transport-node'
import { versionsKeptMaximum } from '../../controller/control-plane/store.ts'

const stream = 'raw'
const requestMilliseconds = 20_000
const wrongLastSequences: readonly (number | undefined)[] = [10071, 10164]

/** As the store makes its own. */
export async function createRawStream(connection: NatsConnection): Promise<void> {
  const manager = await jetstreamManager(connection)
  await manager.streams.add({
    name: stream,
    subjects: [`${stream}.>`],
    storage: StorageType.File,
    max_msgs_per_subject: versionsKeptMaximum,
    allow_direct: true,
    allow_atomic: true,
  })
}

/** Writes one message each time it is called, and says how many addresses are in it: 0 when another wrote the record first. */
export function createMessagePublisher(
  connection: NatsConnection,
  { record, bytes, addresses }: { readonly record: string; readonly bytes: number; readonly addresses: number },
): () => Promise<number> {
  const subject = `${stream}.shard-occupancy.${record}`
  const body = 'x'.repeat(bytes * (addresses + 1))
  let sequence: number | null = null

  return async () => {
    sequence ??= await readSequence(connection, subject)
    const fields = headers()
    fields.set('Nats-Expected-Last-Subject-Sequence', String(sequence))
    const answer = await connection.request(subject, body, { headers: fields, timeout: requestMilliseconds })
    const { seq, error } = answer.json<Answer>()
    sequence = seq ?? null
    if (error !== undefined && !wrongLastSequences.includes(error.err_code)) throw new Error(error.description)
    return error === undefined ? addresses : 0
  }
}

interface Answer {
  readonly seq?: number
  readonly error?: { readonly err_code?: number; readonly description?: string }
}

/** Writes a batch each time it is called, and says how many addresses are in it: 0 when another wrote the record first. */
export function createBatchPublisher(
  connection: NatsConnection,
  { record, bytes, addresses }: { readonly record: string; readonly bytes: number; readonly addresses: number },
): () => Promise<number> {
  const recordSubject = `${stream}.shard-occupancy.${record}`
  const body = 'x'.repeat(bytes)
  let sequence: number | null = null

  return async () => {
    sequence ??= await readSequence(connection, recordSubject)
    const batchId = nuid.next()
    connection.publish(recordSubject, body, { headers: describeMessage(batchId, 1, sequence) })
    for (let i = 1; i < addresses; i++) {
      const fields = describeMessage(batchId, i + 1, 0)
      connection.publish(`${stream}.address.${nuid.next()}`, body, { headers: fields })
    }
    const last = describeMessage(batchId, addresses + 1, 0)
    last.set('Nats-Batch-Commit', '1')
    const answer = await connection.request(`${stream}.address.${nuid.next()}`, body, {
      headers: last,
      timeout: requestMilliseconds,
    })
    const { seq, error } = answer.json<Answer>()
    sequence = seq === undefined ? null : seq - addresses
    if (error !== undefined && !wrongLastSequences.includes(error.err_code)) throw new Error(error.description)
    return error === undefined ? addresses : 0
  }
}

function describeMessage(batchId: string, batchSequence: number, expectedSequence: number) {
  const fields = headers()
  fields.set('Nats-Expected-Last-Subject-Sequence', String(expectedSequence))
  fields.set('Nats-Batch-Id', batchId)
  fields.set('Nats-Batch-Sequence', String(batchSequence))
  return fields
}

/** The sequence of the record's last message, from the leader; 0: there is none. */
async function readSequence(connection: NatsConnection, subject: string): Promise<number> {
  const question = JSON.stringify({ last_by_subj: subject })
  const answer = await connection.request(`$JS.API.STREAM.MSG.GET.${stream}`, question, {
    timeout: requestMilliseconds,
  })
  return answer.json<{ message?: { seq: number } }>().message?.seq ?? 0
}
