/**
 * Reads the store into a backup, line by line: of each microshard all kept versions, tombstones too, up to a cut. It reads
 * the microshards' streams and touches nothing else.
 *
 * The cut is the stream's end when its part begins. Of an object that is written so often meanwhile that its version of
 * the cut is dropped before it is read, a later version takes its place: none is ever missing.
 */

import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { createBackupLines } from '../../contract/backup.ts'
import { type FollowedMessage, followStream } from '../follow-stream.ts'
import { microshardSubjects, peekShardKey, readSubject, streamName } from '../message.ts'
import type { MicroshardDirectory, MicroshardEntry } from '../microshard-directory.ts'
import { StoreUnavailableError } from '../store.ts'

export interface BackupSource {
  readonly connection: NatsConnection
  /** As it is now. */
  readonly directory: () => MicroshardDirectory
  readonly sluiceVersion: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Throws where the microshards are divided anew meanwhile: then the backup is to be begun again. */
export async function* writeBackup(source: BackupSource, signal: AbortSignal): AsyncGenerator<string, void> {
  const { directory, sluiceVersion, now } = source
  const { version, microshards } = directory()
  const lines = createBackupLines()
  yield lines.head({ createdAt: new Date(now()).toISOString(), sluiceVersion, parts: microshards.length })
  for (const entry of microshards) {
    const cut = await readLastSequence(source.connection, entry)
    const { from, to } = entry
    yield lines.part({ microshard: entry.id, from, to, cut })
    for await (const message of readPart(source, entry, { cut, signal })) {
      const shardKey = peekShardKey(message.data)
      if (shardKey === null) throw new Error(`BUG: message ${message.sequence} of microshard ${entry.id} names no key`)
      const subject = message.subject.split('.').slice(3).join('.')
      yield lines.message({ subject, shardKey, body: Buffer.from(message.data).toString() })
    }
    yield lines.partEnd()
  }
  if (directory().version !== version) {
    throw new StoreUnavailableError('microshards were divided anew while the backup was made: make it again')
  }
  yield lines.end()
}

async function* readPart(
  source: BackupSource,
  entry: MicroshardEntry,
  { cut, signal }: { readonly cut: number; readonly signal: AbortSignal },
): AsyncGenerator<FollowedMessage, void> {
  const touched = new Set<string>()
  const follow = {
    connection: source.connection,
    stream: streamName(entry.id),
    filterSubject: microshardSubjects(entry),
  }
  for await (const item of followStream({ ...follow, start: { kind: 'sequence', sequence: 1 }, signal })) {
    // Whatever came after the cut tells which versions of the cut may have been dropped before they were read.
    if (item.kind === 'message' && isKept(item.subject)) {
      if (item.sequence <= cut) yield item
      else touched.add(item.subject)
    }
    if (item.kind === 'caughtUp') break
  }
  for (const subject of touched) {
    for await (const item of followStream({
      ...follow,
      filterSubject: subject,
      start: { kind: 'sequence', sequence: 1 },
      signal,
    })) {
      // The first that is left: where that is of before the cut, it has been read.
      if (item.kind === 'message' && item.sequence > cut) yield item
      if (item.kind === 'message' || item.kind === 'caughtUp') break
    }
  }
  signal.throwIfAborted()
}

/** Events wait to be relayed, which is done where they were written. */
function isKept(subject: string): boolean {
  const { kind } = readSubject(subject)
  return kind === 'object' || kind === 'crate'
}

async function readLastSequence(connection: NatsConnection, { id }: MicroshardEntry): Promise<number> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  return (await manager.streams.info(streamName(id))).state.last_seq
}
