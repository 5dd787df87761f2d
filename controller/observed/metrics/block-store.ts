/**
 * Where blocks are kept: a JetStream stream a tier, with the latest of each block, bounded by age and by bytes. A write is
 * conditional on what was read, so that of two writers at once one begins again. Touches these streams alone.
 */

import { JetStreamApiError, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { type NatsConnection, nanos } from '@nats-io/transport-node'
import { ensureStream } from '../../nats/ensure-stream.ts'
import { blockSubject, blockSubjects, readingsTier, type Tier, tiers } from './tiers.ts'

/** What lies there, and what a write in its place must name; `null` and 0 where there is nothing. */
export interface StoredBlock {
  readonly bytes: Uint8Array | null
  readonly revision: number
}

/** How far blocks go, in milliseconds since the epoch. */
export interface Progress {
  /** All blocks of readings that end by then are written. */
  readonly flushedUntil: number
  /** What came by then, by the server's clock, is in them, late as it may have been. */
  readonly arrivedUntil: number
}

export interface BlockStore {
  /** The latest there is, for who means to write it anew. */
  read(tier: Tier, owner: string, start: number): Promise<StoredBlock>
  /** By their starts; those that are not there are left out. */
  readMany(tier: Tier, owner: string, starts: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>>
  /** False: another one was written since; nothing is. */
  write(tier: Tier, owner: string, start: number, bytes: Uint8Array, revision: number): Promise<boolean>
  readProgress(): Promise<{ readonly progress: Progress | null; readonly revision: number }>
  writeProgress(progress: Progress, revision: number): Promise<boolean>
}

const progressSubject = 'metrics.progress'
const wrongLastSequence = 10071
const requestMilliseconds = 10_000
/** Of blocks asked for at once; a server takes as many subjects in one request. */
const subjectsMaximum = 256

export async function openBlockStore(connection: NatsConnection, replicas: number): Promise<BlockStore> {
  const manager = await jetstreamManager(connection, { checkAPI: false, timeout: requestMilliseconds })
  const stream = jetstream(connection, { timeout: requestMilliseconds })
  for (const tier of tiers) await ensureBlocks(connection, tier, replicas)

  async function publish(subject: string, bytes: Uint8Array, revision: number): Promise<boolean> {
    try {
      await stream.publish(subject, bytes, { expect: { lastSubjectSequence: revision } })
      return true
    } catch (cause) {
      if (cause instanceof JetStreamApiError && cause.code === wrongLastSequence) return false
      throw cause
    }
  }

  const readLast = async (tier: Tier, subject: string): Promise<StoredBlock> => {
    const message = await readLastMessage(manager, tier.stream, subject)
    return message === null ? { bytes: null, revision: 0 } : { bytes: message.data, revision: message.seq }
  }

  return {
    read: (tier, owner, start) => readLast(tier, blockSubject(tier, owner, start)),

    async readMany(tier, owner, starts) {
      const found = new Map<number, Uint8Array>()
      for (let i = 0; i < starts.length; i += subjectsMaximum) {
        const subjects = starts.slice(i, i + subjectsMaximum).map((start) => blockSubject(tier, owner, start))
        for (const { subject, data } of await readDirectly(manager, tier, subjects)) {
          found.set(1000 * Number(subject.slice(subject.lastIndexOf('.') + 1)), data)
        }
      }
      return found
    },

    write: (tier, owner, start, bytes, revision) => publish(blockSubject(tier, owner, start), bytes, revision),

    async readProgress() {
      const { bytes, revision } = await readLast(readingsTier, progressSubject)
      const progress = bytes === null ? null : (JSON.parse(new TextDecoder().decode(bytes)) as Progress)
      return { progress, revision }
    },

    writeProgress: (progress, revision) =>
      publish(progressSubject, new TextEncoder().encode(JSON.stringify(progress)), revision),
  }
}

async function readLastMessage(manager: JetStreamManager, stream: string, subject: string) {
  try {
    return await manager.streams.getMessage(stream, { last_by_subj: subject })
  } catch (cause) {
    if (cause instanceof JetStreamApiError && cause.status === 404) return null
    throw cause
  }
}

async function readDirectly(manager: JetStreamManager, tier: Tier, subjects: readonly string[]) {
  const [only] = subjects
  if (only === undefined) return []
  if (subjects.length === 1) {
    const message = await manager.direct.getMessage(tier.stream, { last_by_subj: only })
    return message === null ? [] : [message]
  }
  const messages = []
  try {
    for await (const message of await manager.direct.getLastMessagesFor(tier.stream, { multi_last: [...subjects] })) {
      messages.push(message)
    }
  } catch (cause) {
    // The server says so when it has none of them.
    if (!(cause instanceof Error && /no results|message not found/i.test(cause.message))) throw cause
  }
  return messages
}

/** One that is there keeps its age and size: they are the operator's to change. */
async function ensureBlocks(connection: NatsConnection, tier: Tier, replicas: number): Promise<void> {
  await ensureStream(connection, tier.stream, {
    kept: {
      subjects: [blockSubjects(tier), ...(tier === readingsTier ? [progressSubject] : [])],
      num_replicas: replicas,
    },
    first: {
      allow_direct: true,
      max_msgs_per_subject: 1,
      max_age: nanos(1000 * tier.keptSeconds),
      max_bytes: tier.bytesMaximum,
    },
  })
}
